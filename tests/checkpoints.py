"""Checkpoint directories for tests and benchmarks, since the published one is 1.7 GB and not ours to ship.

- ``tiny``: the golden tiny network;
- ``scene``: a small network that sees a chair with a teapot in every photo;
- ``full``: the published sizes, weights from a seed: every photo becomes noise;
- ``full-scene``: the published sizes, and the chair.

::

    python -m tests.checkpoints KIND DIRECTORY
"""

from __future__ import annotations

import argparse
import json
import math
from functools import partial
from pathlib import Path

import numpy as np
import torch
import yaml
from safetensors.torch import save_file

from gpu_container.tsr.config import read_config
from gpu_container.tsr.model import TSR
from tests import scene

DATA = Path(__file__).parent / "data"

#: what the published config.yaml says
FULL_CONFIG = {
    "cond_image_size": 512,
    "image_tokenizer": {"pretrained_model_name_or_path": "facebook/dino-vitb16"},
    "tokenizer": {"plane_size": 32, "num_channels": 1024},
    "backbone": {
        "in_channels": "${tokenizer.num_channels}",
        "num_attention_heads": 16,
        "attention_head_dim": 64,
        "num_layers": 16,
        "cross_attention_dim": 768,
    },
    "post_processor": {"in_channels": 1024, "out_channels": 40},
    "decoder": {"in_channels": 120, "n_neurons": 64, "n_hidden_layers": 9, "activation": "silu"},
    "renderer": {
        "radius": 0.87,
        "feature_reduction": "concat",
        "density_activation": "exp",
        "density_bias": -1.0,
        "num_samples_per_ray": 128,
    },
}

#: a small vision model
VISION = {
    "hidden_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "intermediate_size": 128,
    "patch_size": 16,
    "image_size": 224,
}


def golden() -> dict[str, np.ndarray]:
    """Everything the reference computed with the tiny network; see tests/data/README.md."""
    with np.load(DATA / "golden_tiny.npz") as stored:
        return {name: stored[name] for name in stored.files}


def tiny_weights() -> dict[str, torch.Tensor]:
    """State dict of the golden tiny network."""
    return {name[3:]: torch.from_numpy(value) for name, value in golden().items() if name.startswith("sd/")}


def write_tiny(directory: Path, file: str = "model.safetensors") -> Path:
    """The golden tiny network as a checkpoint directory."""
    told = json.loads(str(golden()["config_json"]))
    config = told["model"] | {"image_tokenizer": told["model"]["image_tokenizer"] | {"vit": told["vit"]}}
    return write(directory, config, tiny_weights(), file)


def full_shapes() -> dict[str, tuple[int, ...]]:
    """Names and shapes of the published checkpoint's tensors."""
    lines = (line.split("\t") for line in (DATA / "triposr_keys.txt").read_text().splitlines())
    return {name: tuple(int(n) for n in shape.strip("()").split(",") if n.strip()) for name, shape, _ in lines}


def seeded(shapes: dict[str, tuple[int, ...]], seed: int = 1234) -> dict[str, torch.Tensor]:
    """Weights that keep a signal's size from layer to layer: noise, but numbers as real ones have them."""
    generator = torch.Generator().manual_seed(seed)
    weights = {}
    for name, shape in shapes.items():
        noise = torch.empty(shape).uniform_(-math.sqrt(3), math.sqrt(3), generator=generator)  # unit variance
        if name.endswith("bias"):
            weights[name] = 0.05 * noise
        elif len(shape) == 1:  # gains of the norms
            weights[name] = 1 + 0.1 * noise
        elif name.endswith(("cls_token", "position_embeddings")):
            weights[name] = 0.2 * noise
        elif name.startswith("tokenizer"):
            weights[name] = noise / math.sqrt(shape[1])
        elif name.startswith("post_processor"):
            weights[name] = 0.15 * noise / math.sqrt(shape[0])
        else:
            gain = 3.0 if name.startswith("decoder") else 1.0
            weights[name] = noise * math.sqrt(gain / math.prod(shape[1:]))
    return weights


def with_scene(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """``weights`` changed so that every photo becomes the scene of tests/scene.py, after the same work as ever.

    The backbone's last layer is silenced, so the learned tokens pass it as they are; they hold the scene, four
    texels side by side in as many channels, and the upsampler lays them out.
    """
    planes = scene.triplane()
    channels = planes.shape[1]
    tokens = weights["tokenizer.embeddings"]
    cells = torch.nn.functional.pixel_unshuffle(planes, 2)  # (3, 4 c, s / 2, s / 2): channel, row, column
    upsample = torch.zeros(tokens.shape[1], channels, 2, 2)
    for channel in range(channels):
        for texel in range(4):
            upsample[4 * channel + texel, channel, texel // 2, texel % 2] = 1
    return weights | {
        "tokenizer.embeddings": torch.cat([cells, tokens[:, cells.shape[1] :]], dim=1),
        "backbone.proj_out.weight": torch.zeros_like(weights["backbone.proj_out.weight"]),
        "backbone.proj_out.bias": torch.zeros_like(weights["backbone.proj_out.bias"]),
        "post_processor.upsample.weight": upsample,
        "post_processor.upsample.bias": torch.zeros(channels),
        **{f"decoder.{name}": value for name, value in scene.decoder_weights().items()},
    }


def write_scene(directory: Path, file: str = "model.safetensors") -> Path:
    """A checkpoint directory of some megabytes whose every reconstruction is the scene of tests/scene.py."""
    config = FULL_CONFIG | {
        "image_tokenizer": {"vit": VISION},
        "tokenizer": {"plane_size": 32, "num_channels": 160},
        "backbone": {
            "in_channels": 160,
            "num_attention_heads": 10,
            "attention_head_dim": 16,
            "num_layers": 1,
            "cross_attention_dim": VISION["hidden_size"],
        },
        "post_processor": {"in_channels": 160, "out_channels": 40},
    }
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "config.yaml").write_text(yaml.safe_dump(config))
    network = TSR(read_config(directory))
    shapes = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    return write(directory, config, with_scene(seeded(shapes)), file)


def write_full(directory: Path, file: str = "model.safetensors", *, of_scene: bool = False) -> Path:
    """A checkpoint directory of the published sizes, 1.7 GB."""
    weights = seeded(full_shapes())
    return write(directory, FULL_CONFIG, with_scene(weights) if of_scene else weights, file)


def write(directory: Path, config: dict[str, object], weights: dict[str, torch.Tensor], file: str) -> Path:
    """``config.yaml`` and ``file`` in ``directory``, which is made if need be."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "config.yaml").write_text(yaml.safe_dump(config))
    if file.endswith(".ckpt"):
        torch.save(weights, directory / file)
    else:
        save_file(weights, directory / file)
    return directory


MAKERS = {
    "tiny": write_tiny,
    "scene": write_scene,
    "full": write_full,
    "full-scene": partial(write_full, of_scene=True),
}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.checkpoints", description=__doc__)
    parser.add_argument("kind", choices=MAKERS)
    parser.add_argument("directory", type=Path)
    asked = parser.parse_args()
    print(MAKERS[asked.kind](asked.directory))
