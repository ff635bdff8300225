"""The dense surface under a mesh of few faces, and the normal map that remembers it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from gpu_container import mesh, relief, shading, tangent_space, texture
from gpu_container.field import RADIUS
from gpu_container.texture import TexturedMesh
from tests import viewer
from tests.fields import Ball

RESOLUTION = 96
VOXEL = 2 * RADIUS / (RESOLUTION - 1)


class Rippled(Ball):
    """A ball with waves around it, finer than few faces can follow."""

    def signed_distance(self, points: torch.Tensor) -> torch.Tensor:
        waves = torch.sin(points[..., 2] * 40) * torch.sin(torch.atan2(points[..., 1], points[..., 0]) * 12)
        return super().signed_distance(points) + 0.012 * waves


class Cut(Ball):
    """So large that all six faces of the cube cut it flat."""

    def __init__(self) -> None:
        super().__init__(1.1)


def random_directions(count: int) -> torch.Tensor:
    directions = torch.randn(count, 3, generator=torch.Generator().manual_seed(1))
    return directions / directions.norm(dim=-1, keepdim=True)


def under(field: Ball, points: torch.Tensor, normals: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    found = relief.under(field.density_grid(RESOLUTION), points.numpy(), normals.numpy())
    return torch.from_numpy(found[0]), torch.from_numpy(found[1])


def test_points_near_the_surface_move_onto_it_and_face_outward() -> None:
    field, directions = Ball(0.5, sharpness=20.0), random_directions(5000)
    off = torch.linspace(-0.9 * VOXEL, 0.9 * VOXEL, 5000)[:, None]
    places, normals = under(field, directions * (0.5 + off), directions)
    assert (places.norm(dim=-1) - 0.5).abs().max() < 0.02 * VOXEL
    assert (places - directions * 0.5).norm(dim=-1).max() < 0.2 * VOXEL, "by the shortest way"
    assert (normals * directions).sum(dim=-1).min() > 0.9995
    torch.testing.assert_close(normals.norm(dim=-1), torch.ones(5000))


def test_points_far_from_any_surface_stay_where_they_are() -> None:
    field = Ball(0.3, sharpness=20.0)
    points, normals = random_directions(1000) * 0.75, random_directions(1000).flip(0)
    places, kept = under(field, points, 3 * normals)
    assert torch.equal(places, points)
    torch.testing.assert_close(kept, normals)
    assert all(len(nothing) == 0 for nothing in under(field, torch.empty(0, 3), torch.empty(0, 3)))


def test_a_viewer_gets_back_the_direction_that_was_put_in() -> None:
    generator = torch.Generator().manual_seed(2)
    normals = random_directions(4000)
    sideways = torch.randn(4000, 3, generator=generator)
    hand = torch.where(torch.rand(4000, 1, generator=generator) < 0.5, -1.0, 1.0)
    directions = torch.nn.functional.normalize(normals + 0.5 * sideways, dim=-1)
    wanted = (directions * normals).sum(dim=-1) > 0.35
    across = torch.linalg.cross(normals, random_directions(4000).flip(0))
    along = torch.nn.functional.normalize(across, dim=-1) + 0.1 * normals  # not quite at right angles
    turned = torch.cat([along, hand], dim=-1)
    local = torch.from_numpy(tangent_space.local(directions.numpy(), normals.numpy(), turned.numpy()))
    seen = shaded(normals, turned, local)
    assert (seen * directions).sum(dim=-1)[wanted].min() > 1 - 1e-5
    assert local[:, 2].min() >= 0


def shaded(normals: torch.Tensor, tangents: torch.Tensor, local: torch.Tensor) -> torch.Tensor:
    """What the glTF specification lets a viewer do with a texel of the normal map."""
    n, t = (torch.nn.functional.normalize(it, dim=-1) for it in (normals, tangents[:, :3]))
    b = torch.linalg.cross(n, t) * tangents[:, 3:]
    return torch.nn.functional.normalize(t * local[:, :1] + b * local[:, 1:2] + n * local[:, 2:], dim=-1)


def test_tangents_run_along_u_and_bitangents_up_the_picture() -> None:
    # A square facing +z whose picture stands upright: u to the right, v down.
    vertices = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], np.float32)
    uv = np.array([[0, 1], [1, 1], [1, 0], [0, 0]], np.float32)
    faces = np.array([[0, 1, 2], [0, 2, 3]], np.int32)
    normals = np.tile(np.float32([0, 0, 1]), (4, 1))
    np.testing.assert_allclose(
        tangent_space.tangents(vertices, normals, uv, faces), [[1, 0, 0, 1]] * 4, atol=1e-6
    )
    mirrored = uv * (-1, 1) + (1, 0)
    seen = tangent_space.tangents(vertices, normals, mirrored.astype(np.float32), faces)
    np.testing.assert_allclose(seen, [[-1, 0, 0, -1]] * 4, atol=1e-6)


def test_charts_without_area_still_get_tangents_of_unit_length() -> None:
    vertices = np.random.default_rng(0).normal(size=(3, 3)).astype(np.float32)
    normals = np.float32([[1, 0, 0], [0, 1, 0], [0, 0, 1]])
    seen = tangent_space.tangents(
        vertices, normals, np.zeros((3, 2), np.float32), np.array([[0, 1, 2]], np.int32)
    )
    np.testing.assert_allclose(np.linalg.norm(seen[:, :3], axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(np.einsum("ij,ij->i", seen[:, :3], normals), 0, atol=1e-6)


@pytest.fixture(scope="module")
def rippled() -> TexturedMesh:
    field = Rippled(0.6, sharpness=20.0)
    grid = field.density_grid(RESOLUTION)
    return texture.bake(mesh.extract(field, grid, 1500), field, grid, 1024)


def sampled(
    textured: TexturedMesh, count: int = 20_000
) -> tuple[NDArray[np.float64], NDArray[np.float64], torch.Tensor]:
    """Random points of the surface: places, the mesh's own normals, and normals as a viewer bends them."""
    rng = np.random.default_rng(3)
    weights = rng.dirichlet((1, 1, 1), size=count)
    face = rng.integers(len(textured.faces), size=count)
    corners = textured.faces[face]

    def mix(values: NDArray[np.float32]) -> NDArray[np.float64]:
        return np.asarray(np.einsum("nc,ncx->nx", weights, values[corners].astype(np.float64)))

    normals, turned = mix(textured.normals[textured.source]), mix(textured.tangents)
    local = viewer.sample(textured.normal_map, mix(textured.uv)) * 2 - 1
    bent = shaded(
        torch.from_numpy(normals),
        torch.from_numpy(np.c_[turned[:, :3], np.sign(turned[:, 3:])]),
        torch.from_numpy(local),
    )
    return mix(textured.vertices), normals, bent


def degrees_between(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    cosine = np.einsum("ij,ij->i", a, b) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    return np.asarray(np.degrees(np.arccos(np.clip(cosine, -1, 1))))


def test_few_faces_with_their_normal_map_face_as_the_dense_surface_does(rippled: TexturedMesh) -> None:
    field = Rippled(0.6, sharpness=20.0)
    places, normals, bent = sampled(rippled)
    _, expected = under(field, *(torch.from_numpy(it.astype(np.float32)) for it in (places, normals)))
    before = degrees_between(normals, expected.double().numpy())
    after = degrees_between(bent.numpy(), expected.double().numpy())
    assert np.median(before) > 8, "the mesh alone cannot follow the waves"
    assert np.median(after) < 1.5
    assert np.percentile(after, 95) < 6


def test_the_map_is_blue_where_there_is_nothing_to_add() -> None:
    field = Ball(0.6, sharpness=20.0)
    grid = field.density_grid(RESOLUTION)
    textured = texture.bake(mesh.extract(field, grid, 6000), field, grid, 256)
    assert np.abs(textured.normal_map.astype(int) - (128, 128, 255)).mean() < 2
    assert textured.normal_map[..., 2].min() > 200


def test_where_the_cube_cuts_an_object_the_cut_stays_flat() -> None:
    field = Cut()
    grid = field.density_grid(48)
    surface = mesh.extract(field, grid, 3000)
    textured = texture.bake(surface, field, grid, 512)
    places, _, bent = sampled(textured)
    beside = np.linalg.norm(np.sort(np.abs(places), axis=1)[:, :2], axis=1)  # from the middle of the cut
    flat = (np.abs(places) > RADIUS).any(axis=1) & (beside < 0.6)  # its rim is at 0.67
    axis = np.abs(places).argmax(axis=1)
    outward = np.zeros_like(places)
    outward[np.arange(len(places)), axis] = np.sign(places[np.arange(len(places)), axis])
    assert flat.sum() > 500
    assert np.percentile(degrees_between(bent.numpy(), outward)[flat], 99) < 5


def test_the_normals_that_come_with_the_texture_are_those_of_the_mesh(rippled: TexturedMesh) -> None:
    expected = shading.vertex_normals(rippled.mesh.vertices, rippled.mesh.faces)
    assert np.array_equal(rippled.normals, expected)
