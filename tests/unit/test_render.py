"""Pictures of fields whose look is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from gpu_container import march, render
from gpu_container.camera import orbit_cameras, pixel_offsets
from gpu_container.field import SURFACE_DENSITY, SURFACE_RAW, Field, RadianceField
from gpu_container.tsr.decoder import Decoder
from gpu_container.tsr.triplane import TriplaneField
from tests import reference, scene
from tests.fields import Ball, Empty

Pictures = NDArray[np.uint8]


class Bumpy(Ball):
    """A ball with bumps and a fine pattern, both finer than a soft field's skin is thick."""

    def __init__(self) -> None:
        super().__init__(radius=0.45, sharpness=100.0)

    def signed_distance(self, points: torch.Tensor) -> torch.Tensor:
        waves = torch.sin(14 * points).prod(dim=-1)
        return super().signed_distance(points) + 0.05 * waves

    def color(self, points: torch.Tensor) -> torch.Tensor:
        return 0.5 + 0.45 * torch.sin(25 * points + torch.tensor([0.0, 1.0, 2.0]))


class Thin(Bumpy):
    """Its skin is so thin that 128 samples of a ray would miss it."""

    def __init__(self) -> None:
        super().__init__()
        self.sharpness = 300.0

    @property
    def ray_samples(self) -> int:
        return 512


class Shaded(Ball):
    """A ball whose colours change smoothly."""

    def color(self, points: torch.Tensor) -> torch.Tensor:
        return 0.5 + 0.5 * torch.sin(4 * points)


class Radiant(Ball):
    """Another field, drawn from its own density instead of its grid's; counts how often it is asked."""

    def __init__(self, field: Ball) -> None:
        super().__init__(field.radius, (0.0, 0.0, 0.0), field.sharpness)
        self.field = field
        self.asked = 0

    @property
    def ray_samples(self) -> int:
        return self.field.ray_samples

    def signed_distance(self, points: torch.Tensor) -> torch.Tensor:
        return self.field.signed_distance(points)

    def density(self, points: torch.Tensor) -> torch.Tensor:
        return self.field.density(points)

    def color(self, points: torch.Tensor) -> torch.Tensor:
        return self.field.color(points)

    def radiance(self, points: torch.Tensor) -> torch.Tensor:
        self.asked += len(points)
        return torch.cat([1 + self.density(points).log()[:, None], self.color(points)], dim=1)


class Smoke(Ball):
    """The same thin black smoke everywhere, and nothing in it."""

    def __init__(self, raw: float) -> None:
        super().__init__()
        self.smoke = raw

    def signed_distance(self, points: torch.Tensor) -> torch.Tensor:
        return torch.full(points.shape[:-1], (self.smoke - 1 - math.log(SURFACE_DENSITY)) / self.sharpness)

    def color(self, points: torch.Tensor) -> torch.Tensor:
        return torch.zeros_like(points)


class Metal(Ball):
    """A ball whose density leaps from nothing to far more than any float's exponential could hold."""

    def density(self, points: torch.Tensor) -> torch.Tensor:
        return torch.where(self.signed_distance(points) > 0, 1e38, 1e-6)

    def density_grid(self, resolution: int) -> torch.Tensor:
        return torch.where(super().density_grid(resolution) > SURFACE_RAW, 88.5, -12.8)


class Scarce(Ball):
    """A field whose device runs out of memory at more than 5000 points."""

    def color(self, points: torch.Tensor) -> torch.Tensor:
        if len(points) > 5000:
            raise torch.OutOfMemoryError
        return super().color(points)


class Broken(Ball):
    """A field that fails while it is drawn."""

    def color(self, points: torch.Tensor) -> torch.Tensor:
        raise ValueError("no colour today")


@pytest.fixture(scope="module")
def chair() -> TriplaneField:
    """The realistic scene, as a learned field."""
    return TriplaneField(scene.triplane(), Decoder.from_state_dict(scene.decoder_weights()))


@pytest.fixture(scope="module")
def plain_chair(chair: TriplaneField) -> list[torch.Tensor]:
    """What the reference shows of it, in three views at 96²."""
    return [plain(chair, 120 * k, 96) for k in range(3)]


def pictures_of(field: Field, views: int = 4, size: int = 128, resolution: int = 96) -> Pictures:
    return render.orbit(field, field.density_grid(resolution), views, size)


def plain(field: Field, azimuth_degrees: float, size: int) -> torch.Tensor:
    """What the reference shows; on one thread, since its many short tensor calls gain nothing by more."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return reference.render(field, azimuth_degrees, size)
    finally:
        torch.set_num_threads(threads)


def decibels_between(picture: Pictures, expected: torch.Tensor) -> float:
    return reference.psnr(torch.from_numpy(picture) / 255, expected)


def centroid(picture: Pictures) -> tuple[float, float]:
    """Column and row of what is not white, relative to the middle, rightwards and upwards, in half sides."""
    ink = 255.0 - picture.min(axis=-1)
    rows, columns = np.indices(ink.shape)
    half = len(ink) / 2
    return (
        float((ink * (columns + 0.5)).sum() / ink.sum() / half - 1),
        float(1 - (ink * (rows + 0.5)).sum() / ink.sum() / half),
    )


def test_the_first_picture_shows_the_front_and_the_opposite_one_the_back() -> None:
    front, _, back, _ = pictures_of(Ball())[:, 64, 64]

    assert front[0] > 250
    assert front[2] < 5
    assert back[2] > 250
    assert back[0] < 5


def test_y_is_right_and_z_is_up_in_the_first_picture() -> None:
    at_right = centroid(pictures_of(Ball(0.1, (0.0, 0.35, 0.0), 80.0))[0])
    at_top = centroid(pictures_of(Ball(0.1, (0.0, 0.0, 0.35), 80.0))[0])
    shown_at = 0.35 / (1.9 * math.tan(math.radians(20)))

    assert at_right == pytest.approx((shown_at, 0), abs=0.01)
    assert at_top == pytest.approx((0, shown_at), abs=0.01)


def test_what_is_in_front_comes_to_the_left_after_a_quarter_of_the_orbit() -> None:
    column, row = centroid(pictures_of(Ball(0.1, (0.35, 0.0, 0.0), 80.0))[1])

    assert column == pytest.approx(-0.35 / (1.9 * math.tan(math.radians(20))), abs=0.01)
    assert row == pytest.approx(0, abs=0.01)


def test_a_hard_balls_outline_has_the_radius_that_perspective_gives_it() -> None:
    size, radius = 256, 0.5
    pictures = pictures_of(Ball(radius, sharpness=400.0), views=5, size=size, resolution=256)
    tangent = radius / math.sqrt(1.9**2 - radius**2)
    expected = tangent / math.tan(math.radians(20)) * size / 2

    for picture in pictures:
        covered = (picture.min(axis=-1) < 128).sum()
        assert math.sqrt(covered / math.pi) == pytest.approx(expected, abs=1)


def test_rays_that_miss_are_exactly_white() -> None:
    pictures = pictures_of(Ball(0.2, sharpness=200.0))
    away = np.hypot(*np.meshgrid(pixel_offsets(128), pixel_offsets(128))) > 0.2

    assert (pictures[:, away] == 255).all()
    assert (pictures[:, 64, 64] != 255).any(axis=-1).all()


def test_an_empty_field_gives_white_pictures() -> None:
    told: list[float] = []
    field = Empty()

    pictures = render.orbit(field, field.density_grid(48), 3, 64, told.append)

    assert pictures.shape == (3, 64, 64, 3)
    assert (pictures == 255).all()
    assert told[-1] == 1


def test_the_same_field_gives_the_same_bytes() -> None:
    assert pictures_of(Bumpy()).tobytes() == pictures_of(Bumpy()).tobytes()


@pytest.mark.parametrize(
    ("field", "resolution", "decibels"),
    [
        (Shaded(sharpness=100.0), 128, 50),
        (Shaded(0.7, (0.15, 0.1, 0.0)), 128, 50),
        (Bumpy(), 128, 50),
        (Bumpy(), 256, 50),
        (Thin(), 256, 50),
        (Ball(), 256, 35),
    ],
    ids=["ball", "cut off by the cube", "bumps, coarse grid", "bumps", "thin skin", "colours that jump"],
)
def test_pictures_agree_with_the_plain_formulas(field: Ball, resolution: int, decibels: float) -> None:
    pictures = pictures_of(field, 5, 96, resolution)

    for k, picture in enumerate(pictures):
        assert decibels_between(picture, plain(field, 360 * k / 5, 96)) > decibels, f"view {k}"


@pytest.mark.parametrize(("resolution", "decibels"), [(32, 45), (128, 49), (256, 49)])
def test_a_learned_field_agrees_with_the_plain_formulas(
    chair: TriplaneField, plain_chair: list[torch.Tensor], resolution: int, decibels: float
) -> None:
    pictures = pictures_of(chair, 3, 96, resolution)

    for k in range(3):
        assert decibels_between(pictures[k], plain_chair[k]) > decibels, f"view {k}"


def test_rays_that_miss_a_learned_field_are_white(
    chair: TriplaneField, plain_chair: list[torch.Tensor]
) -> None:
    for picture, expected in zip(pictures_of(chair, 3, 96), plain_chair, strict=True):
        # its empty space holds some smoke: three tenths of a level
        missing = (expected > 1 - 0.4 / 255).all(dim=-1).numpy()
        assert missing.mean() > 0.4
        assert (picture[missing] == 255).all()


@pytest.mark.parametrize(
    ("field", "resolution", "decibels"),
    [
        (Shaded(sharpness=100.0), 128, 50),
        (Shaded(0.7, (0.15, 0.1, 0.0)), 128, 50),
        (Bumpy(), 32, 50),
        (Bumpy(), 128, 50),
        (Thin(), 128, 50),
        (Ball(), 128, 45),
        (Ball(4.0), 64, 50),
    ],
    ids=[
        "ball",
        "cut off by the cube",
        "bumps, coarsest grid",
        "bumps",
        "thin skin",
        "colours that jump",
        "solid",
    ],
)
def test_a_field_that_offers_radiance_agrees_with_the_plain_formulas(
    field: Ball, resolution: int, decibels: float
) -> None:
    assert isinstance(Radiant(field), RadianceField)
    assert not isinstance(field, RadianceField)

    pictures = pictures_of(Radiant(field), 3, 96, resolution)

    for k, picture in enumerate(pictures):
        assert decibels_between(picture, plain(field, 120 * k, 96)) > decibels, f"view {k}"


def test_a_field_that_offers_radiance_is_believed_more_than_its_grid() -> None:
    field = Radiant(Bumpy())
    grid = field.density_grid(96)
    noise = 2 * torch.rand(grid.shape, generator=torch.Generator().manual_seed(7)) - 1
    expected = [plain(field, 180 * k, 96) for k in range(2)]

    from_field = render.orbit(field, grid + noise, 2, 96)
    from_grid = render.orbit(field.field, grid + noise, 2, 96)

    for k in range(2):
        assert decibels_between(from_field[k], expected[k]) > 50
        assert decibels_between(from_grid[k], expected[k]) < 43


def test_little_is_asked_for_where_the_object_is_hard_and_nothing_behind_it() -> None:
    field = Radiant(Ball(0.5, sharpness=400.0))
    pictures = pictures_of(field, 2, 128, 256)

    assert field.asked < 4 * (pictures.min(axis=-1) < 255).sum()


@pytest.mark.parametrize("raw", [-8.0, -5.3, -5.2, -4.0, -3.0, -1.0, 1.0])
def test_smoke_is_right_to_one_level_of_a_picture(raw: float) -> None:
    picture = pictures_of(Radiant(Smoke(raw)), 1, 64, 32)[0]

    assert np.abs(picture / 255 - plain(Smoke(raw), 0, 64).numpy()).max() < 1 / 255


def test_an_empty_field_that_offers_radiance_gives_white_pictures_unasked() -> None:
    field = Radiant(Empty(sharpness=10.0))

    assert (pictures_of(field, 2, 64, 48) == 255).all()
    assert field.asked == 0


def test_a_grid_of_the_smallest_resolution_still_shows_the_object() -> None:
    field = Shaded(0.5, sharpness=20.0)

    assert decibels_between(pictures_of(field, 1, 64, 32)[0], plain(field, 0, 64)) > 35


@pytest.mark.parametrize("size", [1, 7, 65])
def test_odd_sizes_render_too(size: int) -> None:
    picture = pictures_of(Bumpy(), views=1, size=size)[0]

    assert picture.shape == (size, size, 3)
    assert decibels_between(picture, plain(Bumpy(), 0, size)) > 35


@pytest.mark.parametrize("corner", [(s, t, u) for s in (-1, 1) for t in (-1, 1) for u in (-1, 1)])
def test_the_window_of_pixels_crops_nothing_of_an_object_in_a_corner(corner: tuple[int, int, int]) -> None:
    x, y, z = (0.68 * sign for sign in corner)
    field = Shaded(0.18, (x, y, z), sharpness=200.0)
    pictures = pictures_of(field, 3, 64, 128)

    for k, picture in enumerate(pictures):
        shown, expected = torch.from_numpy(picture) / 255, plain(field, 120 * k, 64)
        assert (shown - expected).abs().amax() < 0.1


def test_no_block_with_visible_density_counts_as_empty() -> None:
    raw = np.full((34, 34, 34), -8, np.float32)
    raw[12, 20, 33] = march.NOTHING_RAW + 0.1
    occupied = np.empty((9, 9, 9), np.bool_)

    for first in range(9):
        march.occupied_blocks(raw, march.NOTHING_RAW, occupied, first)

    # sample 12 is a corner of cells on both sides of x = 12, sample 20 of both sides of y = 20
    assert sorted(map(tuple, np.argwhere(occupied).tolist())) == [(2, 4, 8), (2, 5, 8), (3, 4, 8), (3, 5, 8)]


def test_a_device_short_of_memory_gives_the_same_pictures() -> None:
    assert (pictures_of(Scarce()) == pictures_of(Ball())).all()


def test_a_field_that_offers_radiance_gives_the_same_bytes_and_any_strips_fit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = pictures_of(Radiant(Bumpy()))
    monkeypatch.setattr(render, "STRIP_RAYS", 700)

    assert (pictures_of(Radiant(Bumpy())) == whole).all()


def test_what_a_field_raises_arrives() -> None:
    threads = torch.get_num_threads()

    with pytest.raises(ValueError, match="no colour today"):
        pictures_of(Broken())
    assert torch.get_num_threads() == threads


def test_progress_rises_to_one() -> None:
    told: list[float] = []
    field = Ball()

    render.orbit(field, field.density_grid(48), 6, 64, told.append)

    assert told == sorted(told)
    assert told[-1] == 1
    assert len(told) >= 6


def test_cameras_stand_on_a_circle_and_look_at_the_origin() -> None:
    for k, camera in enumerate(orbit_cameras(8)):
        azimuth = math.radians(45 * k)
        assert camera.position == pytest.approx([1.9 * math.cos(azimuth), 1.9 * math.sin(azimuth), 0])
        assert camera.forward == pytest.approx(-camera.position / 1.9)
        assert np.cross(camera.right, camera.forward) == pytest.approx(camera.up)
        origin, directions = reference.look_at_rays(45 * k, 4)
        assert origin.numpy() == pytest.approx(camera.position)
        corner = camera.forward + pixel_offsets(4)[0] * camera.right - pixel_offsets(4)[0] * camera.up
        assert directions[0, 0].numpy() == pytest.approx(corner / np.linalg.norm(corner))
