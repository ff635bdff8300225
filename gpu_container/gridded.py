"""A Field with its density grid, which moves to the CPU when the device's memory runs out."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

import torch

from gpu_container.field import Field
from infra.errors import OutOfMemory

log = logging.getLogger(__name__)
T = TypeVar("T")


class GriddedField:
    """What renderer, mesher and baker share: one Field, and its grid computed once."""

    def __init__(self, field: Field, resolution: int) -> None:
        self.field = field
        self.resolution = resolution
        self._grid: torch.Tensor | None = None

    @property
    def grid(self) -> torch.Tensor:
        """Raw density ``(r, r, r)`` on the field's device; see :meth:`Field.density_grid`."""
        if self._grid is None:
            self._grid = self.field.density_grid(self.resolution)
        return self._grid

    def use(self, task: Callable[[GriddedField], T]) -> T:
        """``task(self)``; when device memory runs out, once more with everything on the CPU.

        Raises:
            OutOfMemory: the CPU's memory did not suffice either.
        """
        try:
            return task(self)
        except (torch.OutOfMemoryError, MemoryError):
            if self.field.device.type == "cpu":
                raise OutOfMemory(_ADVICE) from None
            log.warning("Out of memory on %s: going on with the CPU.", self.field.device)
        self._move_to_cpu()
        return self.use(task)

    def _move_to_cpu(self) -> None:
        cpu = torch.device("cpu")
        self.field = self.field.to(cpu)
        self._grid = None if self._grid is None else self._grid.to(cpu)
        torch.cuda.empty_cache()


_ADVICE = "Memory ran out on this machine. Ask for a smaller resolution, texture_size or view_size."
