"""Can any face cross another? A quick answer that is never wrong when it says no.

Counting what crosses takes exact arithmetic (``printing.crossing_faces``); most meshes have nothing to count.
Faces that lie near each other are looked up in cells, and each pair is tried for a plane between the two, with
room to spare for rounding. Where none is found the exact way has to tell.

References: Gottschalk, Lin & Manocha, "OBBTree", 1996 (axes that can separate two triangles); Ericson,
"Real-time collision detection", 2005.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gpu_container.compiled import compiled_exactly

#: of the size of a pair, to the power of the product's dimension: far more than rounding can amount to
_ROUNDING = 1e-11
#: cells along a side at most, and how many of them a face may lie in on average before it is not worth it
_MOST_CELLS, _MOST_ENTRIES = 64, 64

Vector = tuple[float, float, float]
Triangle = tuple[Vector, Vector, Vector]


def may_cross(vertices: NDArray[np.float32], faces: NDArray[np.int32]) -> bool:
    """Whether two of the faces may have more in common than the corners or the side that they share."""
    if len(faces) < 2:
        return False
    corners = vertices[faces].astype(np.float64)
    low, high = corners.min(axis=(0, 1)), corners.max(axis=(0, 1))
    cells = int(np.clip(2 * round(len(faces) ** (1 / 3)), 1, _MOST_CELLS))
    size = max(float((high - low).max()) / cells, 1e-300)
    box = np.stack([corners.min(axis=1), corners.max(axis=1)], axis=1)
    span = np.minimum((box - low) / size, cells - 1).astype(np.int32)
    if np.prod(span[:, 1] - span[:, 0] + 1, axis=1, dtype=np.int64).sum() > _MOST_ENTRIES * len(faces):
        return True
    return bool(_any_pair(corners, faces, box, span, cells))


@compiled_exactly
def _any_pair(
    corners: NDArray[np.float64],
    faces: NDArray[np.int32],
    box: NDArray[np.float64],
    span: NDArray[np.int32],
    cells: int,
) -> bool:
    # the faces in each cell, cell after cell: counted first, then put down
    begins, filled = np.zeros(cells**3 + 1, np.int64), np.zeros(cells**3, np.int64)
    held = np.empty(0, np.int32)
    for filling in range(2):
        if filling == 1:
            for cell in range(cells**3):
                begins[cell + 1] += begins[cell]
            held = np.empty(begins[cells**3], np.int32)
        for face in range(len(faces)):
            for x in range(span[face, 0, 0], span[face, 1, 0] + 1):
                for y in range(span[face, 0, 1], span[face, 1, 1] + 1):
                    for z in range(span[face, 0, 2], span[face, 1, 2] + 1):
                        cell = (x * cells + y) * cells + z
                        if filling == 0:
                            begins[cell + 1] += 1
                        else:
                            held[begins[cell] + filled[cell]] = face
                            filled[cell] += 1
    for cell in range(cells**3):
        for first in range(begins[cell], begins[cell + 1]):
            for second in range(first + 1, begins[cell + 1]):
                one, other = held[first], held[second]
                boxed, place = True, 0
                for i in range(3):
                    boxed &= box[one, 0, i] <= box[other, 1, i] and box[other, 0, i] <= box[one, 1, i]
                    place = place * cells + max(span[one, 0, i], span[other, 0, i])
                # a pair that shares several cells is looked at in the first of them
                if (
                    boxed
                    and place == cell
                    and _pair(_of(corners, one), _of(corners, other), faces[one], faces[other])
                ):
                    return True
    return False


@compiled_exactly
def _pair(a: Triangle, b: Triangle, of_a: NDArray[np.int32], of_b: NDArray[np.int32]) -> bool:
    """Whether no plane between two triangles is found; ``of_a`` and ``of_b`` number their corners."""
    shared, at_a, at_b = 0, 0, 0
    for i in range(3):
        for j in range(3):
            if of_a[i] == of_b[j]:
                shared += 1
                at_a += i
                at_b += j
    size = 0.0
    for p in (a[1], a[2], b[0], b[1], b[2]):
        away = _minus(p, a[0])
        size = max(size, abs(away[0]), abs(away[1]), abs(away[2]))
    if shared == 0:
        return not _apart(a, b, size)
    if shared == 1:
        return _beyond_corner(a, b, at_a, at_b, size)
    return shared > 2 or _folded(a, b, 3 - at_a, 3 - at_b, size)


@compiled_exactly
def _folded(a: Triangle, b: Triangle, at_a: int, at_b: int, size: float) -> bool:
    """Whether two triangles lie upon each other that share all corners but the ones at these places."""
    start = a[(at_a + 1) % 3]
    side, own, its = _minus(a[(at_a + 2) % 3], start), _minus(a[at_a], start), _minus(b[at_b], start)
    normal = _cross(side, own)
    if abs(_dot(normal, its)) > _ROUNDING * size**3:
        return False
    inward = _cross(normal, side)
    return _dot(inward, own) <= _ROUNDING * size**4 or _dot(inward, its) >= -_ROUNDING * size**4


@compiled_exactly
def _apart(a: Triangle, b: Triangle, size: float) -> bool:
    """Whether a plane lies between two triangles that share no corner."""
    edges_a = (_minus(a[1], a[0]), _minus(a[2], a[1]), _minus(a[0], a[2]))
    edges_b = (_minus(b[1], b[0]), _minus(b[2], b[1]), _minus(b[0], b[2]))
    normal_a, normal_b = _cross(edges_a[0], edges_a[1]), _cross(edges_b[0], edges_b[1])
    if _between(a, b, normal_a, size**3) or _between(a, b, normal_b, size**3):
        return True
    for edge in edges_a:
        if _between(a, b, _cross(normal_a, edge), size**4):
            return True
    for edge in edges_b:
        if _between(a, b, _cross(normal_b, edge), size**4):
            return True
    for one in edges_a:
        for other in edges_b:
            if _between(a, b, _cross(one, other), size**3):
                return True
    return False


@compiled_exactly
def _between(a: Triangle, b: Triangle, axis: Vector, scale: float) -> bool:
    """Whether the triangles lie apart along an axis, by more than rounding."""
    a1, a2 = _dot(axis, _minus(a[1], a[0])), _dot(axis, _minus(a[2], a[0]))
    b0, b1, b2 = _dot(axis, _minus(b[0], a[0])), _dot(axis, _minus(b[1], a[0])), _dot(axis, _minus(b[2], a[0]))
    gap = max(min(b0, b1, b2) - max(0.0, a1, a2), min(0.0, a1, a2) - max(b0, b1, b2))
    return gap > _ROUNDING * scale


@compiled_exactly
def _beyond_corner(a: Triangle, b: Triangle, at_a: int, at_b: int, size: float) -> bool:
    """Whether two triangles that share one corner may meet elsewhere, too."""
    a1, a2 = _minus(a[(at_a + 1) % 3], a[at_a]), _minus(a[(at_a + 2) % 3], a[at_a])
    b1, b2 = _minus(b[(at_b + 1) % 3], b[at_b]), _minus(b[(at_b + 2) % 3], b[at_b])
    least, flat = _ROUNDING * size**3, _ROUNDING * size**4
    normal_a, normal_b = _cross(a1, a2), _cross(b1, b2)
    below, above = _dot(normal_b, a1), _dot(normal_b, a2)
    left, right = _dot(normal_a, b1), _dot(normal_a, b2)
    if _leaves(a1, a2, below, above, b1, b2, normal_b, least, flat):
        return False
    if _leaves(b1, b2, left, right, a1, a2, normal_a, least, flat):
        return False
    # in the plane of one: is all of the other on the far side of a side of it that ends in the corner?
    if _past(a1, _cross(normal_a, a1), b1, b2, flat) or _past(a2, _cross(a2, normal_a), b1, b2, flat):
        return False
    if _past(b1, _cross(normal_b, b1), a1, a2, flat) or _past(b2, _cross(b2, normal_b), a1, a2, flat):
        return False
    if min(abs(below), abs(above), abs(left), abs(right)) <= least:
        return True
    # both reach through the other's plane: does the far side of one go through the other?
    through_b = _on_the_way(a1, a2, below / (below - above))
    through_a = _on_the_way(b1, b2, left / (left - right))
    return _in_triangle(through_b, b1, b2, normal_b, flat) or _in_triangle(through_a, a1, a2, normal_a, flat)


@compiled_exactly
def _leaves(
    one: Vector,
    other: Vector,
    one_above: float,
    other_above: float,
    side: Vector,
    other_side: Vector,
    normal: Vector,
    least: float,
    flat: float,
) -> bool:
    """Whether two ways from a triangle's corner leave its plane to one side; one in the plane must miss it."""
    if min(one_above, other_above) < -least and max(one_above, other_above) > least:
        return False
    if max(abs(one_above), abs(other_above)) <= least:
        return False
    for way, above in ((one, one_above), (other, other_above)):
        if abs(above) <= least:
            inside = _dot(_cross(normal, side), way), _dot(_cross(other_side, normal), way)
            if min(inside) >= -flat:
                return False
    return True


@compiled_exactly
def _past(side: Vector, inward: Vector, one: Vector, other: Vector, flat: float) -> bool:
    """Whether ways from a corner lead away over a side that ends there; one in its line must lead backwards."""
    for way in (one, other):
        over = _dot(inward, way)
        if over > -flat and not (over <= flat and _dot(side, way) < 0):
            return False
    return _dot(inward, one) < -flat or _dot(inward, other) < -flat


@compiled_exactly
def _in_triangle(point: Vector, one: Vector, other: Vector, normal: Vector, least: float) -> bool:
    """Whether a point of its plane lies in the triangle of the corner and two more, or so near that rounding
    could hide it."""
    if _dot(_cross(normal, one), point) < -least or _dot(_cross(other, normal), point) < -least:
        return False
    return _dot(_cross(normal, _minus(other, one)), _minus(point, one)) >= -least


@compiled_exactly
def _of(corners: NDArray[np.float64], face: int) -> Triangle:
    c = corners[face]
    return (c[0, 0], c[0, 1], c[0, 2]), (c[1, 0], c[1, 1], c[1, 2]), (c[2, 0], c[2, 1], c[2, 2])


@compiled_exactly
def _minus(a: Vector, b: Vector) -> Vector:
    return a[0] - b[0], a[1] - b[1], a[2] - b[2]


@compiled_exactly
def _cross(a: Vector, b: Vector) -> Vector:
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]


@compiled_exactly
def _dot(a: Vector, b: Vector) -> float:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


@compiled_exactly
def _on_the_way(a: Vector, b: Vector, share: float) -> Vector:
    return a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share, a[2] + (b[2] - a[2]) * share
