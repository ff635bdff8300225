"""Diffusion on a masked grid: one sparse solve serves the Poisson surface and the colours of the far side."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sparse
from numpy.typing import NDArray
from scipy.sparse.linalg import splu

Values = NDArray[np.float64]


def diffuse(
    inside: NDArray[np.bool_],
    rim: NDArray[np.float32],
    source: float = 0.0,
    vertical: float = 1.0,
    rim_above_and_below: bool = True,
) -> NDArray[np.float32]:
    """Solve ``-div(w grad u) = source`` inside, with ``u = rim`` outside, where it stays.

    Args:
        inside: ``(h, w)``; the array's own border lets nothing through.
        rim: ``(h, w, c)``, read outside only.
        vertical: weight of the exchange with the pixels above and below; 1 to the left and right.
        rim_above_and_below: False closes the rim there too: only the two ends of each row feed it.
    """
    height, width = inside.shape
    number = np.full(inside.shape, -1)
    number[inside] = np.arange(inside.sum())
    rows, columns = np.nonzero(inside)
    count = len(rows)
    diagonal = np.full(count, 1e-6)
    known: Values = np.full((count, rim.shape[2]), source) + 1e-6 * rim[inside]
    entries: list[tuple[Values, NDArray[np.intp], NDArray[np.intp]]] = []
    for row_step, column_step in ((0, 1), (0, -1), (1, 0), (-1, 0)):
        weight = vertical if row_step else 1.0
        row, column = rows + row_step, columns + column_step
        exists = (row >= 0) & (row < height) & (column >= 0) & (column < width)
        row, column = row.clip(0, height - 1), column.clip(0, width - 1)
        neighbour = number[row, column]
        linked = exists & (neighbour >= 0)
        held = exists & (neighbour < 0) & (rim_above_and_below or row_step == 0)
        diagonal += weight * (linked | held)
        known[held] += weight * rim[row[held], column[held]]
        entries.append((np.full(linked.sum(), -weight), np.nonzero(linked)[0], neighbour[linked]))
    entries.append((diagonal, np.arange(count), np.arange(count)))
    values, i, j = (np.concatenate(part) for part in zip(*entries, strict=True))
    matrix = sparse.csc_matrix((values, (i, j)), shape=(count, count))
    solved = rim.astype(np.float32, copy=True)
    if count:
        solver = splu(matrix, permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True})
        solved[inside] = solver.solve(known)
    return solved
