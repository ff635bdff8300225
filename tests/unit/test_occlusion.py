"""How much of the sky is open: cases that can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from gpu_container import mesh, occlusion, texture
from gpu_container.mesh import Mesh
from tests.fields import Ball


def quads(*corners: list[tuple[float, float, float]]) -> Mesh:
    """Squares of two triangles each."""
    vertices = np.array(corners, np.float32).reshape(-1, 3)
    first = np.arange(len(corners))[:, None] * 4
    faces = np.concatenate([first + np.array([0, 1, 2]), first + np.array([0, 2, 3])])
    return Mesh(vertices, faces.astype(np.int32))


class Two(Ball):
    """Two balls that touch, side by side."""

    def signed_distance(self, points: torch.Tensor) -> torch.Tensor:
        aside = torch.tensor([0.0, 0.28, 0.0])
        return torch.maximum(super().signed_distance(points - aside), super().signed_distance(points + aside))


#: two large squares that meet at right angles along the y axis: one lies, the other stands
CORNER = quads(
    [(0, -50, 0), (50, -50, 0), (50, 50, 0), (0, 50, 0)],
    [(0, -50, 0), (0, 50, 0), (0, 50, 50), (0, -50, 50)],
)


def seen(
    surface: Mesh, points: NDArray[np.float32], normal: tuple[int, int, int], floor: bool = False
) -> float:
    facing = np.tile(np.array(normal, np.float32), (len(points), 1))
    return float(occlusion.openness(surface, points, facing, facing, floor).mean())


def along(axis: int, count: int = 200) -> NDArray[np.float32]:
    points = np.zeros((count, 3), np.float32)
    points[:, axis] = np.linspace(-1, 1, count)
    return points


def test_directions_are_spread_evenly() -> None:
    directions = occlusion.directions(occlusion.DIRECTIONS)
    np.testing.assert_allclose(np.linalg.norm(directions, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(directions.mean(axis=0), 0, atol=5e-3)
    np.testing.assert_allclose(directions.T @ directions / len(directions), np.eye(3) / 3, atol=5e-3)


def test_a_ball_by_itself_sees_all_of_its_sky() -> None:
    field = Ball(0.6)
    surface = mesh.extract(field, field.density_grid(64), 3000)
    normals = surface.vertices / np.linalg.norm(surface.vertices, axis=1, keepdims=True)
    corners = surface.vertices[surface.faces]
    facing = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    facing /= np.linalg.norm(facing, axis=1, keepdims=True)
    smooth = normals[surface.faces].mean(axis=1)
    open_sky = occlusion.openness(surface, corners.mean(axis=1), smooth, facing, floor=False)
    assert open_sky.min() > 0.995


def test_half_of_the_sky_is_left_in_the_corner_of_two_planes() -> None:
    beside = along(1) + np.array([0.02, 0, 0], np.float32)
    assert seen(CORNER, beside, (0, 0, 1)) == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("distance", [0.5, 1.0, 2.0])
def test_a_wall_hides_what_its_height_and_distance_say(distance: float) -> None:
    """Of an endless wall of height h at distance d a floor keeps (1 + d / sqrt(d² + h²)) / 2 of its light."""
    wall = quads([(0, -90, 0), (0, 90, 0), (0, 90, 1), (0, -90, 1)])
    points = along(1) + np.array([distance, 0, 0], np.float32)
    expected = (1 + distance / np.hypot(distance, 1)) / 2
    assert seen(wall, points, (0, 0, 1)) == pytest.approx(expected, abs=0.03)


def test_a_floor_darkens_undersides_and_feet_and_nothing_above() -> None:
    field = Ball(0.6)
    surface = mesh.extract(field, field.density_grid(64), 3000)
    bottom, middle, top = (np.array([place], np.float32) for place in ([0, 0, -0.6], [0.6, 0, 0], [0, 0, 0.6]))
    assert seen(surface, bottom, (0, 0, -1), floor=True) < 0.05
    assert 0.5 < seen(surface, middle, (1, 0, 0), floor=True) <= 1
    assert seen(surface, top, (0, 0, 1), floor=True) == pytest.approx(1)


@pytest.mark.parametrize("size", [256, 1024])
def test_the_map_is_dark_between_bodies_that_touch_and_the_same_each_time(size: int) -> None:
    field = Two(0.3)
    grid = field.density_grid(64)
    surface = mesh.extract(field, grid, 2000)
    once, again = (texture.bake(surface, field, grid, size, ambient_occlusion=True) for _ in range(2))
    assert once.occlusion is not None
    assert again.occlusion is not None
    assert once.occlusion.shape == (size, size)
    assert once.occlusion.dtype == np.uint8
    assert np.array_equal(once.occlusion, again.occlusion)
    middle = once.uv[np.abs(once.vertices[:, 1]) < 0.02]
    outside = once.uv[(np.abs(once.vertices[:, 1]) > 0.5) & (once.vertices[:, 2] > 0)]
    at = [once.occlusion[tuple((uv * size - 0.5).round().astype(int).T[::-1])] for uv in (middle, outside)]
    assert at[0].mean() < 195
    assert at[1].mean() > 240


def test_no_map_is_made_that_nobody_asked_for() -> None:
    field = Ball(0.5)
    grid = field.density_grid(48)
    assert texture.bake(mesh.extract(field, grid, 600), field, grid, 256).occlusion is None
