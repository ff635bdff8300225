"""How much arithmetic the parts of TripoSR are, and how much this machine can do a second."""

from __future__ import annotations

import time

import torch

from gpu_container.tsr.config import TSRConfig


def network_flops(config: TSRConfig) -> float:
    """Of one picture: two for each multiplication with its addition, matrix products and attention only."""
    vision, backbone = config.vision, config.transformer
    patches = (config.cond_image_size // vision.patch_size) ** 2
    seen, hidden = 1 + patches, vision.hidden_size
    embedding = 2 * patches * hidden * 3 * vision.patch_size**2
    per_layer = 8 * seen * hidden**2 + 4 * seen * hidden * vision.intermediate_size + 4 * seen**2 * hidden
    image = embedding + vision.num_hidden_layers * per_layer

    tokens, width = 3 * config.plane_size**2, backbone.in_channels
    to_itself = 8 * tokens * width**2 + 4 * tokens**2 * width
    to_image = 4 * tokens * width**2 + 4 * seen * hidden * width + 4 * tokens * seen * width
    gated = 24 * tokens * width**2
    around = 4 * tokens * width**2 + 8 * tokens * width * config.plane_channels
    return image + backbone.num_layers * (to_itself + to_image + gated) + around


def point_flops(config: TSRConfig, *, projected: bool) -> float:
    """Of density and colour at one point; ``projected``: the first layer was applied to the planes before."""
    neurons = config.decoder_neurons
    first = 0 if projected else 2 * 3 * config.plane_channels * neurons
    return first + 2 * (config.decoder_hidden_layers - 1) * neurons**2 + 2 * neurons * 4


def matmul_peak(dtype: torch.dtype, runs: int = 8) -> float:
    """FLOP/s of torch's matrix product, the best of ``runs``, at the sizes of the network's widest layer."""
    rows, inner, columns = 3072, 1024, 8192
    a, b = (torch.randn(shape).to(dtype) for shape in ((rows, inner), (columns, inner)))
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        torch.nn.functional.linear(a, b)
        seconds.append(time.perf_counter() - start)
    return 2 * rows * inner * columns / min(seconds)
