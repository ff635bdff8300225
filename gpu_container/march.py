"""Marching rays through a raw-density grid on the CPU: compiled loops, one strip of a picture at a time.

Emission and absorption as in Mildenhall et al., "NeRF" (ECCV 2020), with TripoSR's steps: a ray is clipped to
the cube and sampled at the midpoints of equal parts, as many as :attr:`Field.ray_samples` says; a sample's
opacity is ``1 - exp(-density / samples)``, whatever the part's length.

Colour is far dearer than density and changes far less, so it is not asked at every sample. The samples that
share the light of a ray are put into layers, each holding about ``1 / LAYERS`` of it, and colour is asked at
each layer's weighted mean depth.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from gpu_container.compiled import compiled
from gpu_container.field import RADIUS

#: colour is asked about this often along a ray that ends in the object
LAYERS = 4
#: room for a ray's layers: gaps between things open new ones; the last takes what comes after
MOST_LAYERS = 8
#: samples without weight after which a new layer begins: something else stands behind
GAP = 2
#: below this share of a pixel a sample does not matter
FAINT = 1 / 16384
#: below this share of its light left a ray ends
DARK = 1 / 1024
#: raw density below which a place is skipped: all samples of a ray together reach 1/255 of opacity
SKIPPED_RAW = 1.0 + math.log(1 / 255)
#: log2 of a block's side in grid cells
BLOCK_BITS = 2
BLOCK = 1 << BLOCK_BITS


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


@compiled
def march_strip(
    raw: NDArray[np.float32],
    empty: NDArray[np.uint8],
    samples: int,
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
        samples: parts of a ray.
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
    last_cell = raw.shape[0] - 2
    last_block = empty.shape[0] - 1
    per_unit = (raw.shape[0] - 1) / (2 * RADIUS)
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
            # a ray along a face: any tiny slope keeps the divisions finite
            dx = dx if abs(dx) > 1e-9 else 1e-9
            dy = dy if abs(dy) > 1e-9 else 1e-9
            dz = dz if abs(dz) > 1e-9 else 1e-9
            ax, bx = (-RADIUS - position[0]) / dx, (RADIUS - position[0]) / dx
            ay, by = (-RADIUS - position[1]) / dy, (RADIUS - position[1]) / dy
            az, bz = (-RADIUS - position[2]) / dz, (RADIUS - position[2]) / dz
            near = max(max(min(ax, bx), min(ay, by)), max(min(az, bz), 0.0))
            far = min(min(max(ax, bx), max(ay, by)), max(az, bz))
            if far <= near:
                continue
            # position in grid cells is linear in the sample's number: g = g0 + i * s
            step = (far - near) / samples
            start = near + 0.5 * step
            gx0 = (position[0] + start * dx + RADIUS) * per_unit
            gy0 = (position[1] + start * dy + RADIUS) * per_unit
            gz0 = (position[2] + start * dz + RADIUS) * per_unit
            sx, sy, sz = step * dx * per_unit, step * dy * per_unit, step * dz * per_unit
            left = 1.0
            layers = 0
            layer_weight = 0.0
            layer_moment = 0.0
            layer_share = -1
            last_seen = -1
            sum_of_weights = 0.0
            i = 0
            while i < samples:
                gx, gy, gz = gx0 + i * sx, gy0 + i * sy, gz0 + i * sz
                cx = min(max(int(gx), 0), last_cell)
                cy = min(max(int(gy), 0), last_cell)
                cz = min(max(int(gz), 0), last_cell)
                qx, qy, qz = cx >> BLOCK_BITS, cy >> BLOCK_BITS, cz >> BLOCK_BITS
                away = empty[min(qx, last_block), min(qy, last_block), min(qz, last_block)]
                if away > 0:
                    # every block nearer than `away` is empty: on to the first sample beyond their box
                    ex = ((qx + away if sx > 0 else qx + 1 - away) * BLOCK - gx) / sx
                    ey = ((qy + away if sy > 0 else qy + 1 - away) * BLOCK - gy) / sy
                    ez = ((qz + away if sz > 0 else qz + 1 - away) * BLOCK - gz) / sz
                    i += max(1, math.ceil(min(min(ex, ey, ez), samples)))
                    continue
                fx, fy, fz = gx - cx, gy - cy, gz - cz
                v00 = raw[cx, cy, cz] + fz * (raw[cx, cy, cz + 1] - raw[cx, cy, cz])
                v01 = raw[cx, cy + 1, cz] + fz * (raw[cx, cy + 1, cz + 1] - raw[cx, cy + 1, cz])
                v10 = raw[cx + 1, cy, cz] + fz * (raw[cx + 1, cy, cz + 1] - raw[cx + 1, cy, cz])
                v11 = raw[cx + 1, cy + 1, cz] + fz * (raw[cx + 1, cy + 1, cz + 1] - raw[cx + 1, cy + 1, cz])
                v0 = v00 + fy * (v01 - v00)
                v1 = v10 + fy * (v11 - v10)
                passing = math.exp(-math.exp(v0 + fx * (v1 - v0) - 1.0) / samples)
                weight = left * (1.0 - passing)
                if weight > FAINT:
                    share = int((1.0 - left) * LAYERS)
                    gap = i - last_seen > GAP
                    if layer_weight > 0 and (share != layer_share or gap) and layers < MOST_LAYERS - 1:
                        mean = layer_moment / layer_weight
                        weights[total + layers] = layer_weight
                        points[total + layers, 0] = (gx0 + mean * sx) / per_unit - RADIUS
                        points[total + layers, 1] = (gy0 + mean * sy) / per_unit - RADIUS
                        points[total + layers, 2] = (gz0 + mean * sz) / per_unit - RADIUS
                        layers += 1
                        layer_weight = 0.0
                        layer_moment = 0.0
                    layer_weight += weight
                    layer_moment += weight * i
                    layer_share = share
                    last_seen = i
                    sum_of_weights += weight
                left *= passing
                i += 1
                if left < DARK:
                    left = 0.0
                    break
            if 1.0 - left < DARK or layer_weight <= 0:
                continue
            mean = layer_moment / layer_weight
            weights[total + layers] = layer_weight
            points[total + layers, 0] = (gx0 + mean * sx) / per_unit - RADIUS
            points[total + layers, 1] = (gy0 + mean * sy) / per_unit - RADIUS
            points[total + layers, 2] = (gz0 + mean * sz) / per_unit - RADIUS
            layers += 1
            # the light of faint samples, and of those never reached, takes the colour of the others
            scale = (1.0 - left) / sum_of_weights
            for layer in range(layers):
                weights[total + layer] *= scale
            counts[ray] = layers
            background[ray] = left
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
