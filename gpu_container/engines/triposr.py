"""The learned engine: TripoSR, from a checkpoint on this machine."""

from __future__ import annotations

import logging
import time
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from gpu_container.field import Field
from gpu_container.photo import Frame
from gpu_container.tsr import checkpoint
from gpu_container.tsr.model import TSR
from gpu_container.tsr.triplane import TriplaneField
from infra.errors import MissingDependency

log = logging.getLogger(__name__)


class TripoSR:
    """Photo → scene code → Field. Holds the network: make it once, use it for every job."""

    name = "triposr"

    def __init__(self, network: TSR) -> None:
        self._network = network

    @property
    def frame_size(self) -> int:
        return self._network.config.cond_image_size

    @property
    def view_size(self) -> int:
        """On a CPU the pictures of a network's field take their time."""
        return 256 if self._network.device.type == "cpu" else 512

    def encode(self, picture: NDArray[np.float32]) -> torch.Tensor:
        """The scene code of ``picture`` ``(s, s, 3)``, see :meth:`TSR.encode`."""
        return self._network.encode(picture)

    def reconstruct(self, frame: Frame) -> Field:
        """The Field of a framed photo, on the network's device."""
        return TriplaneField(self.encode(frame.rgb), self._network.decoder)


def present(directory: Path | None) -> bool:
    """Whether there are weights in ``directory``; whether they are sound shows when they are loaded."""
    return directory is not None and any((directory / name).is_file() for name in checkpoint.FILES)


def load(directory: Path, device: torch.device) -> TripoSR:
    """The engine with the weights in ``directory``: kept, so that only a process's first job waits for them.

    Raises:
        WeightsMissing, WeightsCorrupt: see :meth:`TSR.load`.
    """
    found = checkpoint.find(directory).stat()
    return _load(directory, device, (found.st_mtime_ns, found.st_size))


@lru_cache(maxsize=1)
def _load(directory: Path, device: torch.device, version: tuple[int, int]) -> TripoSR:
    """``version`` tells the files of one directory apart: new weights are loaded anew."""
    started = time.perf_counter()
    network = TSR.load(directory, device)
    if device.type == "cpu":
        _accelerate(network)
    engine = TripoSR(network)
    log.info("TripoSR loaded from %s onto %s in %.1f s", directory, device, time.perf_counter() - started)
    return engine


def _accelerate(network: TSR) -> None:
    """Have OpenVINO do the network's work, where it is installed."""
    try:
        from gpu_container.tsr.openvino_backend import accelerate
    except MissingDependency:
        log.info("the network runs in torch: OpenVINO is not installed")
        return
    accelerate(network)
