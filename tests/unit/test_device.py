"""Running out of memory: halve the chunk, then fall to the CPU, and say so."""

from __future__ import annotations

import logging

import pytest
import torch

from gpu_container.clock import Notices
from gpu_container.device import SMALLEST_CHUNK, evaluate
from gpu_container.gridded import GriddedField
from infra.errors import OutOfMemory
from tests.fields import Ball


class Cramped(Ball):
    """A ball on a pretended device that fits only ``room`` points, until it is moved to the CPU."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self.room = room
        self.largest_call = 0

    @property
    def device(self) -> torch.device:
        return torch.device("cuda")

    def to(self, device: torch.device) -> Ball:
        return Ball(self.radius)

    def density(self, points: torch.Tensor) -> torch.Tensor:
        if len(points) > self.room:
            raise torch.OutOfMemoryError("pretended")
        self.largest_call = max(self.largest_call, len(points))
        return super().density(points)

    def density_grid(self, resolution: int) -> torch.Tensor:
        if resolution**3 > self.room:
            raise torch.OutOfMemoryError("pretended")
        return super().density_grid(resolution)


@pytest.fixture
def points() -> torch.Tensor:
    return torch.rand(100_003, 3, generator=torch.Generator().manual_seed(1)) * 2 - 1


def test_chunks_halve_until_they_fit_and_the_answer_is_the_same(points: torch.Tensor) -> None:
    field = Cramped(room=30_000)

    answer = evaluate(field.density, points, chunk=1 << 17)

    # not to the last bit: how many of a call's points are left over for scalar code depends on its size
    torch.testing.assert_close(answer, Ball().density(points), rtol=1e-6, atol=0)
    assert 15_000 < field.largest_call <= 30_000


def test_chunks_stop_halving_where_it_would_not_help(points: torch.Tensor) -> None:
    with pytest.raises(torch.OutOfMemoryError):
        evaluate(Cramped(room=SMALLEST_CHUNK - 1).density, points)


def test_no_points_give_an_answer_of_no_points() -> None:
    assert evaluate(Ball().color, torch.empty(0, 3)).shape == (0, 3)


def test_a_field_that_does_not_fit_moves_to_the_cpu_and_says_so() -> None:
    gridded = GriddedField(Cramped(room=1000), resolution=16)

    with Notices() as notices:
        grid = gridded.use(lambda g: g.grid)

    assert torch.equal(grid, Ball().density_grid(16))
    assert gridded.field.device.type == "cpu"
    assert notices.messages == ["Out of memory on cuda: going on with the CPU."]


def test_memory_that_runs_out_on_the_cpu_too_is_a_typed_error() -> None:
    def greedy(gridded: GriddedField) -> None:
        raise torch.OutOfMemoryError("pretended")

    with pytest.raises(OutOfMemory, match="smaller resolution"):
        GriddedField(Cramped(room=0), resolution=8).use(greedy)


def test_notices_leave_out_what_other_loggers_say() -> None:
    with Notices() as notices:
        logging.getLogger("somebody.else").warning("not ours")
        logging.getLogger("gpu_container.mesh").warning("ours")
    logging.getLogger("gpu_container.mesh").warning("too late")

    assert notices.messages == ["ours"]
