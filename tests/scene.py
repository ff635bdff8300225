"""The realistic scene: a triplane of TripoSR's shape, fitted to a chair with a teapot on it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

DATA = Path(__file__).parent / "data"


def triplane() -> torch.Tensor:
    """Scene code ``(3, 40, 64, 64) float32``."""
    with np.load(DATA / "scene.npz") as stored:
        return torch.from_numpy(stored["triplane"].astype(np.float32))


def decoder_weights() -> dict[str, torch.Tensor]:
    """State dict of the point network, with the checkpoint's names: ``layers.0.weight`` …"""
    with np.load(DATA / "scene.npz") as stored:
        return {
            name.removeprefix("decoder."): torch.from_numpy(stored[name])
            for name in stored.files
            if name.startswith("decoder.")
        }
