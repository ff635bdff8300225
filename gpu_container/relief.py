"""The dense surface under a mesh of few faces: what decimation took away, to be painted on.

The dense surface is the grid's, where its raw density, interpolated, is ``SURFACE_RAW``. A point of the mesh is
moved onto it along the density's gradient (Newton's method), and asked which way the surface faces there.

Reference: Cignoni et al., "A general method for preserving attribute values on simplified meshes", 1998.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from gpu_container.compiled import compiled
from gpu_container.device import in_parts
from gpu_container.field import RADIUS, SURFACE_RAW

#: Newton steps, at most; the first leaves a tenth of a sample
_STEPS = 3
#: samples; a shorter step is the last
_SHORTEST = 1e-3
#: a point that would go further than this, in samples, stays where it is: the surface there is another one
_FURTHEST = 2.0


def under(
    grid: torch.Tensor, points: NDArray[np.float32], normals: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Where the dense surface lies nearest to each of the points ``(n, 3)``, and its outward unit normal there.

    A point that finds no surface within two samples stays where it is and keeps its own of ``normals``, at
    length 1; so does one outside the cube, where the mesh closes what the cube has cut.

    Args:
        grid: raw density ``(r, r, r)``, see :meth:`gpu_container.field.Field.density_grid`.
        normals: ``(n, 3)``, of any length but 0.
    """
    raw = grid.detach().cpu().numpy()
    places, facing = points.astype(np.float32), normals.astype(np.float32)
    in_parts(lambda part: _onto(raw, places[part], facing[part], SURFACE_RAW), len(points))
    return places, facing


@compiled
def _onto(
    raw: NDArray[np.float32], places: NDArray[np.float32], facing: NDArray[np.float32], level: float
) -> None:
    """Move ``places`` ``(n, 3)`` onto the surface, and turn ``facing`` the way it faces."""
    scale = (raw.shape[0] - 1) / (2 * RADIUS)
    for index in range(len(places)):
        px, py, pz = np.float64(places[index, 0]), np.float64(places[index, 1]), np.float64(places[index, 2])
        nx, ny, nz = np.float64(facing[index, 0]), np.float64(facing[index, 1]), np.float64(facing[index, 2])
        length = max(np.sqrt(nx * nx + ny * ny + nz * nz), 1e-12)
        facing[index, 0], facing[index, 1], facing[index, 2] = nx / length, ny / length, nz / length
        if max(abs(px), abs(py), abs(pz)) > np.float32(RADIUS):
            continue
        # in samples from here on
        px, py, pz = (px + RADIUS) * scale, (py + RADIUS) * scale, (pz + RADIUS) * scale
        x, y, z = px, py, pz
        for _ in range(_STEPS):
            gx, gy, gz = _slope(raw, x, y, z)
            steepness = gx * gx + gy * gy + gz * gz
            if steepness < 1e-12:
                break
            step = (level - _raw(raw, x, y, z)) / steepness
            length = abs(step) * np.sqrt(steepness)
            if length > 1.0:  # a sample at a time: further away it is not straight any more
                step /= length
            x, y, z = x + step * gx, y + step * gy, z + step * gz
            if length < _SHORTEST:
                break
        gx, gy, gz = _slope(raw, x, y, z)
        length = np.sqrt(gx * gx + gy * gy + gz * gz)
        if length < 1e-6 or (x - px) ** 2 + (y - py) ** 2 + (z - pz) ** 2 > _FURTHEST * _FURTHEST:
            continue
        x, y, z = x / scale - RADIUS, y / scale - RADIUS, z / scale - RADIUS
        places[index, 0], places[index, 1], places[index, 2] = x, y, z
        facing[index, 0], facing[index, 1], facing[index, 2] = -gx / length, -gy / length, -gz / length


@compiled
def _slope(raw: NDArray[np.float32], x: float, y: float, z: float) -> tuple[float, float, float]:
    """The gradient, per sample, across one to each side: smoother than interpolation itself."""
    return (
        (_raw(raw, x + 1, y, z) - _raw(raw, x - 1, y, z)) / 2,
        (_raw(raw, x, y + 1, z) - _raw(raw, x, y - 1, z)) / 2,
        (_raw(raw, x, y, z + 1) - _raw(raw, x, y, z - 1)) / 2,
    )


@compiled
def _raw(raw: NDArray[np.float32], x: float, y: float, z: float) -> float:
    """Raw density between the samples, the outermost ones' beyond them."""
    last = raw.shape[0] - 1
    x, y, z = min(max(x, 0.0), last), min(max(y, 0.0), last), min(max(z, 0.0), last)
    i, j, k = min(int(x), last - 1), min(int(y), last - 1), min(int(z), last - 1)
    fx, fy, fz = x - i, y - j, z - k
    near = (raw[i, j, k] * (1 - fz) + raw[i, j, k + 1] * fz) * (1 - fy)
    near += (raw[i, j + 1, k] * (1 - fz) + raw[i, j + 1, k + 1] * fz) * fy
    far = (raw[i + 1, j, k] * (1 - fz) + raw[i + 1, j, k + 1] * fz) * (1 - fy)
    far += (raw[i + 1, j + 1, k] * (1 - fz) + raw[i + 1, j + 1, k + 1] * fz) * fy
    return float(near * (1 - fx) + far * fx)
