"""Meshes laid flat: nothing lost, nothing turned over, nothing on top of another."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import trimesh
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from gpu_container import packing, segmentation
from gpu_container.unwrap import Charts, unwrap

Mesh = tuple[NDArray[np.float32], NDArray[np.int32]]


def mesh_of(shape: trimesh.Trimesh) -> Mesh:
    return shape.vertices.astype(np.float32), shape.faces.astype(np.int32)


def ramp(turns: float) -> Mesh:
    """A spiral that rises around a column: seen from above, every turn lies on the one below."""
    angle = np.linspace(0, turns * 2 * np.pi, round(turns * 40))
    rim = np.stack([np.cos(angle), np.sin(angle), 0.05 * angle], axis=-1)
    inner = rim * (0.4, 0.4, 1)
    k = np.arange(len(angle) - 1)
    n = len(angle)
    faces = np.concatenate([np.stack([k, k + 1, k + n], -1), np.stack([k + 1, k + n + 1, k + n], -1)])
    return np.concatenate([inner, rim]).astype(np.float32), faces[:, [0, 2, 1]].astype(np.int32)


def rough_ball() -> Mesh:
    vertices, faces = mesh_of(trimesh.creation.icosphere(3))
    return vertices * np.random.default_rng(1).uniform(0.9, 1.1, (len(vertices), 1)).astype(np.float32), faces


SHAPES: dict[str, Callable[[], Mesh]] = {
    "ball": lambda: mesh_of(trimesh.creation.icosphere(3)),
    "cube": lambda: mesh_of(trimesh.creation.box().subdivide().subdivide()),
    "ring": lambda: mesh_of(trimesh.creation.torus(1.0, 0.3, 40, 20)),
    "rough ball": rough_ball,
    "spiral": lambda: ramp(3.3),
    "rod": lambda: mesh_of(trimesh.creation.cylinder(0.02, 2).subdivide().subdivide()),
}


def chart_of(charts: Charts) -> NDArray[np.int32]:
    """Of each face, by the vertices they share."""
    links = charts.faces[:, :2].ravel(), charts.faces[:, 1:].ravel()
    graph = coo_array((np.ones(len(links[0])), links), shape=(len(charts.uv),) * 2)
    return np.asarray(connected_components(graph, directed=False)[1][charts.faces[:, 0]])


def areas(uv: NDArray[np.float32], faces: NDArray[np.int32]) -> NDArray[np.float64]:
    """Positive where corners follow each other counter-clockwise as one looks at the picture, v down."""
    edges = uv[faces[:, 1:]].astype(np.float64) - uv[faces[:, :1]]
    return np.asarray(edges[:, 0, 1] * edges[:, 1, 0] - edges[:, 0, 0] * edges[:, 1, 1]) / 2


def on_others(uv: NDArray[np.float32], faces: NDArray[np.int32], chart: NDArray[np.int32]) -> int:
    """How many faces have a point well inside that lies well inside another of their chart, too."""
    corners = uv[faces].astype(np.float64)
    count = 0
    for weights in ((1 / 3, 1 / 3, 1 / 3), (0.8, 0.1, 0.1), (0.1, 0.8, 0.1), (0.1, 0.1, 0.8)):
        points = np.einsum("c,mcx->mx", weights, corners)
        inside = chart[:, None] == chart[None]
        np.fill_diagonal(inside, False)
        for corner in range(3):
            start, way = corners[:, corner], corners[:, (corner + 1) % 3] - corners[:, corner]
            away = points[:, None] - start[None]
            turned = way[None, :, 1] * away[..., 0] - way[None, :, 0] * away[..., 1]
            inside &= turned > 1e-6 * np.linalg.norm(way, axis=1)[None]
        count += int(inside.sum())
    return count


@pytest.mark.parametrize("name", SHAPES)
def test_every_face_lies_flat_the_right_way_up_and_on_no_other(name: str) -> None:
    vertices, faces = SHAPES[name]()
    charts = unwrap(vertices, faces)
    assert np.array_equal(charts.source[charts.faces], faces)
    assert len(np.unique(charts.faces)) == len(charts.source), "no vertex without a face"
    flat, chart = areas(charts.uv, charts.faces), chart_of(charts)
    assert (flat > 0).all()
    assert on_others(charts.uv, charts.faces, chart) == 0
    real = trimesh.triangles.area(vertices[faces])
    np.testing.assert_allclose(np.bincount(chart, flat), np.bincount(chart, real), rtol=1e-3)
    # at sixty degrees a face shows half of itself; its chart may have been enlarged for others like it
    assert (flat / real).min() > 0.45
    assert (flat / real).max() < 2.05


@pytest.mark.parametrize(("name", "most"), [("ball", 12), ("cube", 6), ("ring", 14), ("spiral", 8)])
def test_a_plain_shape_takes_few_charts(name: str, most: int) -> None:
    assert chart_of(unwrap(*SHAPES[name]())).max() < most


def test_a_flat_sheet_is_one_chart() -> None:
    sheet = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], np.float32)
    charts = unwrap(sheet, np.array([[0, 1, 2], [0, 2, 3]], np.int32))
    assert len(charts.uv) == 4
    np.testing.assert_allclose(np.ptp(charts.uv, axis=0), 1, atol=1e-6)


def test_a_long_thin_thing_is_cut_across_and_fills_its_texture() -> None:
    vertices, faces = SHAPES["rod"]()
    charts = unwrap(vertices, faces)
    chart = chart_of(charts)
    total = trimesh.triangles.area(vertices[faces]).sum()
    longest = max(np.ptp(charts.uv[charts.faces[chart == k]].reshape(-1, 2), axis=0).max() for k in set(chart))
    assert longest < 0.65, "of a rod of length 2"
    uv = packing.packed(charts.uv, charts.faces, 1024, 4.0)
    assert uv is not None
    assert areas(uv, charts.faces).sum() > 0.4
    assert total == pytest.approx(areas(charts.uv, charts.faces).sum(), rel=1e-3)


def test_faces_in_any_disorder_find_a_place() -> None:
    rng = np.random.default_rng(0)
    vertices = rng.random((60, 3)).astype(np.float32)
    faces = rng.integers(0, 60, (400, 3)).astype(np.int32)  # crossing, doubled, without area, many to an edge
    charts = unwrap(vertices, faces)
    assert np.array_equal(charts.source[charts.faces], faces)
    assert np.isfinite(charts.uv).all()
    assert on_others(charts.uv, charts.faces, chart_of(charts)) == 0


def test_a_mesh_without_any_area_is_no_error() -> None:
    charts = unwrap(np.zeros((3, 3), np.float32), np.array([[0, 1, 2], [0, 0, 0]], np.int32))
    assert np.array_equal(charts.uv, np.zeros_like(charts.uv))


def test_the_same_mesh_is_cut_the_same_way() -> None:
    once, again = unwrap(*rough_ball()), unwrap(*rough_ball())
    assert once.uv.tobytes() == again.uv.tobytes()
    assert once.faces.tobytes() == again.faces.tobytes()


def test_neighbours_lie_across_sides_that_two_faces_share() -> None:
    faces = np.array([[0, 1, 2], [2, 1, 3], [0, 1, 4], [5, 6, 7]], np.int32)
    near = segmentation.neighbours(np.concatenate([faces, faces[:1, ::-1]]))
    # 0-1 and its like are shared by three; 1-2 by three; 0-2 by the first and the last
    assert near[0].tolist() == [-1, -1, 4]
    assert near[3].tolist() == [-1, -1, -1]
    assert near[4].tolist() == [-1, -1, 0]


@pytest.mark.parametrize("name", SHAPES)
def test_a_chart_is_connected_and_faces_its_axis(name: str) -> None:
    vertices, faces = SHAPES[name]()
    found = segmentation.segments(vertices, faces)
    assert np.array_equal(np.unique(found.chart_of), np.arange(len(found.axes)))
    normals = trimesh.triangles.normals(vertices[faces].astype(np.float64))[0]
    assert (normals * found.axes[found.chart_of]).sum(axis=1).min() >= segmentation.FACING - 1e-9
    assert np.array_equal(segmentation.regions(found.near, found.chart_of), found.chart_of)
