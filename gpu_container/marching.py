"""Marching cubes: the surface between a grid's samples, closed and manifold by construction.

Lorensen & Cline, "Marching cubes", 1987, with cases decided and filled as :mod:`gpu_container.marching_table`
tells. The grid is read a plane at a time: memory is bounded by a few planes of each slab in work, and by the
surface. Slabs are worked on side by side and fit together without a search for common vertices: a slab numbers
the vertices of its first plane first, and the slab before counts on in that order.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from gpu_container.compiled import compiled_exactly
from gpu_container.marching_table import CENTER, Table, table

#: samples closer than this to the level count as so far below it: no triangle shrinks to a point
NUDGE = np.float32(1e-3)
#: samples further than this from the level say no more about where it lies; undefined ones are so far below it
REACH = np.float32(30.0)
#: layers of cells that a thread takes at a time
_SLAB = 16

_Floats = NDArray[np.float32]
_Ints = NDArray[np.int32]
_Rows = TypeVar("_Rows", _Floats, _Ints)


def surface(raw: _Floats, level: float) -> tuple[_Floats, _Ints]:
    """Where the samples ``raw`` ``(x, y, z)`` cross ``level``, in units of their spacing.

    Around them goes their mirror image about the level, so what reaches the end is cut flat half a sample
    outside of it. The result does not depend on the number of threads.

    Returns:
        Vertices ``(n, 3)``, in the order of planes, and faces ``(m, 3)``, counter-clockwise seen from where the
        samples are below; both empty where all are.
    """
    cases, layers = table(), len(raw) + 1
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        slabs = list(
            pool.map(
                lambda start: _slab(raw, np.float32(level), start, min(start + _SLAB, layers), cases),
                range(0, layers, _SLAB),
            )
        )
    own, centers = ([len(slab[part]) for slab in slabs] for part in (0, 1))
    first, first_center = np.cumsum([0, *own]), np.cumsum([sum(own), *centers])
    faces = [
        np.where(slab[2] >= 0, slab[2] + first[index], first_center[index] - 1 - slab[2])
        for index, slab in enumerate(slabs)
    ]
    vertices = [slab[0] for slab in slabs] + [slab[1] for slab in slabs]
    return np.concatenate(vertices), np.concatenate(faces).astype(np.int32)


@compiled_exactly
def _slab(
    raw: _Floats, level: np.float32, start: int, stop: int, cases: Table
) -> tuple[_Floats, _Floats, _Ints]:
    """Layers ``start`` to ``stop`` of cells; layer 0 lies before the first plane of samples.

    Returns:
        The vertices of its planes but the last and those between planes, those inside cells, and faces: vertex
        numbers, going on with those of the last plane; ``-1 - number`` for one inside a cell.
    """
    rows, columns = raw.shape[1] + 2, raw.shape[2] + 2
    shape = (rows, columns)
    below, above = np.empty(shape, np.float32), np.empty(shape, np.float32)
    span_below, span_above = np.empty((rows, 2), np.int64), np.empty((rows, 2), np.int64)
    y_below, z_below = np.empty(shape, np.int32), np.empty(shape, np.int32)
    y_above, z_above = np.empty(shape, np.int32), np.empty(shape, np.int32)
    between = np.empty(shape, np.int32)
    vertices, centers = np.empty((1024, 3), np.float32), np.empty((64, 3), np.float32)
    faces = np.empty((2048, 3), np.int32)
    own = triangles = inner = 0

    _read_plane(raw, level, start, above, span_above)
    vertices, count = _cross_plane(above, span_above, start, y_above, z_above, vertices, 0)
    for layer in range(start, stop):
        below, above = above, below
        span_below, span_above = span_above, span_below
        y_below, y_above = y_above, y_below
        z_below, z_above = z_above, z_below
        _read_plane(raw, level, layer + 1, above, span_above)
        for row in range(rows):
            low = min(span_below[row, 0], span_above[row, 0])
            vertices = _with_room(vertices, count + columns)
            for column in range(low, max(span_below[row, 1], span_above[row, 1]) + 1):
                one, other = below[row, column], above[row, column]
                if (one > 0) != (other > 0):
                    between[row, column] = count
                    count = _place(vertices, count, layer + one / (one - other), row, column)
        own = count
        vertices, count = _cross_plane(above, span_above, layer + 1, y_above, z_above, vertices, count)

        edges = np.empty(CENTER + 1, np.int32)
        corners = np.empty(8, np.float64)
        for row in range(rows - 1):
            low = min(span_below[row, 0], span_below[row + 1, 0], span_above[row, 0], span_above[row + 1, 0])
            high = max(span_below[row, 1], span_below[row + 1, 1], span_above[row, 1], span_above[row + 1, 1])
            if low > high:
                continue
            faces = _with_room(faces, triangles + 12 * (high - low + 2))
            centers = _with_room(centers, inner + high - low + 2)
            case = 0
            for column in range(low - 1, high + 1):
                case = (case >> 1) & 0b01010101
                case |= (below[row, column + 1] > 0) << 1 | (below[row + 1, column + 1] > 0) << 3
                case |= (above[row, column + 1] > 0) << 5 | (above[row + 1, column + 1] > 0) << 7
                if case in (0, 255):
                    continue
                variant = cases.variant[case]
                if cases.ambiguous[case]:
                    for z in range(2):
                        corners[z], corners[2 + z] = below[row, column + z], below[row + 1, column + z]
                        corners[4 + z], corners[6 + z] = above[row, column + z], above[row + 1, column + z]
                    variant += _choice(cases.ambiguous[case], cases.faces, corners)
                for z in range(2):
                    edges[z], edges[2 + z] = between[row, column + z], between[row + 1, column + z]
                    edges[4 + z], edges[6 + z] = y_below[row, column + z], y_above[row, column + z]
                    edges[8 + z], edges[10 + z] = z_below[row + z, column], z_above[row + z, column]
                if cases.around[variant]:
                    _mean(cases.around[variant], edges, vertices, centers[inner])
                    inner += 1
                    edges[CENTER] = -inner
                for triangle in range(cases.first[variant], cases.first[variant + 1]):
                    for corner in range(3):
                        faces[triangles, corner] = edges[cases.triangles[triangle, corner]]
                    triangles += 1
    return vertices[:own].copy(), centers[:inner].copy(), faces[:triangles].copy()


@compiled_exactly
def _read_plane(raw: _Floats, level: np.float32, number: int, plane: _Floats, spans: NDArray[np.int64]) -> None:
    """Fill ``plane`` ``(y + 2, z + 2)`` with plane ``number`` of the samples and the ring around them.

    Args:
        plane: out, above the level.
        spans: out, ``(y + 2, 2)``, of each row the first column inside and the last; less if there is none.
    """
    planes, rows, columns = raw.shape[0], raw.shape[1], raw.shape[2]
    outermost = number in (0, planes + 1)
    for row in range(rows + 2):
        line = raw[min(max(number - 1, 0), planes - 1), min(max(row - 1, 0), rows - 1)]
        target = plane[row]
        for column in range(columns):
            value = line[column] - level
            value = value if value > -REACH else -REACH  # so it is if undefined
            value = value if value < REACH else REACH
            target[column + 1] = -NUDGE if abs(value) < NUDGE else value
        target[0], target[columns + 1] = -abs(target[1]), -abs(target[columns])
        spans[row, 0], spans[row, 1] = columns + 2, -1
        if outermost or row in (0, rows + 1):
            for column in range(1, columns + 1):
                target[column] = -abs(target[column])
            continue
        for column in range(1, columns + 1):
            if target[column] > 0:
                spans[row, 0] = column
                break
        for column in range(columns, spans[row, 0] - 1, -1):
            if target[column] > 0:
                spans[row, 1] = column
                break


@compiled_exactly
def _cross_plane(
    plane: _Floats, spans: NDArray[np.int64], number: int, along_y: _Ints, along_z: _Ints,
    vertices: _Floats, count: int,
) -> tuple[_Floats, int]:  # fmt: skip
    """Append the vertices within a plane to ``vertices``, and note their numbers where their edges begin."""
    rows, columns = plane.shape
    for row in range(rows):
        vertices = _with_room(vertices, count + 2 * columns)
        if row < rows - 1:
            low = min(spans[row, 0], spans[row + 1, 0])
            for column in range(low, max(spans[row, 1], spans[row + 1, 1]) + 1):
                one, other = plane[row, column], plane[row + 1, column]
                if (one > 0) != (other > 0):
                    along_y[row, column] = count
                    count = _place(vertices, count, number, row + one / (one - other), column)
        for column in range(spans[row, 0] - 1, spans[row, 1] + 1):
            one, other = plane[row, column], plane[row, column + 1]
            if (one > 0) != (other > 0):
                along_z[row, column] = count
                count = _place(vertices, count, number, row, column + one / (one - other))
    return vertices, count


@compiled_exactly
def _place(vertices: _Floats, count: int, x: float, y: float, z: float) -> int:
    """Put a vertex at number ``count``, without the ring's width; the next number."""
    vertices[count, 0], vertices[count, 1], vertices[count, 2] = x - 1, y - 1, z - 1
    return count + 1


@compiled_exactly
def _choice(ambiguous: int, faces: _Ints, corners: NDArray[np.float64]) -> int:
    """A bit for each of the ``ambiguous`` faces: does bilinear interpolation join the corners inside?

    The cells on both sides must find the same: products of two float32 are exact in float64.
    """
    bits = place = 0
    for face in range(6):
        if ambiguous >> face & 1:
            one = corners[faces[face, 0]] * corners[faces[face, 2]]
            other = corners[faces[face, 1]] * corners[faces[face, 3]]
            joined = one > other if corners[faces[face, 0]] > 0 else other > one
            bits |= joined << place
            place += 1
    return bits


@compiled_exactly
def _mean(around: int, edges: _Ints, vertices: _Floats, center: _Floats) -> None:
    """The middle of the vertices on the edges whose bits are set, into ``center`` ``(3,)``."""
    center[:] = 0
    members = 0
    for edge in range(CENTER):
        if around >> edge & 1:
            center += vertices[edges[edge]]
            members += 1
    center /= members


@compiled_exactly
def _with_room(rows: _Rows, needed: int) -> _Rows:
    """``rows`` ``(n, 3)``, or a longer copy: with room for ``needed`` of them."""
    if needed <= len(rows):
        return rows
    longer = np.empty((max(needed, 2 * len(rows)), 3), rows.dtype)
    for number in range(len(rows)):  # a slice would do, but takes seconds to compile
        for axis in range(3):
            longer[number, axis] = rows[number, axis]
    return longer
