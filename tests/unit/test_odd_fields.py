"""Fields that no photo should give, and some will: the right answer, or an error that says what is wrong."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from gpu_container import export, manifest, mesh, pipeline, texture, topology
from gpu_container.field import RADIUS, SURFACE_RAW, grid_axis
from infra import artifacts
from infra.errors import EmptySurface
from infra.options import Options
from tests.fields import Ball, Empty

RESOLUTION, FACES = 64, 3000
SPACING = 2 * RADIUS / (RESOLUTION - 1)

#: signed distance ``(…,)`` at points ``(…, 3)``, positive inside
Shape = Callable[[torch.Tensor], torch.Tensor]


class Solid(Ball):
    """A shape with a soft skin, coloured like a ball."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape

    def signed_distance(self, points: torch.Tensor) -> torch.Tensor:
        return self.shape(points)


def ball(radius: float, x: float = 0.0, y: float = 0.0, z: float = 0.0) -> Shape:
    return lambda points: radius - (points - points.new_tensor([x, y, z])).norm(dim=-1)


def ring(radius: float, thickness: float, y: float, axis: int) -> Shape:
    """A torus around ``axis``, moved along y."""

    def distance(points: torch.Tensor) -> torch.Tensor:
        at = points - points.new_tensor([0, y, 0])
        flat = at[..., [k for k in range(3) if k != axis]].norm(dim=-1) - radius
        return thickness - torch.stack([flat, at[..., axis]], dim=-1).norm(dim=-1)

    return distance


def both(*shapes: Shape) -> Shape:
    return lambda points: torch.stack([shape(points) for shape in shapes]).amax(dim=0)


def without(shape: Shape, taken: Shape) -> Shape:
    return lambda points: torch.minimum(shape(points), -taken(points))


def sphere_volume(radius: float) -> float:
    return 4 / 3 * np.pi * radius**3


def extract(shape: Shape, parts: mesh.Parts = "largest", faces: int = FACES) -> mesh.Mesh:
    field = Solid(shape)
    return mesh.extract(field, field.density_grid(RESOLUTION), faces, parts=parts)


def assert_sound(surface: mesh.Mesh, bodies: int, euler: int) -> float:
    """Closed, manifold, outward, with so many bodies and holes; the volume, as another library has it."""
    judged = trimesh.Trimesh(surface.vertices, surface.faces, process=False)
    assert judged.is_watertight
    assert judged.is_winding_consistent
    assert topology.is_manifold(surface.vertices, surface.faces)
    assert judged.body_count == bodies
    assert judged.euler_number == euler
    assert all(part.volume > 0 for part in judged.split(only_watertight=False))
    return float(judged.volume)


def read_back(shape: Shape, surface: mesh.Mesh, folder: Path) -> dict[str, trimesh.Trimesh]:
    """The models that others open, as trimesh reads them, after texture and export."""
    field = Solid(shape)
    textured = texture.bake(surface, field, field.density_grid(RESOLUTION), 256)
    assert len(textured.faces) == len(textured.mesh.faces) == len(surface.faces)
    export.write_models(textured, folder, 100.0)
    return {
        name: trimesh.load(folder / name, force="mesh", process=False)
        for name in (artifacts.STL, artifacts.PLY, artifacts.GLB)
    }


def test_an_empty_field_has_no_surface_and_says_so() -> None:
    with pytest.raises(EmptySurface, match="plainer background"):
        mesh.extract(Empty(), Empty().density_grid(RESOLUTION), FACES)


@pytest.mark.parametrize("parts", ["largest", "all"])
def test_a_full_cube_is_closed_around_its_outermost_samples(parts: mesh.Parts, tmp_path: Path) -> None:
    shape = ball(9.0)
    surface = extract(shape, parts)
    side = 2 * RADIUS + SPACING
    assert assert_sound(surface, bodies=1, euler=2) == pytest.approx(side**3, rel=0.01)
    if parts == "largest":
        for model in read_back(shape, surface, tmp_path).values():
            assert len(model.faces) == len(surface.faces)


def test_a_thin_shell_that_is_open_keeps_both_its_sides(tmp_path: Path) -> None:
    # GIVEN a bowl with a wall of three samples
    wall = 3 * SPACING
    shape = without(without(ball(0.6), ball(0.6 - wall)), lambda points: points[..., 2])
    surface = extract(shape, faces=6000)
    expected = (sphere_volume(0.6) - sphere_volume(0.6 - wall)) / 2
    assert assert_sound(surface, bodies=1, euler=2) == pytest.approx(expected, rel=0.03)
    for model in read_back(shape, surface, tmp_path).values():
        assert len(model.faces) == len(surface.faces)


def test_a_thin_shell_that_is_closed_is_filled() -> None:
    surface = extract(without(ball(0.6), ball(0.6 - 2 * SPACING)))
    assert assert_sound(surface, bodies=1, euler=2) == pytest.approx(sphere_volume(0.6), rel=0.01)


TWO = both(ball(0.35, y=0.4), ball(0.25, y=-0.4))


def test_of_two_bodies_the_larger_stays_and_the_owner_hears_of_the_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING):
        surface = extract(TWO)
    assert assert_sound(surface, bodies=1, euler=2) == pytest.approx(sphere_volume(0.35), rel=0.01)
    assert surface.vertices[:, 1].min() > 0
    assert "1 more, the longest 71 % as long" in caplog.text


def test_two_bodies_stay_on_request_and_come_out_of_every_file(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        surface = extract(TWO, "all")
    expected = sphere_volume(0.35) + sphere_volume(0.25)
    assert assert_sound(surface, bodies=2, euler=4) == pytest.approx(expected, rel=0.01)
    assert len(surface.faces) <= 1.01 * FACES
    assert not caplog.records
    facts = manifest.mesh_facts(surface, 100.0)
    assert (facts["watertight"], facts["manifold"], facts["bodies"]) == (True, True, 2)
    assert (facts["euler"], facts["genus"], facts["print"]["self_intersections"]) == (4, 0, 0)
    models = read_back(TWO, surface, tmp_path)
    for model in models.values():
        assert len(model.faces) == len(surface.faces)
    printed = models[artifacts.STL]
    printed.merge_vertices()
    assert printed.body_count == 2
    assert printed.bounds[0, 2] == pytest.approx(0, abs=1e-3)


def test_of_all_bodies_specks_go_and_so_does_what_is_shut_in() -> None:
    shut_in = both(without(ball(0.6), ball(0.5)), ball(0.3))
    speck = ball(0.04, x=0.7, y=0.7, z=0.7)
    surface = extract(both(shut_in, speck), "all")
    assert assert_sound(surface, bodies=1, euler=2) == pytest.approx(sphere_volume(0.6), rel=0.01)


def test_fewer_faces_keep_each_body() -> None:
    surface = mesh.fewer_faces(extract(TWO, "all"), 600)
    expected = sphere_volume(0.35) + sphere_volume(0.25)
    assert assert_sound(surface, bodies=2, euler=4) == pytest.approx(expected, rel=0.03)
    assert len(surface.faces) <= 606


@pytest.mark.parametrize("side", [-1, 1])
@pytest.mark.parametrize("axis", range(3))
def test_what_touches_the_box_is_closed_there(axis: int, side: int, tmp_path: Path) -> None:
    middle = {"xyz"[axis]: side * RADIUS}
    shape = ball(0.5, **middle)
    surface = extract(shape)
    half = sphere_volume(0.5) / 2 + np.pi * 0.5**2 * SPACING / 2  # half a sample's width stands out
    assert assert_sound(surface, bodies=1, euler=2) == pytest.approx(half, rel=0.01)
    assert (side * surface.vertices[:, axis]).max() == pytest.approx(RADIUS + SPACING / 2, abs=1e-5)
    if (axis, side) == (2, 1):
        for model in read_back(shape, surface, tmp_path).values():
            assert len(model.faces) == len(surface.faces)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("parts", ["largest", "all"])
def test_noise_gives_closed_bodies(seed: int, parts: mesh.Parts) -> None:
    # GIVEN samples that know nothing of each other: a sponge, and crumbs in it
    grid = SURFACE_RAW + torch.randn((14,) * 3, generator=torch.Generator().manual_seed(seed))
    surface = mesh.extract(Ball(), grid, 2000, parts=parts)
    assert topology.is_watertight(surface.faces)
    assert topology.is_manifold(surface.vertices, surface.faces)
    assert topology.signed_volumes(surface.vertices, surface.faces).sum() > 0
    if parts == "largest":
        assert topology.bodies(surface.faces)[0] == 1


def test_a_bridge_of_one_sample_holds_two_bodies_together() -> None:
    field = Solid(both(ball(0.3, y=0.45), ball(0.3, y=-0.45)))
    grid = field.density_grid(RESOLUTION)
    middle = RESOLUTION // 2
    assert not bool((grid[:, middle] > SURFACE_RAW).any())
    between = grid_axis(RESOLUTION).abs() < 0.3
    grid[middle, between, middle] = SURFACE_RAW + 4
    surface = mesh.extract(field, grid, FACES)
    assert assert_sound(surface, bodies=1, euler=2) == pytest.approx(2 * sphere_volume(0.3), rel=0.03)
    assert bool((np.abs(surface.vertices[:, 1]) < 0.1).any())


CHAIN = both(ring(0.3, 0.09, -0.15, axis=2), ring(0.3, 0.09, 0.15, axis=0))
RING_VOLUME = 2 * np.pi**2 * 0.3 * 0.09**2


def test_of_two_linked_rings_one_stays_whole(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        surface = extract(CHAIN)
    assert assert_sound(surface, bodies=1, euler=0) == pytest.approx(RING_VOLUME, rel=0.03)
    assert "falls apart" in caplog.text


def test_two_linked_rings_stay_linked_on_request(tmp_path: Path) -> None:
    surface = extract(CHAIN, "all")
    assert assert_sound(surface, bodies=2, euler=0) == pytest.approx(2 * RING_VOLUME, rel=0.03)
    facts = manifest.mesh_facts(surface, 100.0)
    assert (facts["genus"], facts["print"]["self_intersections"]) == (2, 0)
    for model in read_back(CHAIN, surface, tmp_path).values():
        assert len(model.faces) == len(surface.faces)


def figure() -> bytes:
    """A green ball above a red one, on nothing."""
    picture = Image.new("RGBA", (256, 256))
    draw = ImageDraw.Draw(picture)
    draw.ellipse((90, 30, 166, 106), fill=(30, 160, 60))
    draw.ellipse((60, 120, 196, 246), fill=(210, 40, 40))
    data = io.BytesIO()
    picture.save(data, "PNG")
    return data.getvalue()


SMALL = Options(resolution=64, texture_size=256, target_faces=1500, views=4, view_size=64)


def test_a_photo_of_two_things_gives_both_on_request(tmp_path: Path) -> None:
    pipeline.run(figure(), "figure.png", replace(SMALL, parts="all"), tmp_path)
    told = json.loads((tmp_path / artifacts.MANIFEST).read_text())
    assert told["options"]["parts"] == "all"
    assert (told["mesh"]["bodies"], told["mesh"]["watertight"], told["mesh"]["euler"]) == (2, True, 4)
    assert not any("falls apart" in notice for notice in told["notices"])


def sheet(_: torch.Tensor) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """A curved sheet of paper, which has a rim and no inside."""
    side = 12
    row, column = np.divmod(np.arange(side**2), side)
    bent = 30 + 2 * np.sin(row / 3) + np.cos(column / 2)
    corner = (row * side + column).reshape(side, side)
    squares = np.stack([corner[:-1, :-1], corner[1:, :-1], corner[1:, 1:], corner[:-1, 1:]], axis=-1)
    faces = squares.reshape(-1, 4)[:, [0, 1, 2, 0, 2, 3]].reshape(-1, 3)
    return np.stack([row + 20, column + 20, bent], axis=1).astype(np.float32), faces.astype(np.int32)


def test_a_mesh_that_cannot_be_closed_is_not_called_watertight(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # GIVEN a surface that mending does not close
    monkeypatch.setattr(mesh, "isosurface", sheet)
    # WHEN a photo goes the whole way
    pipeline.run(figure(), "figure.png", SMALL, tmp_path)
    # THEN the files are there, and the manifest and a notice tell what is wrong with them
    told = json.loads((tmp_path / artifacts.MANIFEST).read_text())
    assert told["mesh"]["watertight"] is False
    assert told["mesh"]["genus"] is None
    assert any("holes that could not be closed" in notice for notice in told["notices"])
    assert (tmp_path / artifacts.GLB).stat().st_size > 0
