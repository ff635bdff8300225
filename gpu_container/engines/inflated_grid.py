"""The density of an inflated photo at the samples of a grid, on the CPU: only where its skin may be.

The formulas are those of :mod:`gpu_container.engines.inflated_field`, where tensor calls work them out for
whole slices and need many times a slice's memory. Here a sample needs none but its own.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from gpu_container.compiled import compiled
from gpu_container.field import SURFACE_RAW

#: slices that a thread takes at a time
_SLICES = 8

_Floats = NDArray[np.float32]


class Columns(NamedTuple):
    """What is known of every column of samples, those along x, and of the carved side."""

    #: ``(r,)`` the coordinates of the samples along every axis
    axis: _Floats
    #: ``(3, r, r)``: q, middle, relief at (y, z)
    shape: _Floats
    #: ``(r, r)`` each: from where to where, along x, the density is not the lowest; world units
    begins: _Floats
    ends: _Floats
    #: ``(h, w)`` signed distance of the outline, positive inside, and where its map lies: (y, z), half its side
    outline: _Floats
    center: tuple[float, float]
    half_side: float
    #: see InflatedField
    back: float
    camera: float
    #: added to a distance's denominator, world units
    softness: float
    carving: float
    #: of the log-density, per world unit
    steepness: float
    lowest: float
    highest: float


def raw_density(columns: Columns) -> torch.Tensor:
    """Raw density ``(r, r, r)``, see :meth:`gpu_container.field.Field.density_grid`."""
    side = len(columns.axis)
    grid = torch.empty((side,) * 3)
    raw = grid.numpy()
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        list(
            pool.map(
                lambda start: _fill(raw[start : start + _SLICES], start, columns, SURFACE_RAW),
                range(0, side, _SLICES),
            )
        )
    return grid


@compiled
def _fill(slices: _Floats, start: int, columns: Columns, level: float) -> None:
    """``slices`` ``(n, r, r)``: those of the grid from number ``start`` on."""
    axis = columns.axis
    rows, width = columns.outline.shape
    slices[:] = level + columns.lowest
    for number in range(slices.shape[0]):
        x = axis[start + number]
        nearer = 1 / (1 - x / columns.camera)  # how much larger the camera sees what lies here
        for j in range(len(axis)):
            column = ((axis[j] * nearer - columns.center[0]) / columns.half_side + 1) * width / 2 - 0.5
            column = min(max(column, 0.0), width - 1.0)
            left = min(int(column), width - 2)
            to_right = column - left
            for k in range(len(axis)):
                if x < columns.begins[j, k] or x > columns.ends[j, k]:
                    continue
                q = columns.shape[0, j, k]
                depth = x - columns.shape[1, j, k]
                depth = depth / columns.shape[2, j, k] if depth > 0 else -depth / columns.back
                distance = (q - depth * depth) / (np.sqrt(max(q, 0.0)) + depth + columns.softness)
                if x > 0:
                    row = (1 - (axis[k] * nearer - columns.center[1]) / columns.half_side) * rows / 2 - 0.5
                    row = min(max(row, 0.0), rows - 1.0)
                    above = min(int(row), rows - 2)
                    to_below = row - above
                    upper = columns.outline[above, left] * (1 - to_right)
                    upper += columns.outline[above, left + 1] * to_right
                    lower = columns.outline[above + 1, left] * (1 - to_right)
                    lower += columns.outline[above + 1, left + 1] * to_right
                    distance = min(distance, columns.carving * (upper * (1 - to_below) + lower * to_below))
                exponent = distance * columns.steepness
                slices[number, j, k] = level + min(max(exponent, columns.lowest), columns.highest)
