"""Marching rays through a raw-density grid on the CPU: compiled loops, one strip of a picture at a time.

Emission and absorption as in Mildenhall et al., "NeRF" (ECCV 2020), with TripoSR's steps: a ray is clipped to
the cube and sampled at the midpoints of equal parts, as many as :attr:`Field.ray_samples` says; a sample's
opacity is ``1 - exp(-density / samples)``, whatever the part's length.

Colour is far dearer than density and changes far less, so it is not asked at every sample. The samples that
share the light of a ray are put into layers, thin ones that each hold a good part of it, and colour is asked at
each layer's weighted mean depth.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpu_container.compiled import compiled
from gpu_container.field import RADIUS, RAY_BOX

#: a layer ends when this part of the ray's light is used up ...
LAYER_LIGHT = 1 / 4
#: ... or when it is this part of the ray thick and holds at least this much of the light: grazing rays
LAYER_THICKNESS = 1 / 48
LAYER_LEAST = 1 / 48
#: ... or after this part of the ray without density: something else stands behind
LAYER_GAP = 1 / 64
#: room for a ray's layers; the last takes all that follows
MOST_LAYERS = 16
#: below this share of its light left a ray ends
DARK = 1 / 1024
#: raw density that counts as nothing. A whole ray through it would be covered to 1/64, by four levels of a
#: picture; but a field whose grid is drawn from has a skin and no smoke, see ``RadianceField``
NOTHING_RAW = 1.0 + math.log(1 / 64)
#: log2 of a block's side in grid cells
BLOCK_BITS = 2
BLOCK = 1 << BLOCK_BITS
#: entries of a table of transmittance per unit of raw density, and the raw density where it ends: all is opaque
TABLE_STEPS = 64
OPAQUE_RAW = 13.0
#: more samples than a ray has: keeps a number that may be infinite within an integer
FARTHEST = 1e6


class Steps(NamedTuple):
    """How a ray is cut and summed."""

    samples: int
    #: light that passes a sample, ``(t,) float64``, over raw density from ``NOTHING_RAW`` on
    passing: NDArray[np.float64]
    #: samples after which a layer counts as thick, and after which as left behind
    thick: int
    gap: int


def steps_for(samples: int) -> Steps:
    """The steps of rays cut into ``samples`` parts."""
    raw = np.arange(NOTHING_RAW, OPAQUE_RAW, 1 / TABLE_STEPS)
    passing = np.exp(-np.exp(raw - 1) / samples)
    return Steps(samples, passing, max(1, round(samples * LAYER_THICKNESS)), max(1, round(samples * LAYER_GAP)))


@compiled
def occupied_blocks(
    raw: NDArray[np.float32], threshold: float, occupied: NDArray[np.bool_], first: int
) -> None:
    """Fill ``occupied[first]``: does any corner of any cell of a block exceed ``threshold``?

    Args:
        raw: ``(r, r, r)`` grid.
        occupied: ``(b, b, b)``, b = ceil((r - 1) / BLOCK).
    """
    last = raw.shape[0] - 1
    for j in range(occupied.shape[1]):
        for k in range(occupied.shape[2]):
            highest = -np.inf
            for x in range(first * BLOCK, min(first * BLOCK + BLOCK, last) + 1):
                for y in range(j * BLOCK, min(j * BLOCK + BLOCK, last) + 1):
                    for z in range(k * BLOCK, min(k * BLOCK + BLOCK, last) + 1):
                        highest = max(highest, raw[x, y, z])
            occupied[first, j, k] = highest > threshold


# march_exact's machine code holds copies of the next three functions, and numba does not see them change there.
@compiled
def interpolate(flat: NDArray[np.float32], side: int, gx: float, gy: float, gz: float) -> float:
    """Trilinear value at ``g``, in cells, of the grid ``flat`` ``(side³,)``."""
    cx = min(max(int(gx), 0), side - 2)
    cy = min(max(int(gy), 0), side - 2)
    cz = min(max(int(gz), 0), side - 2)
    fx, fy, fz = gx - cx, gy - cy, gz - cz
    # unsigned, or each look-up would first be checked for an index from the end
    one = np.uint64(1)
    at = np.uint64((cx * side + cy) * side + cz)
    y, x = at + np.uint64(side), at + np.uint64(side * side)
    xy = x + np.uint64(side)
    v00 = flat[at] + fz * (flat[at + one] - flat[at])
    v01 = flat[y] + fz * (flat[y + one] - flat[y])
    v10 = flat[x] + fz * (flat[x + one] - flat[x])
    v11 = flat[xy] + fz * (flat[xy + one] - flat[xy])
    v0 = v00 + fy * (v01 - v00)
    return v0 + fx * (v10 + fy * (v11 - v10) - v0)  # type: ignore[no-any-return]


@compiled
def ray_in_cells(
    position: NDArray[np.float64], dx: float, dy: float, dz: float, samples: int, per_unit: float
) -> tuple[bool, float, float, float, float, float, float]:
    """A ray clipped to the cube, in grid cells: does it cross, where sample 0 lies, the step between samples.

    Args:
        position: ``(3,)`` where the ray of direction ``d`` starts.
        per_unit: cells per unit of length.
    """
    # a ray along a face: any tiny slope keeps the divisions finite
    dx = dx if abs(dx) > 1e-9 else 1e-9
    dy = dy if abs(dy) > 1e-9 else 1e-9
    dz = dz if abs(dz) > 1e-9 else 1e-9
    ax, bx = (-RAY_BOX - position[0]) / dx, (RAY_BOX - position[0]) / dx
    ay, by = (-RAY_BOX - position[1]) / dy, (RAY_BOX - position[1]) / dy
    az, bz = (-RAY_BOX - position[2]) / dz, (RAY_BOX - position[2]) / dz
    near = max(max(min(ax, bx), min(ay, by)), max(min(az, bz), 0.0))
    far = min(min(max(ax, bx), max(ay, by)), max(az, bz))
    # position in grid cells is linear in the sample's number: g = g0 + i * s
    step = (far - near) / samples
    start = near + 0.5 * step
    return (
        far > near,
        (position[0] + start * dx + RADIUS) * per_unit,
        (position[1] + start * dy + RADIUS) * per_unit,
        (position[2] + start * dz + RADIUS) * per_unit,
        step * dx * per_unit,
        step * dy * per_unit,
        step * dz * per_unit,
    )


@compiled
def samples_to_skip(
    empty: NDArray[np.uint8], gx: float, gy: float, gz: float, sx: float, sy: float, sz: float, side: int
) -> int:
    """How many steps ``s`` lead from ``g`` to the next sample beyond empty blocks; 0 where it is occupied.

    Args:
        empty: see :func:`march_strip`.
        side: the grid's, in samples.
    """
    qx = min(max(int(gx), 0), side - 2) >> BLOCK_BITS
    qy = min(max(int(gy), 0), side - 2) >> BLOCK_BITS
    qz = min(max(int(gz), 0), side - 2) >> BLOCK_BITS
    away = int(empty[qx, qy, qz])
    if away == 0:
        return 0
    # every block nearer than `away` is empty: out of their box
    ex = ((qx + away if sx > 0 else qx + 1 - away) * BLOCK - gx) / sx
    ey = ((qy + away if sy > 0 else qy + 1 - away) * BLOCK - gy) / sy
    ez = ((qz + away if sz > 0 else qz + 1 - away) * BLOCK - gz) / sz
    return max(1, math.ceil(min(min(ex, ey), min(ez, FARTHEST))))


@compiled
def march_strip(
    raw: NDArray[np.float32],
    empty: NDArray[np.uint8],
    steps: Steps,
    position: NDArray[np.float64],
    axes: NDArray[np.float64],
    columns: NDArray[np.float64],
    rows: NDArray[np.float64],
    counts: NDArray[np.uint8],
    background: NDArray[np.float32],
    weights: NDArray[np.float32],
    points: NDArray[np.float32],
) -> int:
    """March the rays of some columns of a picture; returns how many layers there are.

    Rays go down one column after another: neighbours then read the same lines of the grid, along z.

    Args:
        raw: ``(r, r, r)`` raw density indexed ``[x, y, z]``.
        empty: ``(b, b, b)`` distance of a block to the next occupied one, in blocks (Chebyshev); 0 is occupied.
        position: ``(3,)`` the camera.
        axes: ``(3, 3)`` its right, up and forward.
        columns: ``(c,)`` offsets at depth 1 along right.
        rows: ``(h,)`` offsets at depth 1 along up.
        counts: out, ``(c * h,)`` layers of each ray.
        background: out, ``(c * h,)`` light that passes through, 0..1.
        weights: out, ``(c * h * MOST_LAYERS,)`` layers in the order of rays; a ray's weights and its background
            sum to 1.
        points: out, ``(c * h * MOST_LAYERS, 3)`` where to ask for their colour.
    """
    samples = steps.samples
    flat = raw.ravel()
    side = raw.shape[0]
    last_slot = len(steps.passing) - 1.001
    per_unit = (side - 1) / (2 * RADIUS)
    total = 0
    ray = -1
    for column in columns:
        for row in rows:
            ray += 1
            counts[ray] = 0
            background[ray] = 1.0
            dx = axes[2, 0] + column * axes[0, 0] + row * axes[1, 0]
            dy = axes[2, 1] + column * axes[0, 1] + row * axes[1, 1]
            dz = axes[2, 2] + column * axes[0, 2] + row * axes[1, 2]
            crosses, gx0, gy0, gz0, sx, sy, sz = ray_in_cells(position, dx, dy, dz, samples, per_unit)
            if not crosses:
                continue
            light = 1.0
            used = 0.0  # sum of weights
            layers = 0
            weight_here, moment_here = 0.0, 0.0  # the open layer: its weight, and times the samples' numbers
            began, last_seen = 0, 0
            light_at_begin = 1.0
            i = 0
            while i < samples:
                gx, gy, gz = gx0 + i * sx, gy0 + i * sy, gz0 + i * sz
                skipped = samples_to_skip(empty, gx, gy, gz, sx, sy, sz, side)
                if skipped > 0:
                    i += skipped
                    continue
                value = interpolate(flat, side, gx, gy, gz)
                if value > NOTHING_RAW:
                    entry = min((value - NOTHING_RAW) * TABLE_STEPS, last_slot)
                    slot = int(entry)
                    passing = steps.passing[slot] + (entry - slot) * (
                        steps.passing[slot + 1] - steps.passing[slot]
                    )
                    ended = (
                        light_at_begin - light >= LAYER_LIGHT
                        or i - last_seen > steps.gap
                        or (i - began >= steps.thick and weight_here > LAYER_LEAST)
                    )
                    if ended and weight_here > 0 and layers < MOST_LAYERS - 1:
                        mean = moment_here / weight_here
                        weights[total + layers] = weight_here
                        points[total + layers, 0] = (gx0 + mean * sx) / per_unit - RADIUS
                        points[total + layers, 1] = (gy0 + mean * sy) / per_unit - RADIUS
                        points[total + layers, 2] = (gz0 + mean * sz) / per_unit - RADIUS
                        layers += 1
                        weight_here, moment_here = 0.0, 0.0
                    if weight_here == 0:
                        began, light_at_begin = i, light
                    weight = light * (1.0 - passing)
                    weight_here += weight
                    moment_here += weight * i
                    used += weight
                    light *= passing
                    last_seen = i
                    if light < DARK:
                        light = 0.0
                        break
                i += 1
            if 1.0 - light < DARK:
                continue
            mean = moment_here / weight_here
            weights[total + layers] = weight_here
            points[total + layers, 0] = (gx0 + mean * sx) / per_unit - RADIUS
            points[total + layers, 1] = (gy0 + mean * sy) / per_unit - RADIUS
            points[total + layers, 2] = (gz0 + mean * sz) / per_unit - RADIUS
            layers += 1
            # the light that would have gone on when the ray ended takes the colour of the rest
            for layer in range(layers):
                weights[total + layer] *= (1.0 - light) / used
            counts[ray] = layers
            background[ray] = light
            total += layers
    return total


@compiled
def composite_strip(
    counts: NDArray[np.uint8],
    background: NDArray[np.float32],
    weights: NDArray[np.float32],
    colors: NDArray[np.float32],
    picture: NDArray[np.uint8],
) -> None:
    """Sum each ray's layers over white, in the order of :func:`march_strip`, into ``picture`` ``(h, c, 3)``."""
    layer = 0
    ray = 0
    for column in range(picture.shape[1]):
        for row in range(picture.shape[0]):
            red = green = blue = background[ray]
            for _ in range(counts[ray]):
                red += weights[layer] * colors[layer, 0]
                green += weights[layer] * colors[layer, 1]
                blue += weights[layer] * colors[layer, 2]
                layer += 1
            picture[row, column, 0] = int(min(max(red, 0.0), 1.0) * 255 + 0.5)
            picture[row, column, 1] = int(min(max(green, 0.0), 1.0) * 255 + 0.5)
            picture[row, column, 2] = int(min(max(blue, 0.0), 1.0) * 255 + 0.5)
            ray += 1
