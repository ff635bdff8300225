"""The orbit as tensor calls, on the CPU: the same pictures as the compiled loops and the plain formulas."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from gpu_container import render, render_torch
from gpu_container.field import Field
from gpu_container.gridded import GriddedField
from gpu_container.tsr.triplane import TriplaneField
from tests.fields import Ball, Empty
from tests.unit.test_render import (
    Bumpy,
    Metal,
    Pictures,
    Radiant,
    Scarce,
    Shaded,
    Smoke,
    Thin,
    chair,
    decibels_between,
    plain,
    plain_chair,
)

__all__ = ["chair", "plain_chair"]  # fixtures


class OnGpu(Shaded):
    """A field that says it lives on a GPU."""

    @property
    def device(self) -> torch.device:
        return torch.device("cuda")

    def to(self, device: torch.device) -> Ball:
        return Shaded()


class Full(OnGpu):
    """A field on a GPU without any memory left."""

    def color(self, points: torch.Tensor) -> torch.Tensor:
        raise torch.OutOfMemoryError


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Small tensors gain nothing by more threads, and lose much where other programs want the cores too."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def pictures_of(field: Field, views: int = 4, size: int = 96, resolution: int = 96) -> Pictures:
    return render_torch.orbit(field, field.density_grid(resolution), views, size, lambda done: None)


@pytest.mark.parametrize(
    ("field", "resolution", "decibels"),
    [
        (Shaded(sharpness=100.0), 128, 50),
        (Shaded(0.7, (0.15, 0.1, 0.0)), 128, 50),
        (Bumpy(), 128, 46),
        (Thin(), 192, 46),
        (Ball(), 96, 34),
    ],
    ids=["ball", "cut off by the cube", "bumps", "thin skin", "colours that jump"],
)
def test_pictures_agree_with_the_compiled_loops_and_the_plain_formulas(
    field: Ball, resolution: int, decibels: float
) -> None:
    pictures = pictures_of(field, 3, 96, resolution)
    looped = render.orbit(field, field.density_grid(resolution), 3, 96)

    for k in range(3):
        assert decibels_between(pictures[k], torch.from_numpy(looped[k]) / 255) > decibels, f"view {k}"
        assert decibels_between(pictures[k], plain(field, 120 * k, 96)) > decibels, f"view {k}"


@pytest.mark.parametrize(
    ("field", "resolution", "decibels"),
    [
        (Shaded(0.7, (0.15, 0.1, 0.0)), 128, 50),
        (Bumpy(), 32, 50),
        (Thin(), 128, 50),
        (Ball(), 96, 44),
        (Ball(4.0), 64, 50),
        (Metal(), 128, 30),
    ],
    ids=["cut off by the cube", "bumps, coarsest grid", "thin skin", "colours that jump", "solid", "metal"],
)
def test_a_field_that_offers_radiance_looks_as_in_the_loops_and_by_the_plain_formulas(
    field: Ball, resolution: int, decibels: float
) -> None:
    pictures = pictures_of(Radiant(field), 3, 96, resolution)
    looped = render.orbit(Radiant(field), field.density_grid(resolution), 3, 96)

    for k in range(3):
        assert decibels_between(pictures[k], torch.from_numpy(looped[k]) / 255) > decibels, f"view {k}"
        assert decibels_between(pictures[k], plain(field, 120 * k, 96)) > decibels, f"view {k}"


@pytest.mark.parametrize(("resolution", "decibels"), [(32, 44), (128, 48)])
def test_a_learned_field_agrees_with_the_plain_formulas(
    chair: TriplaneField, plain_chair: list[torch.Tensor], resolution: int, decibels: float
) -> None:
    pictures = pictures_of(chair, 3, 96, resolution)

    for k in range(3):
        assert decibels_between(pictures[k], plain_chair[k]) > decibels, f"view {k}"


@pytest.mark.parametrize("raw", [-8.0, -5.3, -5.2, -3.0, 1.0])
def test_smoke_is_right_to_one_level_of_a_picture(raw: float) -> None:
    picture = pictures_of(Radiant(Smoke(raw)), 1, 64, 32)[0]

    assert np.abs(picture / 255 - plain(Smoke(raw), 0, 64).numpy()).max() < 1 / 255


def test_a_field_on_a_gpu_is_rendered_by_tensor_calls() -> None:
    field = OnGpu()
    grid = field.density_grid(64)

    shown = render.orbit(field, grid, 2, 64)

    assert np.array_equal(shown, pictures_of(field, 2, 64, 64))


def test_a_gpu_without_memory_hands_the_orbit_to_the_cpu() -> None:
    gridded = GriddedField(Full(), 64)

    shown = gridded.use(lambda it: render.orbit(it.field, it.grid, 2, 64))

    assert np.array_equal(shown, render.orbit(Shaded(), Shaded().density_grid(64), 2, 64))


def test_a_device_short_of_memory_gives_the_same_pictures() -> None:
    assert np.array_equal(pictures_of(Scarce()), pictures_of(Ball()))


@pytest.mark.parametrize("field", [Bumpy(), Radiant(Bumpy())], ids=["from the grid", "exactly"])
def test_the_size_of_the_chunks_does_not_show(field: Ball, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = pictures_of(field, 2)
    monkeypatch.setattr(render_torch, "RAYS", 700)

    assert np.abs(pictures_of(field, 2).astype(int) - whole).max() <= 1


@pytest.mark.parametrize("corner", [(1, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1)])
def test_the_window_of_pixels_and_samples_crops_nothing(corner: tuple[int, int, int]) -> None:
    x, y, z = (0.68 * sign for sign in corner)
    field = Shaded(0.18, (x, y, z), sharpness=200.0)

    for k, picture in enumerate(pictures_of(field, 3, 64, 128)):
        assert (torch.from_numpy(picture) / 255 - plain(field, 120 * k, 64)).abs().amax() < 0.1


@pytest.mark.parametrize("size", [1, 7, 65])
def test_odd_sizes_render_too(size: int) -> None:
    picture = pictures_of(Bumpy(), 1, size)[0]

    assert picture.shape == (size, size, 3)
    assert decibels_between(picture, plain(Bumpy(), 0, size)) > 35


def test_an_empty_field_gives_white_pictures_and_progress_rises_to_one() -> None:
    told: list[float] = []

    pictures = render_torch.orbit(Empty(), Empty().density_grid(32), 3, 32, told.append)

    assert (pictures == 255).all()
    assert told == pytest.approx([1 / 3, 2 / 3, 1])
