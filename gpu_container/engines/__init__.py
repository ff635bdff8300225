"""Engines: a framed photo → Field. ``choose`` says which one works, and says so in the log."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Protocol

import torch

from gpu_container.engines import triposr
from gpu_container.engines.inflate import Inflate
from gpu_container.field import Field
from gpu_container.photo import Frame
from infra.errors import WeightsCorrupt, WeightsMissing
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
        WeightsMissing: ``triposr`` was asked for by name and has no weights; never a silent substitute.
        WeightsCorrupt: its weights are damaged; ``auto`` does not pass over that either.
    """
    if name == "triposr" and not triposr.present(weights):
        where = f"in {weights}" if weights else "on this machine"
        raise WeightsMissing(
            f"There are no TripoSR weights {where}. Get them with `maquette weights fetch` and name their "
            "folder in MAQUETTE_WEIGHTS, or ask for engine=inflate, which needs none."
        )
    if name != "inflate" and weights is not None and triposr.present(weights):
        return triposr.load(weights, device)
    if name == "auto":
        log.info("engine: inflate (auto; there are no TripoSR weights %s)", weights or "on this machine")
    return Inflate(device)


def preload(weights: Path | None, device: torch.device) -> None:
    """Load the weights, where there are some, before anyone waits for them.

    Damaged weights are logged and not raised: jobs that want them will be told, all others can be done.
    """
    if weights is not None and triposr.present(weights):
        try:
            triposr.load(weights, device)
        except WeightsCorrupt as error:
            log.warning("%s Jobs for engine=auto and engine=triposr will fail.", error.message)
