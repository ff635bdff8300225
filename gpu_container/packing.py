"""Charts into a square: as large as they can be, a gap around each, none outside.

Charts are laid down one by one, the largest first, each as low and then as far left as it fits, whichever way
round ends lower; holes that are left are filled by smaller ones. Rows of cells know how far each cell is from
the next taken one, so that a row of a chart is tried in one step and what is in the way is skipped at once.
Several scales are tried, and the largest that fits is taken.

References: Baker, Coffman, Rivest, "Orthogonal packings in two dimensions", 1980 (as low and as far left as it
fits); Lévy et al., "Least squares conformal maps", 2002 (charts as rows of cells).
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from gpu_container.compiled import compiled

#: shares of the square that charts are tried to fill, side by side; the next ones when none of these can be had
FILLS = (
    (0.68, 0.66, 0.64, 0.62),
    (0.60, 0.58, 0.56, 0.54),
    (0.50, 0.45, 0.40, 0.35, 0.30, 0.25, 0.20, 0.15),
    (0.10, 0.07, 0.05, 0.03, 0.02, 0.01),
)


def packed(
    uv: NDArray[np.float32], faces: NDArray[np.int32], size: int, padding: float
) -> NDArray[np.float32] | None:
    """The same charts, some turned, all scaled alike, that fill a square: ``(k, 2)`` 0..1; None if they cannot.

    Args:
        uv: ``(k, 2)`` of any scale, the same for all charts.
        faces: ``(m, 3)``; those that share vertices are one chart.
        size: cells along a side.
        padding: cells between charts, and half of that along the square's sides.
    """
    links = np.ones(2 * len(faces), np.int8), (faces[:, :2].ravel(), faces[:, 1:].ravel())
    count, chart_of = connected_components(coo_array(links, shape=(len(uv),) * 2), directed=False)
    order = np.argsort(chart_of[faces[:, 0]], kind="stable")
    starts = np.searchsorted(chart_of[faces[order, 0]], np.arange(count + 1))
    edges = uv[faces[:, 1:]].astype(np.float64) - uv[faces[:, :1]]
    area = np.abs(edges[:, 0, 0] * edges[:, 1, 1] - edges[:, 0, 1] * edges[:, 1, 0]).sum() / 2
    upright = uv.astype(np.float64)
    turned = np.stack([upright, np.stack([-upright[:, 1], upright[:, 0]], axis=-1)])
    low, high = np.full((2, count, 2), np.inf), np.full((2, count, 2), -np.inf)
    for way in range(2):
        np.minimum.at(low[way], chart_of, turned[way])
        np.maximum.at(high[way], chart_of, turned[way])
    sequence = np.argsort(-(high - low)[0].sum(axis=1), kind="stable")

    def laid(fill: float) -> NDArray[np.float64] | None:
        scale = np.sqrt(fill * size * size / area)
        places = np.empty((count, 3))
        if not lay(
            turned * scale, faces[order], starts, low * scale, high * scale, sequence, size, padding / 2, places
        ):
            return None
        way = places[chart_of, 0].astype(np.int64)
        moved = (turned[way, np.arange(len(uv))] - low[way, chart_of]) * scale + places[chart_of, 1:]
        return np.asarray(moved / (moved.max() + padding / 2))

    if not area > 0:
        return None
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        for fills in FILLS:
            fitting = [found for found in pool.map(laid, fills) if found is not None]
            if fitting:
                return fitting[0].astype(np.float32)
    return None


@compiled
def lay(
    uv: NDArray[np.float64],
    faces: NDArray[np.int32],
    starts: NDArray[np.int64],
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    sequence: NDArray[np.int64],
    size: int,
    gap: float,
    places: NDArray[np.float64],
) -> bool:
    """Lay charts down one after the other; False if one does not fit.

    Args:
        uv: ``(2, k, 2)`` in cells, for either way round.
        faces: ``(m, 3)`` in the order of their charts, which begin at ``starts`` ``(c + 1,)``.
        low, high: ``(2, c, 2)`` corners of the charts.
        sequence: ``(c,)`` which comes when.
        gap: cells kept free around each.
        places: out, ``(c, 3)``: way round, then where its low corner goes, column and row.
    """
    # free[row, column]: how many cells from here on are free; past[row, column]: where the next free one is
    free = np.empty((size, size), np.int32)
    past = np.empty((size, size), np.int32)
    for column in range(size):
        free[:, column] = size - column
        past[:, column] = column
    longest = np.full(size, size, np.int32)  # free cells side by side in each row, at most
    left = np.empty((2, size), np.int32)
    right = np.empty((2, size), np.int32)
    for chart in sequence:
        best_top, best_row, best_column, best_way = size + 1, -1, -1, 0
        heights = np.zeros(2, np.int64)
        for way in range(2):
            rows = int(np.ceil(high[way, chart, 1] - low[way, chart, 1] + 2 * gap))
            columns = int(np.ceil(high[way, chart, 0] - low[way, chart, 0] + 2 * gap))
            if rows > size or columns > size:
                continue
            heights[way] = rows
            own = faces[starts[chart] : starts[chart + 1]]
            _outline(uv[way], own, low[way, chart], gap, columns, left[way, :rows], right[way, :rows])
            first, last = right[way, 0] - left[way, 0], right[way, rows - 1] - left[way, rows - 1]
            for row in range(min(best_top - rows, size - rows + 1)):
                if longest[row] < first or longest[row + rows - 1] < last:
                    continue
                column = _fitting(free, past, left[way, :rows], right[way, :rows], row, columns)
                if column >= 0:
                    best_top, best_row, best_column, best_way = row + rows, row, column, way
                    break
        if best_row < 0:
            return False
        for row in range(heights[best_way]):
            cells = best_column + left[best_way, row], best_column + right[best_way, row]
            _take(free[best_row + row], past[best_row + row], cells[0], cells[1])
            longest[best_row + row] = free[best_row + row].max()
        places[chart, 0] = best_way
        places[chart, 1], places[chart, 2] = best_column + gap, best_row + gap
    return True


@compiled
def _take(free: NDArray[np.int32], past: NDArray[np.int32], first: int, last: int) -> None:
    """Mark the cells from ``first`` to before ``last`` of a row as taken."""
    until = past[last] if last < len(past) else last
    free[first:last] = 0
    past[first:last] = until
    column = first - 1
    while column >= 0 and free[column] > 0:
        free[column] = first - column
        column -= 1
    while column >= 0 and free[column] == 0:
        if past[column] == first:
            past[column] = until
        column -= 1


@compiled
def _fitting(
    free: NDArray[np.int32],
    past: NDArray[np.int32],
    left: NDArray[np.int32],
    right: NDArray[np.int32],
    row: int,
    columns: int,
) -> int:
    """The first column at which a chart fits in the rows from ``row`` on, -1 if there is none."""
    size, rows = free.shape[0], len(left)
    column, agreed, index = 0, 0, 0
    while column + columns <= size:
        start = column + left[index]
        there = free[row + index, start]
        if there >= right[index] - left[index]:
            agreed += 1  # as many rows as that, one after the other, fit at this column
            if agreed == rows:
                return column
            index = index + 1 if index + 1 < rows else 0
        elif start + there == size:
            return -1
        else:
            column = past[row + index, start + there] - left[index]
            agreed = 0
    return -1


@compiled
def _outline(
    uv: NDArray[np.float64],
    faces: NDArray[np.int32],
    low: NDArray[np.float64],
    gap: float,
    columns: int,
    left: NDArray[np.int32],
    right: NDArray[np.int32],
) -> None:
    """The first and the end of the cells that a chart and its gap take in each row."""
    rows = len(left)
    lowest, highest = np.full(rows, 1e9), np.full(rows, -1e9)
    for face in range(len(faces)):
        for corner in range(3):
            a, b = faces[face, corner], faces[face, (corner + 1) % 3]
            ax, ay = uv[a, 0] - low[0] + gap, uv[a, 1] - low[1] + gap
            bx, by = uv[b, 0] - low[0] + gap, uv[b, 1] - low[1] + gap
            if ay > by:
                ax, ay, bx, by = bx, by, ax, ay
            first, last = max(int(np.floor(ay - gap)), 0), min(int(np.floor(by + gap)), rows - 1)
            for row in range(first, last + 1):
                # the part of the edge that comes within the gap of this row
                y0, y1 = max(ay, row - gap), min(by, row + 1 + gap)
                slope = (bx - ax) / (by - ay) if by > ay else 0.0
                x0, x1 = ax + (y0 - ay) * slope, ax + (y1 - ay) * slope
                if by <= ay:
                    x0, x1 = ax, bx
                lowest[row] = min(lowest[row], x0, x1)
                highest[row] = max(highest[row], x0, x1)
    for row in range(rows):
        if highest[row] < lowest[row]:
            left[row], right[row] = 0, 1
            continue
        left[row] = max(int(np.floor(lowest[row] - gap)), 0)
        right[row] = min(int(np.ceil(highest[row] + gap)), columns)
