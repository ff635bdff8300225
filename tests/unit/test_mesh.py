"""The surface of fields with known shapes."""

from __future__ import annotations

import logging

import manifold3d
import numpy as np
import pytest
import torch
import trimesh

from gpu_container import mesh, printing, topology
from gpu_container.field import RADIUS, SURFACE_DENSITY, SURFACE_RAW
from infra.errors import EmptySurface
from tests.fields import Ball, Empty


class Torus(Ball):
    """A ring around the z axis."""

    def signed_distance(self, points: torch.Tensor) -> torch.Tensor:
        around = points[..., :2].norm(dim=-1) - self.radius
        return 0.15 - torch.stack([around, points[..., 2]], dim=-1).norm(dim=-1)


class Bar(Ball):
    """Runs along y through both faces of the cube."""

    def signed_distance(self, points: torch.Tensor) -> torch.Tensor:
        return self.radius - points[..., [0, 2]].norm(dim=-1)


class Union(Ball):
    """Several balls; a negative radius hollows out."""

    def __init__(self, *balls: Ball) -> None:
        super().__init__()
        self.balls = balls

    def signed_distance(self, points: torch.Tensor) -> torch.Tensor:
        solid = [ball.signed_distance(points) for ball in self.balls if ball.radius > 0]
        hollow = [points.sub(b.center).norm(dim=-1) + b.radius for b in self.balls if b.radius < 0]
        return torch.stack([torch.stack(solid).amax(dim=0), *hollow]).amin(dim=0)


def extract(field: Ball, resolution: int = 96, faces: int = 4000, parts: mesh.Parts = "largest") -> mesh.Mesh:
    return mesh.extract(field, field.density_grid(resolution), faces, parts=parts)


def as_trimesh(surface: mesh.Mesh) -> trimesh.Trimesh:
    return trimesh.Trimesh(surface.vertices, surface.faces, process=False)


def assert_sound(surface: mesh.Mesh, genus: int) -> None:
    """Judged by two libraries that had no hand in it."""
    judged = as_trimesh(surface)
    assert judged.is_watertight
    assert judged.is_winding_consistent
    assert judged.body_count == 1
    assert judged.volume > 0
    assert judged.euler_number == 2 - 2 * genus
    solid = manifold3d.Manifold(manifold3d.Mesh(surface.vertices, surface.faces.astype(np.uint32)))
    assert solid.status() == manifold3d.Error.NoError
    assert solid.genus() == genus
    assert solid.volume() == pytest.approx(judged.volume, rel=1e-4)


@pytest.mark.parametrize(("field", "genus"), [(Ball(0.5), 0), (Torus(0.5), 1), (Bar(0.3), 0)])
def test_the_surface_is_one_closed_body_of_the_right_kind_with_no_more_faces_than_asked(
    field: Ball, genus: int
) -> None:
    surface = extract(field)
    assert_sound(surface, genus)
    assert 0.9 * 4000 <= len(surface.faces) <= 1.01 * 4000
    assert len(np.unique(surface.faces)) == len(surface.vertices)
    assert surface.vertices.dtype == np.float32
    assert surface.faces.dtype == np.int32


def test_a_ball_keeps_its_place_its_radius_and_its_volume() -> None:
    ball = Ball(0.5, center=(0.1, -0.2, 0.15))
    surface = extract(ball, resolution=128, faces=8000)
    radii = np.linalg.norm(surface.vertices - ball.center.numpy(), axis=1)
    spacing = 2 * RADIUS / 127
    assert np.abs(radii - 0.5).max() < 0.05 * spacing
    assert as_trimesh(surface).volume == pytest.approx(4 / 3 * np.pi * 0.5**3, rel=2e-3)
    np.testing.assert_allclose(as_trimesh(surface).center_mass, ball.center, atol=0.01 * spacing)


def test_vertices_lie_where_the_density_is_the_surfaces() -> None:
    torus = Torus(0.5)
    surface = extract(torus, resolution=128, faces=10_000)
    density = torus.density(torch.from_numpy(surface.vertices))
    depth = torch.log(density / SURFACE_DENSITY) / torus.sharpness
    assert depth.abs().max() < 0.1 * 2 * RADIUS / 127
    assert abs(float(depth.mean())) < 0.01 * 2 * RADIUS / 127


def test_the_grid_and_not_only_its_inside_is_placed_exactly() -> None:
    # GIVEN one solid sample in a corner of the cube, and one in its middle
    for index, place in (((0, 0, 0), -RADIUS), ((10, 10, 10), 0.0), ((20, 20, 20), RADIUS)):
        grid = torch.full((21, 21, 21), SURFACE_RAW - 1.0)
        grid[index] = SURFACE_RAW + 1.0
        # THEN an octahedron of half a sample's width lies around it
        surface = mesh.extract(Ball(), grid, 100)
        half = RADIUS / 20
        np.testing.assert_allclose(surface.vertices.min(axis=0), place - half, atol=1e-6)
        np.testing.assert_allclose(surface.vertices.max(axis=0), place + half, atol=1e-6)
        assert_sound(surface, genus=0)


def test_what_reaches_beyond_the_cube_is_cut_flat_just_outside_it() -> None:
    surface = extract(Bar(0.3), faces=20_000)
    half = RADIUS / 95
    np.testing.assert_allclose(surface.vertices[:, 1].min(), -RADIUS - half, atol=1e-5)
    np.testing.assert_allclose(surface.vertices[:, 1].max(), RADIUS + half, atol=1e-5)


def test_a_cube_full_of_solid_is_closed_too() -> None:
    surface = mesh.extract(Ball(), torch.full((16, 16, 16), SURFACE_RAW + 3.0), 10_000)
    assert_sound(surface, genus=0)


def test_of_several_bodies_the_largest_stays_and_a_large_loss_is_noted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    large, small = Ball(0.3, center=(0.0, 0.4, 0.0)), Ball(0.2, center=(0.0, -0.4, 0.0))
    with caplog.at_level(logging.WARNING):
        surface = extract(Union(small, large))
    assert_sound(surface, genus=0)
    assert surface.vertices[:, 1].min() > 0
    assert "1 more, the longest 67 % as long" in caplog.text


def test_a_thin_part_is_missed_and_kept_when_all_are_asked_for(caplog: pytest.LogCaptureFixture) -> None:
    body, antenna = Ball(0.5), Ball(0.08, center=(0.0, 0.0, 0.7))
    with caplog.at_level(logging.WARNING):
        extract(Union(body, antenna))
    assert "1 more" in caplog.text
    assert topology.bodies(extract(Union(body, antenna), parts="all").faces)[0] == 2


def test_specks_go_without_a_word_and_hollows_are_filled(caplog: pytest.LogCaptureFixture) -> None:
    speck, hollow = Ball(0.05, center=(0.7, 0.7, 0.7)), Ball(-0.2)
    with caplog.at_level(logging.WARNING):
        surface = extract(Union(Ball(0.5), speck, hollow))
    assert_sound(surface, genus=0)
    assert as_trimesh(surface).volume == pytest.approx(4 / 3 * np.pi * 0.5**3, rel=5e-3)
    assert not caplog.records


@pytest.mark.parametrize("value", [SURFACE_RAW - 1, SURFACE_RAW, float("nan"), -float("inf")])
def test_a_field_that_never_reaches_the_level_has_no_surface(value: float) -> None:
    with pytest.raises(EmptySurface, match="plainer background"):
        mesh.extract(Empty(), torch.full((16, 16, 16), value), 1000)


def test_infinite_and_undefined_densities_still_give_a_closed_surface() -> None:
    grid = Ball(0.5).density_grid(48)
    grid[24, 24, 24], grid[20, 24, 24], grid[0, 0, 0] = float("nan"), float("inf"), -float("inf")
    assert_sound(mesh.extract(Ball(0.5), grid, 2000), genus=0)


def lumps(seed: int, coarse: int) -> torch.Tensor:
    noise = torch.randn((1, 1) + (coarse,) * 3, generator=torch.Generator().manual_seed(seed))
    smooth = torch.nn.functional.interpolate(noise, (48,) * 3, mode="trilinear", align_corners=True)
    return SURFACE_RAW + 3 * smooth[0, 0]


@pytest.mark.parametrize("seed", range(6))
def test_random_lumps_come_out_closed_and_as_small_as_asked(seed: int) -> None:
    grid = lumps(seed, coarse=6)
    dense = mesh.largest_body(*mesh.isosurface(grid))
    surface = mesh.extract(Ball(), grid, 6000)
    assert_sound(surface, genus=1 - topology.euler_number(surface.faces) // 2)
    assert len(surface.faces) <= 6060
    expected = topology.signed_volumes(*dense).sum() * (2 * RADIUS / 47) ** 3
    assert as_trimesh(surface).volume == pytest.approx(expected, rel=0.02)


def test_a_sponge_gets_more_faces_rather_than_holes(caplog: pytest.LogCaptureFixture) -> None:
    # GIVEN a shape with a hundred tunnels
    grid = lumps(seed=0, coarse=12)
    with caplog.at_level(logging.WARNING):
        surface = mesh.extract(Ball(), grid, 1000)
    assert_sound(surface, genus=1 - topology.euler_number(surface.faces) // 2)
    assert len(surface.faces) > 1010
    assert f"takes {len(surface.faces)} faces" in caplog.text


def test_a_hole_is_closed_before_the_mesh_is_given_out() -> None:
    vertices, faces = mesh.isosurface(Ball(0.5).density_grid(48))
    torn = np.delete(faces, slice(100, 104), axis=0)
    assert not topology.is_watertight(torn)
    mended = mesh.Mesh(*mesh.closed([(vertices, torn)], 2000))
    assert_sound(mended, genus=0)


def test_fewer_faces_keep_the_shape() -> None:
    surface = extract(Ball(0.5), faces=4000)
    coarse = mesh.fewer_faces(surface, 1000)
    assert_sound(coarse, genus=0)
    assert 900 <= len(coarse.faces) <= 1010
    np.testing.assert_allclose(np.linalg.norm(coarse.vertices, axis=1), 0.5, atol=0.005)


def test_the_same_grid_gives_the_same_mesh_and_progress_ends_at_one() -> None:
    told: list[float] = []
    grid = Torus(0.5).density_grid(64)
    one = mesh.extract(Torus(0.5), grid, 3000, told.append)
    other = mesh.extract(Torus(0.5), grid, 3000)
    assert np.array_equal(one.vertices, other.vertices)
    assert np.array_equal(one.faces, other.faces)
    assert told == sorted(told)
    assert told[-1] == 1.0


def test_faces_that_cross_others_are_taken_out_where_that_keeps_the_shape() -> None:
    # GIVEN a ball with one vertex pulled through it and out on the other side
    surface = extract(Ball(0.5), faces=2000)
    vertices = surface.vertices.copy()
    vertices[700] *= -1.2
    assert printing.crossing_faces(vertices, surface.faces) > 0
    mended = mesh.Mesh(*mesh.uncrossed((vertices, surface.faces)))
    assert_sound(mended, genus=0)
    assert printing.crossing_faces(mended.vertices, mended.faces) == 0
    assert as_trimesh(mended).volume == pytest.approx(4 / 3 * np.pi * 0.5**3, rel=0.02)


def test_a_mesh_without_crossings_stays_as_it_is() -> None:
    surface = extract(Ball(0.5), faces=2000)
    vertices, faces = mesh.uncrossed((surface.vertices, surface.faces))
    assert vertices is surface.vertices
    assert faces is surface.faces
