"""A mesh laid flat: cut into charts, each seen along its own axis, none folded over itself.

A chart's faces all face its axis, so that looking along it flattens them with little distortion and turns none
over. Where one part of a chart hides another from that side, it is cut off and becomes a chart itself; long
charts are cut across, since they would leave a square texture empty.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gpu_container import segmentation
from gpu_container.compiled import compiled

#: times the side of a square of the mesh's whole area that a chart may be long
_LONGEST = 1.2
#: degrees between the turns of a chart that are tried for the smallest box around it
_TURN = 5
#: cells along a side of the grid in which a chart's faces are looked up, at most
_MOST_CELLS = 128
#: share of a chart's extent that faces may overlap by: rounding
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Charts:
    """A mesh with vertices doubled along its charts' borders: each then has one place in the texture."""

    source: NDArray[np.int32]  # (k,) which of the mesh's vertices each one is
    faces: NDArray[np.int32]  # (m, 3), the mesh's faces in their order
    uv: NDArray[np.float32]  # (k, 2) u to the right, v down, seen from outside


def unwrap(vertices: NDArray[np.float32], faces: NDArray[np.int32]) -> Charts:
    """Charts of a mesh, each flat, not yet packed: they lie on top of each other.

    All are to one scale, that of the mesh: a chart's area is that of its faces. The same mesh gives the same
    charts. It ends for any mesh, however broken; one of many loose faces only has many charts.

    Args:
        vertices: ``(n, 3)``.
        faces: ``(m, 3)``, at least one, counter-clockwise seen from outside.
    """
    found = segmentation.segments(vertices, faces)
    chart_of, axes = found.chart_of, found.axes
    corners = vertices[faces].astype(np.float64)
    longest = _LONGEST * np.sqrt(_areas(corners).sum())
    while True:
        across, up = _frames(axes[chart_of])
        flat = np.stack([np.einsum("mcx,mx->mc", corners, way) for way in (across, up)], axis=-1)
        height = np.einsum("mcx,mx->m", corners, axes[chart_of])
        part = hidden(flat, height, chart_of).astype(np.int32)
        if not part.any():
            part = slabs(flat, chart_of, longest)
        pieces = segmentation.regions(found.near, chart_of * (part.max() + 1) + part)
        axes_of = axes[chart_of[np.unique(pieces, return_index=True)[1]]]
        if len(axes_of) == len(axes):
            break
        chart_of, axes = pieces, axes_of
    keys = chart_of[:, None].astype(np.int64) * len(vertices) + faces
    used, first, place = np.unique(keys, return_index=True, return_inverse=True)
    uv = flat.reshape(-1, 2)[first] * (1, -1)
    chart = (used // len(vertices)).astype(np.int32)
    area = np.bincount(chart_of, _areas(corners))
    seen = np.bincount(chart_of, _areas(flat))
    uv = upright(uv, chart) * np.sqrt(area / np.maximum(seen, 1e-3 * area + 1e-300))[chart, None]
    return Charts(
        (used % len(vertices)).astype(np.int32), place.reshape(-1, 3).astype(np.int32), uv.astype(np.float32)
    )


def upright(uv: NDArray[np.float64], chart: NDArray[np.int32]) -> NDArray[np.float64]:
    """``uv`` ``(k, 2)`` with each chart turned so that the box around it is small; ``chart`` rises from 0."""
    starts = np.flatnonzero(np.diff(chart, prepend=-1))
    angles = np.radians(np.arange(0, 90, _TURN))
    sizes = [
        np.prod(np.maximum.reduceat(turned, starts) - np.minimum.reduceat(turned, starts), axis=1)
        for turned in (uv @ _turn(angle) for angle in angles)
    ]
    best = angles[np.argmin(sizes, axis=0)][chart]
    cos, sin = np.cos(best), np.sin(best)
    return np.stack([uv[:, 0] * cos - uv[:, 1] * sin, uv[:, 0] * sin + uv[:, 1] * cos], axis=-1)


def slabs(flat: NDArray[np.float64], chart_of: NDArray[np.int32], longest: float) -> NDArray[np.int32]:
    """Into which piece of its chart each face ``(m,)`` goes, so that none is longer than ``longest``, about.

    Args:
        flat: ``(m, 3, 2)`` corners as seen along the chart's axis.
        chart_of: ``(m,)``, each number from 0 on in use.
    """
    order = np.argsort(chart_of, kind="stable")
    chart = chart_of[order]
    at = upright(flat[order].reshape(-1, 2), np.repeat(chart, 3)).reshape(-1, 3, 2)
    starts = np.flatnonzero(np.diff(chart, prepend=-1))
    low = np.minimum.reduceat(at.min(axis=1), starts)
    sides = np.maximum.reduceat(at.max(axis=1), starts) - low
    along = sides.argmax(axis=1)[chart]
    where, begin, length = (it[np.arange(len(it)), along] for it in (at.mean(axis=1), low[chart], sides[chart]))
    count = np.maximum(np.ceil(length / max(longest, 1e-300)), 1)
    part = np.empty(len(chart), np.int32)
    part[order] = np.minimum((where - begin) / np.maximum(length, 1e-300) * count, count - 1)
    return part


def hidden(
    flat: NDArray[np.float64], height: NDArray[np.float64], chart_of: NDArray[np.int32]
) -> NDArray[np.bool_]:
    """Which faces lie over others of their own chart ``(m,)``.

    Args:
        flat: ``(m, 3, 2)`` corners as seen along the chart's axis, counter-clockwise.
        height: ``(m,)`` along it.
        chart_of: ``(m,)``.
    """
    order = np.argsort(chart_of, kind="stable")
    starts = np.searchsorted(chart_of[order], np.arange(int(chart_of.max()) + 2))
    hiding = np.zeros(len(flat), np.bool_)
    _mark(flat, height, order, starts, hiding)
    return hiding


@compiled
def _mark(
    flat: NDArray[np.float64],
    height: NDArray[np.float64],
    order: NDArray[np.int64],
    starts: NDArray[np.int64],
    hiding: NDArray[np.bool_],
) -> None:
    """:func:`hidden`, looked up in cells; ``order`` has the faces chart by chart, each from ``starts`` on."""
    span = np.empty((len(flat), 2, 2), np.int64)  # the first and the last cells that each face may touch
    for chart in range(len(starts) - 1):
        members = order[starts[chart] : starts[chart + 1]]
        cells = min(int(np.sqrt(len(members))) + 1, _MOST_CELLS)
        extent = 0.0
        for x in range(2):
            low, high = flat[members[0], 0, x], flat[members[0], 0, x]
            for face in members:
                a, b, c = flat[face, 0, x], flat[face, 1, x], flat[face, 2, x]
                low, high = min(low, a, b, c), max(high, a, b, c)
            size = max((high - low) / cells, 1e-300)
            extent = max(extent, high - low)
            for face in members:
                a, b, c = flat[face, 0, x], flat[face, 1, x], flat[face, 2, x]
                span[face, 0, x] = min(int((min(a, b, c) - low) / size), cells - 1)
                span[face, 1, x] = min(int((max(a, b, c) - low) / size), cells - 1)
        # the members in each cell, cell after cell: counted first, then put down
        begins, filled = np.zeros(cells * cells + 1, np.int64), np.zeros(cells * cells, np.int64)
        held = np.empty(0, np.int64)
        for filling in range(2):
            if filling == 1:
                for cell in range(cells * cells):
                    begins[cell + 1] += begins[cell]
                held = np.empty(begins[cells * cells], np.int64)
            for face in members:
                for row in range(span[face, 0, 1], span[face, 1, 1] + 1):
                    for column in range(span[face, 0, 0], span[face, 1, 0] + 1):
                        cell = row * cells + column
                        if filling == 0:
                            begins[cell + 1] += 1
                        else:
                            held[begins[cell] + filled[cell]] = face
                            filled[cell] += 1
        for cell in range(cells * cells):
            for first in range(begins[cell], begins[cell + 1]):
                for second in range(first + 1, begins[cell + 1]):
                    one, other = held[first], held[second]
                    row = max(span[one, 0, 1], span[other, 0, 1])
                    column = max(span[one, 0, 0], span[other, 0, 0])
                    # a pair that shares several cells is looked at in the first of them
                    if row * cells + column == cell and _overlap(flat[one], flat[other], _ROUNDING * extent):
                        hiding[one if height[one] > height[other] else other] = True


@compiled
def _overlap(one: NDArray[np.float64], other: NDArray[np.float64], least: float) -> bool:
    """Whether two triangles have area in common: no side of either has the other one outside."""
    return not (_outside(one, other, least) or _outside(other, one, least))


@compiled
def _outside(one: NDArray[np.float64], other: NDArray[np.float64], least: float) -> bool:
    """Whether one of the first triangle's sides has the other triangle on its far side, all but ``least``."""
    for corner in range(3):
        px, py = one[corner, 0], one[corner, 1]
        dx, dy = one[(corner + 1) % 3, 0] - px, one[(corner + 1) % 3, 1] - py
        a = dx * (other[0, 1] - py) - dy * (other[0, 0] - px)
        b = dx * (other[1, 1] - py) - dy * (other[1, 0] - px)
        c = dx * (other[2, 1] - py) - dy * (other[2, 0] - px)
        furthest = max(a, b, c)
        if furthest <= 0 or furthest * furthest <= least * least * (dx * dx + dy * dy):
            return True
    return False


def _frames(axes: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Two directions ``(m, 3)`` each that make a right-handed frame with the axes."""
    side = np.where(np.abs(axes[:, 2:]) < 0.9, (0.0, 0.0, 1.0), (1.0, 0.0, 0.0))
    across = np.cross(side, axes)
    across /= np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1e-300)
    return across, np.cross(axes, across)


def _turn(angle: float) -> NDArray[np.float64]:
    return np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])


def _areas(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of triangles ``(m, 3, 2 or 3)``."""
    one, other = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    square = np.einsum("mx,mx->m", one, one) * np.einsum("mx,mx->m", other, other)
    return np.asarray(np.sqrt(np.maximum(square - np.einsum("mx,mx->m", one, other) ** 2, 0)) / 2)
