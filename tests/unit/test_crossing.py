"""The quick answer to what may cross: never no where the exact way counts any, and no where all is plain."""

from __future__ import annotations

import numpy as np
import pymeshfix
import pytest
import trimesh
from numpy.typing import NDArray

from gpu_container import printing
from gpu_container.crossing import may_cross

Mesh = tuple[NDArray[np.float32], NDArray[np.int32]]


def exactly(vertices: NDArray[np.float32], faces: NDArray[np.int32]) -> int:
    checker = pymeshfix.PyTMesh()
    checker.set_quiet(True)
    checker.load_array(vertices.astype(np.float64), faces)
    return len(checker.select_intersecting_triangles())


def mesh_of(shape: trimesh.Trimesh) -> Mesh:
    return shape.vertices.astype(np.float32), shape.faces.astype(np.int32)


def sheet(side: int) -> Mesh:
    """A flat sheet of squares cut in two, closed below by a point."""
    at = np.arange(side + 1)
    places = np.stack([*np.meshgrid(at, at, indexing="ij"), np.zeros((side + 1, side + 1))], axis=-1).reshape(
        -1, 3
    )
    corner = (at[:-1, None] * (side + 1) + at[None, :-1]).ravel()
    across = corner + side + 1
    faces = np.concatenate(
        [np.stack([corner, across, across + 1], -1), np.stack([corner, across + 1, corner + 1], -1)]
    )
    rim = trimesh.Trimesh(places, faces, process=False)
    edges = rim.edges[trimesh.grouping.group_rows(rim.edges_sorted, require_count=1)]
    below = np.column_stack([edges[:, ::-1], np.full(len(edges), len(places))])
    return np.vstack([places, [side / 2, side / 2, -3]]).astype(np.float32), np.vstack([faces, below]).astype(
        np.int32
    )


def rough_ball(amount: float, seed: int) -> Mesh:
    vertices, faces = mesh_of(trimesh.creation.icosphere(3))
    return vertices + np.random.default_rng(seed).normal(0, amount, vertices.shape).astype(np.float32), faces


PLAIN = {
    "ball": mesh_of(trimesh.creation.icosphere(4)),
    "box": mesh_of(trimesh.creation.box().subdivide().subdivide().subdivide()),
    "ring": mesh_of(trimesh.creation.torus(1.0, 0.3, 40, 20)),
    "sheet": sheet(9),
    "rough ball": rough_ball(0.01, 0),
    "one face": (np.eye(3, dtype=np.float32), np.array([[0, 1, 2]], np.int32)),
}


@pytest.mark.parametrize("name", PLAIN)
def test_what_does_not_cross_needs_no_exact_way(name: str) -> None:
    assert not may_cross(*PLAIN[name])


@pytest.mark.parametrize("turned", range(4))
def test_wherever_it_lies_a_plain_shape_needs_no_exact_way(turned: int) -> None:
    vertices, faces = PLAIN["box"]
    turn = trimesh.transformations.random_rotation_matrix(np.random.default_rng(turned).random(3))[:3, :3]
    assert not may_cross((vertices @ turn * 100 + (30, -20, 50)).astype(np.float32), faces)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("amount", [0.03, 0.05, 0.08])
def test_whatever_the_exact_way_counts_is_suspected(amount: float, seed: int) -> None:
    vertices, faces = rough_ball(amount, seed)
    counted = exactly(vertices, faces)
    assert may_cross(vertices, faces) or counted == 0
    assert printing.crossing_faces(vertices, faces) == counted


def test_one_vertex_pushed_through_the_other_side_is_suspected() -> None:
    vertices, faces = mesh_of(trimesh.creation.icosphere(3))
    for vertex in range(0, len(vertices), 29):
        pushed = vertices.copy()
        pushed[vertex] *= -1.05
        assert exactly(pushed, faces) > 0
        assert may_cross(pushed, faces)


@pytest.mark.parametrize(
    "corners",
    [
        [[0.2, 0.2, -1], [0.2, 0.2, 1], [2, 2, 0.1]],  # through the middle
        [[0, 0, 0], [0.3, 0.3, 1], [0.3, 0.2, -1]],  # from a corner they share, through the inside
        [[0, 0, 0], [0.5, 0.5, 0], [0.4, 0.1, 1]],  # from a corner, with a side in the other's plane
        [[0, 0, 0], [1, 0, 0], [0.2, 0.3, 0]],  # folded flat about a side
        [[0.1, 0.1, 0], [0.5, 0.1, 0], [0.1, 0.5, 0]],  # flat, one inside the other
        [[0, 0, 0], [1, 0, 0], [0, 1, 0]],  # the same place
    ],
)
def test_two_faces_that_meet_are_suspected_whatever_their_order(corners: list[list[float]]) -> None:
    first = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]], np.float32)
    vertices, number = np.unique(
        np.concatenate([first, np.array(corners, np.float32)]), axis=0, return_inverse=True
    )
    faces = number.reshape(2, 3).astype(np.int32)
    for turn in range(3):
        for pair in (faces, faces[::-1], np.stack([faces[0], faces[1, ::-1]])):
            assert may_cross(vertices, np.roll(pair, turn, axis=1))
