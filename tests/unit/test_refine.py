"""The refined grid has the dense grid's surface, in all odd shapes, for a small part of the questions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import product

import pytest
import torch
import torch.nn.functional as F

from gpu_container.field import SURFACE_RAW
from gpu_container.tsr.refine import OPACITY_ERROR, refined_grid

#: samples along an axis; 4 divides neither this nor the intervals
SIDE = 67
MIDDLE = SIDE / 2 + torch.tensor([0.37, 0.16, -0.13])
SLANTED = torch.tensor([0.6, 0.48, 0.64])

#: signed distance ``(n,)`` in voxels, positive inside, at ``(n, 3)``
Shape = Callable[[torch.Tensor], torch.Tensor]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Small tensors gain nothing by more threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def plate(at: torch.Tensor, thickness: float, normal: torch.Tensor) -> torch.Tensor:
    return thickness / 2 - ((at - MIDDLE) @ normal).abs()


def hair(
    at: torch.Tensor, diameter: float, along: torch.Tensor, through: torch.Tensor = MIDDLE
) -> torch.Tensor:
    offset = at - through
    return diameter / 2 - (offset - (offset @ along)[:, None] * along).norm(dim=1)


def hairs(at: torch.Tensor) -> torch.Tensor:
    """A dozen of 1.5 voxels, crossing at random."""
    dice = torch.Generator().manual_seed(1)
    distance = torch.full((len(at),), -1e3)
    for _ in range(12):
        along = F.normalize(torch.randn(3, generator=dice), dim=0)
        through = MIDDLE + 28 * (torch.rand(3, generator=dice) * 2 - 1)
        distance = torch.maximum(distance, hair(at, 1.5, along, through))
    return distance


def ball(at: torch.Tensor, radius: float, center: torch.Tensor = MIDDLE) -> torch.Tensor:
    return radius - (at - center).norm(dim=1)


def torus(at: torch.Tensor) -> torch.Tensor:
    x, y, z = (at - MIDDLE).unbind(1)
    return 3 - torch.hypot(torch.hypot(x, y) - 17, z)


def cube(at: torch.Tensor) -> torch.Tensor:
    return 14 - (at - MIDDLE).abs().amax(1)


def thin_shell(at: torch.Tensor) -> torch.Tensor:
    return 0.75 - ball(at, 20).abs()


def tile(at: torch.Tensor) -> torch.Tensor:
    """Thinner than a voxel, with an edge all around."""
    x, y, z = (at - MIDDLE).abs().unbind(1)
    return torch.minimum(0.4 - z, 20 - torch.maximum(x, y))


def cut_off(at: torch.Tensor) -> torch.Tensor:
    """A ball that three faces of the cube cut."""
    return ball(at, 27, torch.tensor([5.0, SIDE - 8.0, SIDE - 2.0]))


def two_scales(at: torch.Tensor) -> torch.Tensor:
    """A large ball with a whisker, and a bead beside it."""
    whisker = hair(at, 1.5, torch.tensor([0.0, 1.0, 0.0]), MIDDLE + torch.tensor([7.0, 0.0, 13.0]))
    bead = ball(at, 1.5, torch.tensor([12.0, 54.0, 33.0]))
    return torch.maximum(ball(at, 14), torch.maximum(whisker, bead))


def noise(at: torch.Tensor, period: int) -> torch.Tensor:
    values = torch.randn(1, 1, *[SIDE // period] * 3, generator=torch.Generator().manual_seed(2))
    where = (at / (SIDE - 1) * 2 - 1)[None, None, None]
    return 8 * F.grid_sample(values, where, align_corners=True).flatten()


def constant(at: torch.Tensor, value: float) -> torch.Tensor:
    return torch.full((len(at),), value)


SHAPES: dict[str, Shape] = {
    "thin plate": partial(plate, thickness=1.2, normal=torch.tensor([1.0, 0.0, 0.0])),
    "slanted plate": partial(plate, thickness=1.5, normal=SLANTED),
    "tile": tile,
    "hair": partial(hair, diameter=1.5, along=torch.tensor([0.0, 0.0, 1.0])),
    "slanted hair": partial(hair, diameter=1.5, along=SLANTED),
    "hairs": hairs,
    "tiny ball": partial(ball, radius=1.2),
    "ball": partial(ball, radius=20),
    "torus": torus,
    "sharp cube": cube,
    "hollow shell": thin_shell,
    "cut off by faces": cut_off,
    "two scales": two_scales,
    "coarse noise": partial(noise, period=8),
    "fine noise": partial(noise, period=3),
    "empty": partial(constant, value=-5.0),
    "full": partial(constant, value=5.0),
}


class Questions:
    """Raw density of a shape that falls by 10 within ``skirt`` voxels of the surface. Keeps what was asked."""

    def __init__(self, shape: Shape, skirt: float) -> None:
        self.shape = shape
        self.slope = 10 / skirt
        self.asked: list[torch.Tensor] = []

    def __call__(self, at: torch.Tensor) -> torch.Tensor:
        self.asked.append(at)
        return SURFACE_RAW + (self.slope * self.shape(at.float())).clamp(-10, 4)


def near_surface(raw: torch.Tensor) -> torch.Tensor:
    """Samples with a surface between them and any of their 26 neighbours."""
    solid = (raw > SURFACE_RAW).float()[None, None]
    return (F.max_pool3d(solid, 3, 1, 1) != -F.max_pool3d(-solid, 3, 1, 1))[0, 0]


def opacity(raw: torch.Tensor) -> torch.Tensor:
    return 1 - torch.exp(-torch.exp(raw - 1) / 128)


@pytest.mark.parametrize(("step", "skirt"), [(4, 20.0), (4, 5.0), (2, 2.5)])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_odd_shapes_whose_skirt_is_wider_than_the_step_lose_nothing(
    shape: Shape, step: int, skirt: float
) -> None:
    questions = Questions(shape, skirt)
    dense, refined = (refined_grid(questions, SIDE, it, 128) for it in (1, step))
    assert torch.equal(refined > SURFACE_RAW, dense > SURFACE_RAW)
    near = near_surface(dense)
    torch.testing.assert_close(refined[near], dense[near], rtol=0, atol=1e-4)
    assert (opacity(refined) - opacity(dense)).abs().max() < 3 * OPACITY_ERROR


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_what_is_lost_without_a_skirt_had_no_sample_of_the_coarse_lattice(shape: Shape) -> None:
    questions = Questions(shape, skirt=0.5)
    dense, refined = (refined_grid(questions, SIDE, it, 128) > SURFACE_RAW for it in (1, 4))
    lost = (refined != dense).nonzero()
    for corner in product((0, 4), repeat=3):
        sample = lost // 4 * 4 + torch.tensor(corner)
        assert torch.equal(questions(sample) > SURFACE_RAW, refined[lost.unbind(1)])


def test_nothing_is_asked_twice_and_little_beyond_the_grid() -> None:
    questions = Questions(torus, skirt=10)
    refined_grid(questions, SIDE, 4, 128)
    asked = torch.cat(questions.asked)
    assert int(asked.min()) == 0
    assert int(asked.max()) == 68
    assert len(asked.unique(dim=0)) == len(asked)


@pytest.mark.parametrize("shape", ["empty", "full"])
def test_where_nothing_changes_the_coarse_lattice_is_all(shape: str) -> None:
    questions = Questions(SHAPES[shape], skirt=10)
    refined_grid(questions, SIDE, 4, 128)
    assert sum(map(len, questions.asked)) == 18**3


def test_a_finer_grid_asks_for_a_smaller_part() -> None:
    parts = []
    for side in (65, 129):
        questions = Questions(
            lambda at, side=side: ball(at, side / 4, torch.full((3,), side / 2)), skirt=side / 8
        )  # type: ignore[misc]
        refined_grid(questions, side, 4, 128)
        parts.append(sum(map(len, questions.asked)) / side**3)
    assert parts[1] < 0.7 * parts[0] < 0.25


@pytest.mark.parametrize("side", [2, 3, 4, 5, 6, 7, 8, 9, 13])
@pytest.mark.parametrize("step", [1, 2, 4, 8])
def test_a_linear_field_comes_out_exactly_at_any_size(side: int, step: int) -> None:
    weights = torch.tensor([0.25, -0.5, 1.0])
    grid = refined_grid(lambda at: at.float() @ weights, side, step, 128)
    expected = torch.cartesian_prod(*[torch.arange(float(side))] * 3) @ weights
    torch.testing.assert_close(grid.flatten(), expected, rtol=0, atol=1e-5)


def test_it_works_in_inference_mode_on_several_threads() -> None:
    questions = Questions(torus, skirt=10)
    expected = refined_grid(questions, SIDE, 4, 128)
    torch.set_num_threads(3)
    with torch.inference_mode():
        assert torch.equal(refined_grid(questions, SIDE, 4, 128), expected)
    assert torch.get_num_threads() == 3
