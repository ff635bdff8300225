"""Neighbouring charts made one, where all their faces still look about one way."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gpu_container.compiled import compiled

#: two charts that share less of the shorter one's border stay two: they would only be harder to pack
_SHARED_BORDER = 0.25

Vectors = NDArray[np.float64]  # (m, 3)


@compiled
def join(
    near: NDArray[np.int32],
    lengths: NDArray[np.float64],
    normals: Vectors,
    chart_of: NDArray[np.int32],
    means: Vectors,
    axes: Vectors,
    facing: float,
) -> None:
    """Make neighbouring charts one, those with most border in common first, while all still faces one way.

    Args:
        near, lengths: ``(m, 3)`` of each side.
        normals: ``(m, 3)``.
        chart_of: in and out, ``(m,)``; numbers of charts that are joined to others become unused.
        means: in and out, ``(c, 3)`` sum of normals times area.
        axes: in and out, ``(c, 3)`` of length 1.
        facing: cosine of what a face may turn away from its chart's axis.
    """
    count = len(axes)
    first, last = np.full(count, -1, np.int32), np.full(count, -1, np.int32)
    following = np.full(len(near), -1, np.int32)  # the faces of each chart, one after the other
    shared = np.zeros((count, count), np.float32)
    border = np.zeros(count, np.float32)
    for face in range(len(near)):
        chart = chart_of[face]
        if first[chart] < 0:
            first[chart] = face
        else:
            following[last[chart]] = face
        last[chart] = face
        for side in range(3):
            other = near[face, side]
            if other < 0 or chart_of[other] != chart:
                border[chart] += lengths[face, side]
                if other >= 0:
                    shared[chart, chart_of[other]] += lengths[face, side]
    # of each chart the best partner among those of higher number; below the diagonal `shared` stays as it is,
    # above it pairs that must not be joined are struck out
    partner, share = np.zeros(count, np.int32), np.zeros(count, np.float32)
    for chart in range(count):
        _choose(chart, shared, border, partner, share)
    axis = np.empty(3)
    while True:
        one = int(share.argmax())
        two = int(partner[one])
        if share[one] < _SHARED_BORDER:
            return
        length = 0.0
        for x in range(3):
            axis[x] = means[one, x] + means[two, x]
            length += axis[x] ** 2
        axis /= max(np.sqrt(length), 1e-300)
        if not (
            _agree(first[one], following, normals, axis, facing)
            and _agree(first[two], following, normals, axis, facing)
        ):
            shared[one, two] = 0
            _choose(one, shared, border, partner, share)
            continue
        face = first[two]
        while face >= 0:
            chart_of[face] = one
            face = following[face]
        following[last[one]] = first[two]
        last[one] = last[two]
        border[one] += border[two] - 2 * shared[two, one]
        for x in range(3):
            axes[one, x] = axis[x]
            means[one, x] += means[two, x]
        for chart in range(count):
            together = shared[max(one, chart), min(one, chart)] + shared[max(two, chart), min(two, chart)]
            shared[one, chart] = shared[chart, one] = together if chart != one and chart != two else 0.0
            shared[two, chart] = shared[chart, two] = 0.0
            if together > 0:
                _choose(chart, shared, border, partner, share)
        _choose(one, shared, border, partner, share)
        share[two] = 0


@compiled
def _choose(
    chart: int,
    shared: NDArray[np.float32],
    border: NDArray[np.float32],
    partner: NDArray[np.int32],
    share: NDArray[np.float32],
) -> None:
    """With which chart of higher number this one shares most of the shorter one's border."""
    share[chart] = 0
    for other in range(chart + 1, len(border)):
        if shared[chart, other] > share[chart] * min(border[chart], border[other]):
            share[chart] = shared[chart, other] / min(border[chart], border[other])
            partner[chart] = other


@compiled
def _agree(
    face: int, following: NDArray[np.int32], normals: Vectors, axis: NDArray[np.float64], facing: float
) -> bool:
    """Whether this face and all that follow look along the axis."""
    while face >= 0:
        if normals[face, 0] * axis[0] + normals[face, 1] * axis[1] + normals[face, 2] * axis[2] < facing:
            return False
        face = following[face]
    return True
