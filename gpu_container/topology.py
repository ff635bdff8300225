"""What a triangle mesh tells by its indices: is it closed, of how many bodies, with how many holes."""

from __future__ import annotations

from collections.abc import Sequence

import manifold3d
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from gpu_container.compiled import compiled

Faces = NDArray[np.int32]  # (m, 3), counter-clockwise seen from outside


def is_watertight(faces: Faces) -> bool:
    """Whether every edge joins exactly two faces that turn the same way round: closed and oriented."""
    if len(faces) == 0:
        return False
    forth, back = _half_edges(faces)
    forth.sort()
    back.sort()
    return bool(np.array_equal(forth, back) and (forth[1:] != forth[:-1]).all())


def is_manifold(vertices: NDArray[np.float32], faces: Faces) -> bool:
    """Whether manifold3d, on which many slicers and CAD programs stand, takes the mesh as a solid."""
    mesh = manifold3d.Mesh(vertices.astype(np.float32), faces.astype(np.uint32))
    return bool(manifold3d.Manifold(mesh).status() == manifold3d.Error.NoError)


def vertex_bodies(faces: Faces, vertices: int) -> tuple[int, NDArray[np.int32]]:
    """How many parts share no vertex, and which one each face belongs to ``(m,)``. Lone vertices count too."""
    labels = np.arange(vertices, dtype=np.int32)
    count = _label_parts(faces, labels)
    return count, labels[faces[:, 0]]


@compiled
def _label_parts(faces: Faces, labels: NDArray[np.int32]) -> int:
    """Number the parts into ``labels`` ``(n,)``, which holds 0, 1, 2 …; how many there are (Tarjan 1975)."""
    for face in range(len(faces)):
        for side in range(2):
            one, other = faces[face, side], faces[face, side + 1]
            while labels[one] != one:
                labels[one] = labels[labels[one]]
                one = labels[one]
            while labels[other] != other:
                labels[other] = labels[labels[other]]
                other = labels[other]
            # the lesser number leads: every leader comes before those it leads
            labels[max(one, other)] = min(one, other)
    count = 0
    for vertex in range(len(labels)):
        if labels[vertex] == vertex:
            labels[vertex] = count
            count += 1
        else:
            labels[vertex] = labels[labels[vertex]]
    return count


def bodies(faces: Faces) -> tuple[int, NDArray[np.int32]]:
    """How many parts share no edge, and which one each face belongs to ``(m,)``."""
    half_edges = np.sort(np.stack([faces, np.roll(faces, -1, axis=1)], axis=-1).reshape(-1, 2), axis=1)
    order = np.lexsort(half_edges.T)
    same = (half_edges[order][1:] == half_edges[order][:-1]).all(axis=1)
    one, other = order[:-1][same] // 3, order[1:][same] // 3
    graph = coo_array((np.ones(len(one), np.int8), (one, other)), shape=(len(faces),) * 2)
    count, labels = connected_components(graph, directed=False)
    return int(count), labels


def euler_number(faces: Faces) -> int:
    """Vertices - edges + faces; 2 - 2 genus for one closed body."""
    forth, back = _half_edges(faces)
    edges = len(np.unique(np.minimum(forth, back)))
    return len(np.unique(faces)) - edges + len(faces)


def compact(vertices: NDArray[np.float32], faces: Faces) -> tuple[NDArray[np.float32], Faces]:
    """The same mesh without vertices that no face uses; the order of the others stays."""
    used = np.zeros(len(vertices), np.bool_)
    used[faces] = True
    number = np.cumsum(used, dtype=np.int32) - 1
    return vertices[used], number[faces].astype(np.int32)


def signed_volumes(vertices: NDArray[np.float32], faces: Faces) -> NDArray[np.float64]:
    """Volume of the tetrahedron under each face ``(m,)``, positive where it faces away from the mesh's centre.

    Over a closed body they sum up to its volume, negative if it is inside out.
    """
    corners = (vertices - vertices.mean(axis=0)).astype(np.float64)[faces]
    return np.asarray(np.einsum("ij,ij->i", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])) / 6)


def together(
    bodies: Sequence[tuple[NDArray[np.float32], Faces]],
) -> tuple[NDArray[np.float32], Faces]:
    """Several meshes as one."""
    first = np.cumsum([0, *(len(vertices) for vertices, _ in bodies)])
    faces = [body[1] + number for body, number in zip(bodies, first, strict=False)]
    return np.concatenate([vertices for vertices, _ in bodies]), np.concatenate(faces).astype(np.int32)


def encloses(vertices: NDArray[np.float32], faces: Faces, point: NDArray[np.float32]) -> bool:
    """Whether ``point`` ``(3,)`` lies inside a closed body: the faces' solid angles there add up to 4 pi.

    Reference: Van Oosterom & Strackee, "The solid angle of a plane triangle", 1983.
    """
    if (point < vertices.min(axis=0)).any() or (point > vertices.max(axis=0)).any():
        return False
    a, b, c = ((vertices - point).astype(np.float64)[faces[:, corner]] for corner in range(3))
    la, lb, lc = (np.linalg.norm(side, axis=1) for side in (a, b, c))
    ab, bc, ca = (np.einsum("ij,ij->i", *sides) for sides in ((a, b), (b, c), (c, a)))
    triple = np.einsum("ij,ij->i", a, np.cross(b, c))
    angles = 2 * np.arctan2(triple, la * lb * lc + ab * lc + bc * la + ca * lb)
    return bool(abs(angles.sum()) > 2 * np.pi)


def _half_edges(faces: Faces) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """One number for each directed edge, and the number that its reverse would have; ``(3 m,)`` each."""
    start, end = faces.ravel().astype(np.int64), np.roll(faces, -1, axis=1).ravel().astype(np.int64)
    base = int(faces.max(initial=0)) + 1
    return start * base + end, end * base + start
