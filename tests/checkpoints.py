"""Checkpoint directories for tests and benchmarks, since the published one is 1.7 GB and not ours to ship.

python -m tests.checkpoints tiny DIR       the golden tiny network
python -m tests.checkpoints full DIR       the published sizes, weights from a seed
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

import numpy as np
import torch
import yaml
from safetensors.torch import save_file

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


def full_weights(seed: int = 1234) -> dict[str, torch.Tensor]:
    """Weights of the published shapes that keep a signal's size from layer to layer: noise, but numbers as real
    ones have them."""
    generator = torch.Generator().manual_seed(seed)
    weights = {}
    for name, shape in full_shapes().items():
        noise = torch.empty(shape).uniform_(-math.sqrt(3), math.sqrt(3), generator=generator)  # unit variance
        if name.endswith("bias"):
            weights[name] = 0.05 * noise
        elif len(shape) == 1:  # gains of the norms
            weights[name] = 1 + 0.1 * noise
        elif name.endswith(("cls_token", "position_embeddings")):
            weights[name] = 0.2 * noise
        elif name.startswith(("tokenizer", "post_processor")):
            weights[name] = (
                noise * (0.15 if "upsample" in name else 1) / math.sqrt(shape[1 if "tok" in name else 0])
            )
        else:
            gain = 3.0 if name.startswith("decoder") else 1.0
            weights[name] = noise * math.sqrt(gain / math.prod(shape[1:]))
    return weights


def write_full(directory: Path, file: str = "model.safetensors") -> Path:
    """A checkpoint directory of the published sizes, 1.7 GB."""
    return write(directory, FULL_CONFIG, full_weights(), file)


def write(directory: Path, config: dict[str, object], weights: dict[str, torch.Tensor], file: str) -> Path:
    """``config.yaml`` and ``file`` in ``directory``, which is made if need be."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "config.yaml").write_text(yaml.safe_dump(config))
    if file.endswith(".ckpt"):
        torch.save(weights, directory / file)
    else:
        save_file(weights, directory / file)
    return directory


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.checkpoints", description=__doc__)
    parser.add_argument("size", choices=["tiny", "full"])
    parser.add_argument("directory", type=Path)
    asked = parser.parse_args()
    print((write_tiny if asked.size == "tiny" else write_full)(asked.directory))
