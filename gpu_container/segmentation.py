"""A surface cut into charts: connected pieces that face about one way, few of them and with short borders.

Charts grow from seeds side by side, each face going to the seed that it is nearest to along the surface, where
turning away from the chart's axis makes ways longer; seeds and axes then move to their charts' middles, and all
grow anew. Neighbours that together still face one way become one.

References: Sander, Wood, Gortler, Snyder & Hoppe, "Multi-chart geometry images", 2003 (the cost of a step);
Cohen-Steiner, Alliez & Desbrun, "Variational shape approximation", 2004 (axes and seeds in turn).
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gpu_container import joining
from gpu_container.compiled import compiled

#: cosine of what a face may turn away from its chart's axis: at 60 degrees it is half as wide in the texture
FACING = 0.5
#: rounds in which seeds and axes move to the middles of their charts
_ROUNDS = 4
#: what a step costs even where faces look along the axis: without it borders in flat regions would be ragged
_STRAIGHTNESS = 1.05
#: times that normals are averaged with their neighbours' before the first seeds are set
_SMOOTHING = 4
#: times that charts are tried to be grown where none fits, before faces are taken as they look
_TRIES = 8
#: share of all area below which a region of equal direction gets no seed of its own
_SEED_SHARE = 2e-3
#: more charts than this are not joined: the time grows with their number squared
_MOST_JOINED = 4000

_SIX = np.concatenate([np.eye(3), -np.eye(3)])

Vectors = NDArray[np.float64]  # (m, 3)
Labels = NDArray[np.int32]  # (m,)


@dataclass(frozen=True)
class Segments:
    """Which chart each face is in, and where its charts look."""

    chart_of: Labels  # (m,) 0 and up, in the order of their first faces
    axes: Vectors  # (c, 3) of length 1; no face turns further from it than FACING says
    near: NDArray[np.int32]  # (m, 3) the face across each side, -1 where there is none, or several


def segments(vertices: NDArray[np.float32], faces: NDArray[np.int32]) -> Segments:
    """Charts of a mesh, in any state that it may be in. The same mesh gives the same charts.

    Args:
        vertices: ``(n, 3)``.
        faces: ``(m, 3)``, at least one.
    """
    near = neighbours(faces)
    corners = vertices[faces].astype(np.float64)
    turned = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]) / 2
    areas = np.linalg.norm(turned, axis=1)
    smooth = turned
    for _ in range(_SMOOTHING):
        smooth = smooth + np.where(near[..., None] >= 0, smooth[near], 0).sum(axis=1)
    # a face without area looks where its neighbours look, and goes with them
    normals = _unit(np.where(areas[:, None] > 1e-9 * areas.mean(), turned, smooth))
    centers = corners.mean(axis=1)

    chart_of, axes = _first(near, _unit(smooth), turned, areas)
    for _ in range(_ROUNDS):
        seeds, means = _middles(chart_of, len(axes), centers, normals, turned, areas)
        axes = _unit(means)
        grow(near, centers, normals, seeds, axes, chart_of)
        chart_of, axes = _with_the_rest(near, centers, normals, turned, chart_of, axes)
    means = _sums(chart_of, turned, len(axes))
    if len(axes) <= _MOST_JOINED:
        lengths = np.linalg.norm(np.roll(corners, -1, axis=1) - corners, axis=2)
        joining.join(near, lengths, normals, chart_of, means, axes, FACING)
        chart_of, axes = _numbered(chart_of, axes)
    return Segments(chart_of, axes, near)


def neighbours(faces: NDArray[np.int32]) -> NDArray[np.int32]:
    """The face across each side ``(m, 3)``; -1 where the side is a border, or several faces meet."""
    start, end = faces.astype(np.int64), np.roll(faces, -1, axis=1).astype(np.int64)
    sides = (np.minimum(start, end) * (int(faces.max()) + 1) + np.maximum(start, end)).ravel()
    order = np.argsort(sides, kind="stable")
    first = np.flatnonzero(np.append(True, sides[order][1:] != sides[order][:-1]))
    pairs = first[np.diff(np.append(first, len(order))) == 2]
    one, other = order[pairs], order[pairs + 1]
    near = np.full(faces.size, -1, np.int32)
    near[one], near[other] = other // 3, one // 3
    return near.reshape(-1, 3)


@compiled
def regions(near: NDArray[np.int32], label: Labels) -> Labels:
    """Number the connected regions of equal label ``(m,)``, in the order of their first faces."""
    region = np.full(len(near), -1, np.int32)
    waiting = np.empty(len(near), np.int32)
    count = 0
    for start in range(len(near)):
        if region[start] >= 0:
            continue
        region[start] = count
        waiting[0], left = start, 1
        while left > 0:
            left -= 1
            face = waiting[left]
            for side in range(3):
                other = near[face, side]
                if other >= 0 and region[other] < 0 and label[other] == label[face]:
                    region[other] = count
                    waiting[left] = other
                    left += 1
        count += 1
    return region


def _first(
    near: NDArray[np.int32], smooth: Vectors, turned: Vectors, areas: NDArray[np.float64]
) -> tuple[Labels, Vectors]:
    """A chart for each larger region whose faces look along the same one of six directions; -1 elsewhere."""
    region = regions(near, _directions(smooth))
    share = np.bincount(region, areas)
    large = share >= min(_SEED_SHARE * share.sum(), share.max())
    number = np.where(large, np.cumsum(large) - 1, -1).astype(np.int32)
    return number[region], _unit(_sums(region, turned, len(large))[large])


def _directions(normals: Vectors) -> Labels:
    """Which of the six directions along the axes is nearest to each."""
    return np.asarray((normals @ _SIX.T).argmax(axis=1), np.int32)


def _middles(
    chart_of: Labels,
    count: int,
    centers: Vectors,
    normals: Vectors,
    turned: Vectors,
    areas: NDArray[np.float64],
) -> tuple[NDArray[np.int32], Vectors]:
    """Of each chart the face nearest to its middle that looks its way ``(c,)``, and the sum of its faces."""
    inside = np.flatnonzero(chart_of >= 0)
    chart = chart_of[inside]
    means = _sums(chart, turned[inside], count)
    weights = areas[inside] + 1e-12 * areas.max() + 1e-300  # even a chart without area has a middle
    middles = _sums(chart, weights[:, None] * centers[inside], count)
    middles = middles / np.bincount(chart, weights, count)[:, None]
    away = ((centers[inside] - middles[chart]) ** 2).sum(axis=1)
    astray = (normals[inside] * _unit(means)[chart]).sum(axis=1) < FACING
    order = np.lexsort((away, astray, chart))
    firsts = order[np.searchsorted(chart[order], np.arange(count))]
    return inside[firsts].astype(np.int32), means


@compiled
def grow(
    near: NDArray[np.int32],
    centers: Vectors,
    normals: Vectors,
    seeds: NDArray[np.int32],
    axes: Vectors,
    chart_of: Labels,
) -> None:
    """Give each face to the chart whose seed is nearest (Dijkstra 1959), -1 to those that all turn away from.

    Args:
        near, centers, normals: of each face.
        seeds: ``(c,)`` faces, taken even if they look elsewhere.
        axes: ``(c, 3)``.
        chart_of: out, ``(m,)``.
    """
    chart_of[:] = -1
    waiting = [(0.0, seeds[chart], np.int32(chart)) for chart in range(len(seeds))]
    while len(waiting) > 0:
        way, face, chart = heapq.heappop(waiting)
        if chart_of[face] >= 0:
            continue
        chart_of[face] = chart
        for side in range(3):
            other = near[face, side]
            if other < 0 or chart_of[other] >= 0:
                continue
            facing, square = 0.0, 0.0
            for x in range(3):
                facing += normals[other, x] * axes[chart, x]
                square += (centers[other, x] - centers[face, x]) ** 2
            if facing >= FACING:
                step = np.sqrt(square) * (_STRAIGHTNESS - facing)
                heapq.heappush(waiting, (way + step, other, chart))


def _with_the_rest(
    near: NDArray[np.int32],
    centers: Vectors,
    normals: Vectors,
    turned: Vectors,
    chart_of: Labels,
    axes: Vectors,
) -> tuple[Labels, Vectors]:
    """Charts for the faces that none has taken, and for seeds that do not look their own chart's way."""
    lost = chart_of >= 0
    lost[lost] = (normals[lost] * axes[chart_of[lost]]).sum(axis=1) < FACING
    chart_of = np.where(lost, -1, chart_of).astype(np.int32)
    for _ in range(_TRIES):
        rest = np.flatnonzero(chart_of < 0)
        if len(rest) == 0:
            break
        region = regions(near, chart_of)[rest]
        # in each region the face of most area begins
        order = np.lexsort((-np.linalg.norm(turned[rest], axis=1), region))
        seeds = rest[order[np.unique(region[order], return_index=True)[1]]]
        own = np.empty_like(chart_of)
        own[rest] = region
        means = _unit(_sums(region, turned[rest], int(region.max()) + 1)[own[seeds]])
        astray = (means * normals[seeds]).sum(axis=1) < FACING
        means[astray] = normals[seeds][astray]
        blocked = np.where((chart_of[near] < 0) & (near >= 0), near, -1).astype(np.int32)
        added = np.empty_like(chart_of)
        grow(blocked, centers, normals, seeds.astype(np.int32), means, added)
        taken = (chart_of < 0) & (added >= 0)
        chart_of[taken] = added[taken] + len(axes)
        axes = np.concatenate([axes, means])
    left = chart_of < 0
    if left.any():
        # no face turns further from the nearest of the six than FACING allows
        toward = _directions(normals)
        region = regions(near, np.where(left, toward, -1).astype(np.int32))
        _, first, number = np.unique(region[left], return_index=True, return_inverse=True)
        chart_of[left] = number + len(axes)
        axes = np.concatenate([axes, _SIX[toward[left][first]]])
    return _numbered(chart_of, axes)


def _numbered(chart_of: Labels, axes: Vectors) -> tuple[Labels, Vectors]:
    """The charts that are in use, in the order of their first faces."""
    used, first, number = np.unique(chart_of, return_index=True, return_inverse=True)
    order = np.argsort(first)
    place = np.empty(len(order), np.int32)
    place[order] = np.arange(len(order))
    return place[number], axes[used[order]]


def _sums(labels: Labels, vectors: Vectors, count: int) -> Vectors:
    """Of the vectors of each label ``(count, 3)``."""
    return np.stack([np.bincount(labels, vectors[:, x], count) for x in range(3)], axis=-1).astype(np.float64)


def _unit(vectors: Vectors) -> Vectors:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-300))
