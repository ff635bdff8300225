"""Engines: a framed photo → Field. ``choose`` says which one works, and says so in the log."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Protocol

import torch

from gpu_container.engines.inflate import Inflate
from gpu_container.field import Field
from gpu_container.photo import Frame
from infra.errors import WeightsMissing
from infra.options import EngineName

log = logging.getLogger(__name__)


class Engine(Protocol):
    """One way from a photo to a Field."""

    @property
    def name(self) -> str:
        """As in the job record and the manifest."""
        ...

    @property
    def frame_size(self) -> int:
        """Side of the Frame it wants, pixels."""
        ...

    @property
    def view_size(self) -> int:
        """Side of the orbit's pictures that it renders in good time, pixels, when nobody asks for another."""
        ...

    def reconstruct(self, frame: Frame) -> Field:
        """The Field of a framed photo, on the engine's device.

        Raises:
            ReconstructionError: no model came of the photo.
            NoClearObject: there is nothing in the frame.
        """
        ...


def choose(name: EngineName, weights: Path | None, device: torch.device) -> Engine:
    """The engine asked for; ``auto`` takes the best one that this machine can run.

    Args:
        name: ``auto``, ``triposr`` or ``inflate``.
        weights: directory of the TripoSR checkpoint; None where there is none.
        device: where the Field's tensors shall live.

    Raises:
        WeightsMissing: ``triposr`` was asked for by name and cannot run here; never a silent substitute.
    """
    if name == "triposr":
        where = f"in {weights}" if weights else "on this machine"
        raise WeightsMissing(
            f"The triposr engine cannot run {where} yet. Ask for engine=inflate, which needs no weights."
        )
    if name == "auto":
        log.info("engine: inflate (auto; triposr is not available on this machine)")
    return Inflate(device)
