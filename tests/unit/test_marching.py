"""Marching cubes, against what any surface between samples must be and against another's."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from skimage.measure import marching_cubes

from gpu_container import marching, marching_table, topology
from gpu_container.field import SURFACE_RAW
from tests.fields import Ball

RNG = np.random.default_rng(6)


def noise(*shape: int) -> NDArray[np.float32]:
    return RNG.normal(size=shape).astype(np.float32)


def assert_closed_manifold(vertices: NDArray[np.float32], faces: NDArray[np.int32]) -> None:
    assert topology.is_watertight(faces)
    assert topology.is_manifold(vertices, faces)
    assert len(np.unique(faces)) == len(vertices)
    # around every vertex lies one fan of faces: parts by shared sides are parts by shared corners
    assert topology.bodies(faces)[0] == topology.vertex_bodies(faces, len(vertices))[0]


def test_all_ways_in_which_a_cells_corners_can_lie_give_a_closed_manifold() -> None:
    for case, scale in product(range(1, 256), (0.1, 1.0, 10.0)):
        signs = np.array([case >> corner & 1 for corner in range(8)]).reshape(2, 2, 2) * 2 - 1
        size = RNG.uniform(0.1, 1, (2, 2, 2)) * np.where(signs > 0, scale, 1)
        vertices, faces = marching.surface((signs * size).astype(np.float32), 0.0)
        assert_closed_manifold(vertices, faces)
        assert topology.signed_volumes(vertices, faces).sum() > 0


@pytest.mark.parametrize("shape", [(9, 9, 9), (40, 5, 7), (2, 33, 4), (1, 1, 1), (1, 20, 1), (17, 16, 15)])
def test_noise_of_any_shape_gives_a_closed_manifold(shape: tuple[int, ...]) -> None:
    samples = noise(*shape)
    samples[0, 0, 0] = 1
    assert_closed_manifold(*marching.surface(samples, 0.0))


def test_no_triangle_has_a_side_in_a_cells_face_but_where_the_surface_crosses_it() -> None:
    # GIVEN every variant of every case; a line on a face joins two of its edges
    cases = marching_table.table()
    for variant in range(len(cases.around)):
        triangles = cases.triangles[cases.first[variant] : cases.first[variant + 1]]
        sides = [(int(t[i]), int(t[(i + 1) % 3])) for t in triangles for i in range(3)]
        assert len(set(sides)) == len(sides)
        for one, other in sides:
            if marching_table.CENTER not in (one, other) and marching_table._share_face(one, other):
                # THEN no second triangle of the cell lies on it
                assert (other, one) not in sides


def test_vertices_lie_on_the_edges_between_samples_where_interpolation_crosses_the_level() -> None:
    samples = noise(12, 13, 14) + 5
    vertices, _ = marching.surface(samples, 5.0)
    whole = np.isclose(vertices, np.round(vertices), atol=1e-6).sum(axis=1)
    inside = ((vertices >= 0) & (vertices <= np.array(samples.shape) - 1)).all(axis=1)
    on_edges = vertices[inside & (whole >= 2)]
    low, high = np.floor(on_edges).astype(int), np.ceil(on_edges).astype(int)
    share = (on_edges - low).max(axis=1)
    between = samples[tuple(low.T)] * (1 - share) + samples[tuple(high.T)] * share
    np.testing.assert_allclose(between, 5, atol=3e-3)
    assert len(on_edges) > 0.9 * inside.sum()  # the others lie inside cells that need a vertex of their own


def test_a_smooth_surface_is_the_one_that_scikit_image_finds() -> None:
    samples = Ball(0.5, center=(0.03, -0.1, 0.2)).density_grid(64).numpy()
    samples[np.abs(samples - SURFACE_RAW) < marching.NUDGE] = SURFACE_RAW - marching.NUDGE
    vertices, faces = marching.surface(samples, SURFACE_RAW)
    expected, expected_faces, _, _ = marching_cubes(samples, SURFACE_RAW, gradient_direction="ascent")
    assert len(faces) == len(expected_faces)
    assert cKDTree(expected).query(vertices)[0].max() < 1e-4
    assert cKDTree(vertices).query(expected)[0].max() < 1e-4
    volumes = [topology.signed_volumes(*it).sum() for it in ((vertices, faces), (expected, expected_faces))]
    assert volumes[0] == pytest.approx(volumes[1], rel=1e-4)


@pytest.mark.parametrize(("between", "bodies"), [(-0.5, 1), (-2.0, 2)])
def test_corners_across_a_face_are_joined_where_interpolation_between_them_is_inside(
    between: float, bodies: int
) -> None:
    samples = np.full((1, 2, 2), between, np.float32)
    samples[0, 0, 0] = samples[0, 1, 1] = 1.0
    _, faces = marching.surface(samples, 0.0)
    assert topology.bodies(faces)[0] == bodies


def test_the_number_of_threads_changes_nothing() -> None:
    samples, threads = noise(50, 9, 9), torch.get_num_threads()
    several = marching.surface(samples, 0.0)
    try:
        torch.set_num_threads(1)
        alone = marching.surface(samples, 0.0)
    finally:
        torch.set_num_threads(threads)
    assert all(np.array_equal(one, other) for one, other in zip(several, alone, strict=True))


def test_slabs_fit_together_as_if_there_were_one(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = noise(21, 8, 8)
    monkeypatch.setattr(marching, "_SLAB", 1000)
    whole = marching.surface(samples, 0.0)
    monkeypatch.setattr(marching, "_SLAB", 3)
    pieces = marching.surface(samples, 0.0)
    assert all(np.array_equal(one, other) for one, other in zip(whole, pieces, strict=True))


def test_undefined_samples_are_outside_and_infinite_ones_where_their_sign_says() -> None:
    samples = np.full((5, 5, 5), -1.0, np.float32)
    samples[2, 2, 2], samples[2, 2, 3], samples[0, 0, 0], samples[4, 4, 4] = np.inf, 1.0, np.nan, -np.inf
    vertices, faces = marching.surface(samples, 0.0)
    assert_closed_manifold(vertices, faces)
    assert topology.bodies(faces)[0] == 1
    assert np.isfinite(vertices).all()


def test_nothing_inside_is_no_surface() -> None:
    vertices, faces = marching.surface(np.zeros((4, 4, 4), np.float32), 0.0)
    assert vertices.shape == (0, 3)
    assert faces.shape == (0, 3)
