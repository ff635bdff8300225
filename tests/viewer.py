"""A second opinion on textured meshes: a plain orthographic viewer, and the picture the Field itself gives.

Both look along -z with y up, as glTF puts it, at ``[-half, half]²``; pixels of nothing are NaN.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from gpu_container.field import RADIUS, SURFACE_DENSITY, Field

Picture = NDArray[np.float64]  # (s, s, 3) sRGB 0..1


def turn(degrees: float) -> NDArray[np.float64]:
    """A matrix for row vectors that turns a model about y, its right side (+x) to the front for 90."""
    angle = np.radians(-degrees)
    return np.array([[np.cos(angle), 0, -np.sin(angle)], [0, 1, 0], [np.sin(angle), 0, np.cos(angle)]])


def look_at_mesh(
    positions: NDArray[np.float64],
    faces: NDArray[np.int64],
    uv: NDArray[np.float64],
    texture: NDArray[np.uint8],
    size: int,
    half: float = RADIUS,
) -> Picture:
    """The model textured, faces seen from behind left out, uv with v down, texels interpolated."""
    picture, nearest = np.full((size, size, 3), np.nan), np.full((size, size), -np.inf)
    pixels = (positions * (1, -1, 1) / half + 1) * (size / 2) - 0.5
    for face in faces:
        a, b, c = pixels[face]
        area = (b[0] - a[0]) * (c[1] - a[1]) - (c[0] - a[0]) * (b[1] - a[1])
        if area >= 0:  # rows run down, so that the front turns the other way round
            continue
        low, high = np.ceil(np.minimum(np.minimum(a, b), c)), np.floor(np.maximum(np.maximum(a, b), c))
        columns, rows = np.meshgrid(
            np.arange(max(low[0], 0), min(high[0], size - 1) + 1, dtype=int),
            np.arange(max(low[1], 0), min(high[1], size - 1) + 1, dtype=int),
        )
        second = ((columns - a[0]) * (c[1] - a[1]) - (c[0] - a[0]) * (rows - a[1])) / area
        third = ((b[0] - a[0]) * (rows - a[1]) - (columns - a[0]) * (b[1] - a[1])) / area
        weights = np.stack([1 - second - third, second, third], axis=-1)
        depth = weights @ np.array([a[2], b[2], c[2]])
        seen = (weights >= -1e-9).all(axis=-1) & (depth > nearest[rows, columns])
        rows, columns = rows[seen], columns[seen]
        nearest[rows, columns] = depth[seen]
        picture[rows, columns] = sample(texture, weights[seen] @ uv[face])
    return picture


def sample(texture: NDArray[np.uint8], uv: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bilinear texels ``(n, 3)`` 0..1 at ``uv`` ``(n, 2)``, clamped at the edge."""
    place = np.clip(uv * len(texture) - 0.5, 0, len(texture) - 1)
    first = np.minimum(place.astype(int), len(texture) - 2)
    (x, y), (fx, fy) = first.T, (place - first).T[..., None]
    texels = texture[..., :3] / 255.0
    upper = texels[y, x] * (1 - fx) + texels[y, x + 1] * fx
    return upper * (1 - fy) + (texels[y + 1, x] * (1 - fx) + texels[y + 1, x + 1] * fx) * fy


def look_at_field(
    field: Field, size: int, back: bool = False, half: float = RADIUS, steps: int = 256
) -> Picture:
    """The colour where each ray first meets the surface of ``field``, from its front or its back."""
    sign = -1.0 if back else 1.0
    across = ((torch.arange(size) + 0.5) / size * 2 - 1) * half
    depths = torch.linspace(sign, -sign, steps) * RADIUS
    z, y, x = torch.meshgrid(-across, across * sign, depths, indexing="ij")  # rows down, columns to the right
    points = torch.stack([x, y, z], dim=-1)
    log_density = field.density(points.reshape(-1, 3)).clamp_min(1e-9).log().reshape(x.shape)
    above = log_density - np.log(SURFACE_DENSITY)
    first = (above > 0).int().argmax(dim=-1, keepdim=True)
    hit = (first[..., 0] > 0).numpy()
    after, before = above.gather(-1, first), above.gather(-1, (first - 1).clamp_min(0))
    step = depths[1] - depths[0]
    points = points.gather(-2, first[..., None].expand(-1, -1, 1, 3))[..., 0, :]
    points[..., 0] -= (step * after / (after - before))[..., 0]
    picture = np.full((size, size, 3), np.nan)
    picture[hit] = field.color(points[torch.from_numpy(hit)]).numpy()
    return picture


def psnr(one: Picture, other: Picture) -> float:
    """Decibels between two pictures where both show something."""
    both = ~np.isnan(one[..., 0]) & ~np.isnan(other[..., 0])
    return float(-10 * np.log10(np.mean((one[both] - other[both]) ** 2)))


def overlap(one: Picture, other: Picture) -> float:
    """Intersection over union of what the two show."""
    a, b = ~np.isnan(one[..., 0]), ~np.isnan(other[..., 0])
    return float((a & b).sum() / (a | b).sum())
