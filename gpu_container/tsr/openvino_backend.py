"""TripoSR's two transformers in OpenVINO: what takes the time on a CPU, with kernels made for the CPU at hand.

``accelerate`` gives a loaded network another image tokenizer and another backbone; all else stays as it is. The
graphs are written here operation by operation, straight from the network's tensors. With compiling that takes
some five seconds for the published sizes, once per process; nothing is traced, or kept in a file to grow old.
"""

from __future__ import annotations

import functools
import logging
import sys
import time
from typing import Any, cast

import torch
from torch import nn

from gpu_container.tsr.model import TSR
from gpu_container.tsr.transformer import (
    CrossAttention,
    FeedForward,
    GatedProjection,
    Transformer1D,
    TransformerBlock,
)
from gpu_container.tsr.vision import DEVIATION, MEAN, EncoderLayer, ImageTokenizer
from infra.errors import MissingDependency

# Importing openvino reports to a server of statistics and leaves an identity in the home directory. Where the
# package that does it cannot be imported, openvino takes a silent one of its own.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

try:
    import openvino
    from openvino import opset15 as ops
except ImportError as error:
    raise MissingDependency(
        "OpenVINO is not installed: pip install 'maquette[openvino]', or go on without it."
    ) from error

log = logging.getLogger(__name__)

#: a node of a graph, or one of its outputs; the package tells no types
Node = Any

_PRECISIONS = {torch.float32: "f32", torch.bfloat16: "bf16"}
#: bfloat16 must be this much faster than float32 to be worth its rounding
_WORTHWHILE = 1.5


def accelerate(network: TSR, precision: torch.dtype | None = None) -> None:
    """From now on ``network`` encodes pictures with OpenVINO, on as many threads as torch has now.

    Several threads may encode at a time: one waits for the other. OpenVINO packs the weights for its kernels
    and keeps the given tensors too; where they are pages of the checkpoint's file, the system may drop them.

    Args:
        network: on the CPU, float32.
        precision: of the matrix products and attentions; the sums over the layers stay float32. ``float32``
            gives the network's own scene codes up to rounding, ``bfloat16`` less than 1 % from them
            (relative RMS). Without it, bfloat16 where it pays on this CPU.

    Raises:
        ValueError: another precision.
    """
    precision = precision or fastest_precision()
    if precision not in _PRECISIONS:
        raise ValueError(f"precision is {precision}; there are {', '.join(map(str, _PRECISIONS))}")
    started = time.perf_counter()
    size = network.config.cond_image_size
    with torch.inference_mode():
        image_tokenizer = CompiledImageTokenizer(network.image_tokenizer, size, precision)
        backbone = CompiledBackbone(network.backbone, network.tokenizer(), image_tokenizer.shape, precision)
    network.set_submodule("image_tokenizer", image_tokenizer)
    network.set_submodule("backbone", backbone)
    log.info("OpenVINO %s: compiled in %.1f s", _PRECISIONS[precision], time.perf_counter() - started)


@functools.cache
def fastest_precision() -> torch.dtype:
    """bfloat16 where this CPU multiplies matrices clearly faster in it, else float32; measured, in some 0.1 s.

    What a CPU says of itself does not tell: some that have instructions for bfloat16 are three times as fast
    with it, others only half as fast.
    """
    seconds = dict.fromkeys(_PRECISIONS, float("inf"))
    factors = {kind: (torch.ones(512, 768, dtype=kind), torch.ones(768, 768, dtype=kind)) for kind in seconds}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # several would wait for each other where other work keeps the cores busy
    try:
        for kind, (tokens, weight) in 8 * list(factors.items()):
            started = time.perf_counter()
            nn.functional.linear(tokens, weight)
            seconds[kind] = min(seconds[kind], time.perf_counter() - started)
    finally:
        torch.set_num_threads(threads)
    ratio = seconds[torch.float32] / seconds[torch.bfloat16]
    log.info("matrix products in bfloat16: %.1f times as fast as in float32", ratio)
    return torch.bfloat16 if ratio >= _WORTHWHILE else torch.float32


class CompiledImageTokenizer(nn.Module):
    """Does what an ImageTokenizer does, for pictures of one size."""

    def __init__(self, tokenizer: ImageTokenizer, size: int, precision: torch.dtype) -> None:
        super().__init__()
        model = tokenizer.model
        self.embeddings = model.embeddings
        self.shape = tuple(self.embeddings(torch.zeros(3, size, size)).shape)
        tokens = embedded = ops.parameter([1, *self.shape], openvino.Type.f32)
        for layer in model.encoder.layer:
            tokens = _encoder_layer(tokens, cast(EncoderLayer, layer))
        self._compiled = _compile(_norm(tokens, model.layernorm), [embedded], precision)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """``(3, s, s)`` sRGB 0..1 → tokens ``(n, c)``."""
        mean, deviation = image.new_tensor(MEAN)[:, None, None], image.new_tensor(DEVIATION)[:, None, None]
        return _run(self._compiled, self.embeddings((image - mean) / deviation))


class CompiledBackbone(nn.Module):
    """Does what a Transformer1D does, for the triplane tokens it was made with.

    The first layer's attention of these tokens to each other is the same for every picture: done here, once.
    """

    def __init__(
        self,
        backbone: Transformer1D,
        tokens: torch.Tensor,
        image_shape: tuple[int, ...],
        precision: torch.dtype,
    ) -> None:
        super().__init__()
        self.proj_out = backbone.proj_out
        blocks = cast(list[TransformerBlock], list(backbone.transformer_blocks))
        start = backbone.proj_in(backbone.norm(tokens.T[None])[0].T)
        normed = blocks[0].norm1(start)
        hidden = _constant((start + blocks[0].attn1(normed, normed))[None])
        image_tokens = ops.parameter([1, *image_shape], openvino.Type.f32)
        for index, block in enumerate(blocks):
            hidden = _block(hidden, image_tokens, block, attend_to_itself=index > 0)
        self._compiled = _compile(hidden, [image_tokens], precision)

    def forward(self, tokens: torch.Tensor, image_tokens: torch.Tensor) -> torch.Tensor:
        """``(n, c)``, those of the constructor, and ``(m, cross_attention_dim)`` → ``(n, c)``."""
        result: torch.Tensor = self.proj_out(_run(self._compiled, image_tokens)) + tokens
        return result


def _compile(result: Node, inputs: list[Node], precision: torch.dtype) -> Any:
    """A graph, ready to run.

    In bfloat16 OpenVINO keeps in float32 what lies between the last matrix products and the result. Both graphs
    end with the sum over the layers, so that sum is float32 all along: half the error.
    """
    settings = {
        "INFERENCE_PRECISION_HINT": _PRECISIONS[precision],
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "ENABLE_CPU_PINNING": False,  # pinned, two workers on one machine would share the same first cores
    }
    return openvino.Core().compile_model(openvino.Model([result], inputs), "CPU", settings)


def _run(compiled: Any, tokens: torch.Tensor) -> torch.Tensor:
    """``(n, c)`` → what the graph makes of it, without the batch dimension."""
    outputs = compiled.infer_new_request([tokens[None].contiguous().numpy()])
    return torch.from_numpy(outputs[0][0])


def _encoder_layer(tokens: Node, layer: EncoderLayer) -> Node:
    normed, to = _norm(tokens, layer.layernorm_before), layer.attention.attention
    query, key, value = (_linear(normed, each) for each in (to.query, to.key, to.value))
    mixed = _attend(query, key, value, layer.attention.heads)
    tokens = ops.add(tokens, _linear(mixed, layer.attention.output.dense))
    hidden = _linear(_norm(tokens, layer.layernorm_after), layer.intermediate.dense)
    return ops.add(tokens, _linear(ops.gelu(hidden, "erf"), layer.output.dense))


def _block(tokens: Node, image_tokens: Node, block: TransformerBlock, *, attend_to_itself: bool) -> Node:
    if attend_to_itself:
        normed = _norm(tokens, block.norm1)
        tokens = ops.add(tokens, _cross_attention(normed, normed, block.attn1))
    tokens = ops.add(tokens, _cross_attention(_norm(tokens, block.norm2), image_tokens, block.attn2))
    return ops.add(tokens, _feed_forward(_norm(tokens, block.norm3), block.ff))


def _cross_attention(tokens: Node, context: Node, layer: CrossAttention) -> Node:
    query, key, value = _linear(tokens, layer.to_q), _linear(context, layer.to_k), _linear(context, layer.to_v)
    return _linear(_attend(query, key, value, layer.heads), cast(nn.Linear, layer.to_out[0]))


def _feed_forward(tokens: Node, layer: FeedForward) -> Node:
    first, last = cast(GatedProjection, layer.net[0]).proj, cast(nn.Linear, layer.net[2])
    # two products where torch has one: to take its result apart would cost a copy
    value, gate = (
        _affine(tokens, *half) for half in zip(first.weight.chunk(2), first.bias.chunk(2), strict=True)
    )
    return _linear(ops.multiply(value, ops.gelu(gate, "erf")), last)


def _attend(query: Node, key: Node, value: Node, heads: int) -> Node:
    """``softmax(q kᵀ / √d) v`` per head: ``(1, n, c)``, ``(1, m, c)``, ``(1, m, c)`` → ``(1, n, c)``."""
    split = [ops.transpose(ops.reshape(x, [0, 0, heads, -1], True), [0, 2, 1, 3]) for x in (query, key, value)]
    mixed = ops.scaled_dot_product_attention(*split, causal=False)
    return ops.reshape(ops.transpose(mixed, [0, 2, 1, 3]), [0, 0, -1], True)


def _norm(tokens: Node, layer: nn.LayerNorm) -> Node:
    normed = ops.mvn(tokens, [-1], normalize_variance=True, eps=layer.eps, eps_mode="inside_sqrt")
    return ops.add(ops.multiply(normed, _constant(layer.weight)), _constant(layer.bias))


def _linear(tokens: Node, layer: nn.Linear) -> Node:
    return _affine(tokens, layer.weight, layer.bias)


def _affine(tokens: Node, weight: torch.Tensor, bias: torch.Tensor | None) -> Node:
    product = ops.matmul(tokens, _constant(weight), False, True)
    return product if bias is None else ops.add(product, _constant(bias))


def _constant(tensor: torch.Tensor) -> Node:
    """The tensor's own memory, where it lies in one piece."""
    return ops.constant(tensor.detach().contiguous().numpy(), shared_memory=True)
