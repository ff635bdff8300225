"""The plain formulas, written out: slow, dense, easy to check by eye. Tests and benchmarks compare with them.

Rendering follows TripoSR's: a look-at camera on a circle, rays clipped to the cube, samples at the midpoints of
equal parts, opacity ``1 - exp(-density / samples)``, colours summed front to back over white.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import nn

from gpu_container.field import RADIUS, Field


def look_at_rays(azimuth_degrees: float, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Origin ``(3,)`` and unit directions ``(size, size, 3)``, rows from the top, columns from the left."""
    azimuth, distance, fovy = math.radians(azimuth_degrees), 1.9, math.radians(40.0)
    outward = torch.tensor([math.cos(azimuth), math.sin(azimuth), 0.0], dtype=torch.float64)
    origin = distance * outward
    forward = -origin / origin.norm()
    right = torch.linalg.cross(forward, torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64))
    right = right / right.norm()
    up = torch.linalg.cross(right, forward)
    focal = 0.5 * size / math.tan(0.5 * fovy)
    pixel = torch.arange(size, dtype=torch.float64) + 0.5 - size / 2
    rows, columns = torch.meshgrid(pixel, pixel, indexing="ij")
    directions = columns[..., None] / focal * right - rows[..., None] / focal * up + forward
    return origin, directions / directions.norm(dim=-1, keepdim=True)


def clip_to_cube(origin: torch.Tensor, directions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Entry and exit distance ``(...)`` of each ray; entry ≥ exit where it misses.

    TripoSR clips rays to a cube that is a thousandth smaller than the field's.
    """
    to_low, to_high = (-0.999 * RADIUS - origin) / directions, (0.999 * RADIUS - origin) / directions
    entry = torch.minimum(to_low, to_high).amax(dim=-1).clamp_min(0)
    leave = torch.maximum(to_low, to_high).amin(dim=-1)
    return entry, leave


def triplane_query(planes: torch.Tensor, decoder: nn.Module, points: torch.Tensor) -> torch.Tensor:
    """What TripoSR's network says at ``points`` ``(n, 3)``: ``(n, 4)`` raw density, then sRGB 0..1.

    Args:
        planes: xy, xz, yz: ``(3, c, s, s)``, the first axis along the width.
        decoder: ``(n, 3 c) -> (n, 4)``.
    """
    x, y, z = (points / RADIUS).unbind(dim=-1)
    where = torch.stack([torch.stack(pair, dim=-1) for pair in ((x, y), (x, z), (y, z))])
    features = F.grid_sample(planes, where[:, None], padding_mode="zeros", align_corners=False)  # (3, c, 1, n)
    decoded = decoder(features[:, :, 0].reshape(-1, len(points)).T)
    return torch.cat([decoded[:, :1], torch.sigmoid(decoded[:, 1:])], dim=-1)


def render_rays(
    query: Callable[[torch.Tensor], torch.Tensor], origins: torch.Tensor, directions: torch.Tensor, samples: int
) -> torch.Tensor:
    """sRGB over white ``(n, 3) float64`` of rays ``(n, 3)``, every one cut into ``samples`` parts.

    As TripoSR does it to the letter: a ray that stays in the cube for less than a hundredth misses.

    Args:
        query: ``(m, 3) -> (m, 4)`` raw density, then sRGB 0..1, such as ``TriplaneField.radiance``.
    """
    entry, leave = clip_to_cube(origins, directions)
    hits = leave - entry > 0.01
    share = (torch.arange(samples, dtype=torch.float64) + 0.5) / samples
    distance = entry[:, None] + (leave - entry)[:, None] * share
    points = origins[:, None] + distance[..., None] * directions[:, None]
    radiance = query(points.float().reshape(-1, 3)).double().reshape(-1, samples, 4)
    picture = composite(torch.exp(radiance[..., 0] - 1), radiance[..., 1:])
    return torch.where(hits[:, None], picture, torch.ones_like(picture))


def composite(density: torch.Tensor, colors: torch.Tensor) -> torch.Tensor:
    """Colour over white ``(n, 3)`` of samples along rays: ``density`` ``(n, s)``, ``colors`` ``(n, s, 3)``."""
    alpha = 1 - torch.exp(-density / density.shape[1])
    light_left = torch.cumprod(1 - alpha, dim=1)
    reaching = torch.cat([torch.ones_like(light_left[:, :1]), light_left[:, :-1]], dim=1)
    weights = alpha * reaching
    return (weights[..., None] * colors).sum(dim=1) + (1 - weights.sum(dim=1))[:, None]


def render(field: Field, azimuth_degrees: float, size: int) -> torch.Tensor:
    """One picture ``(size, size, 3) float64``, sRGB 0..1: every sample of every ray, density and colour."""
    origin, directions = look_at_rays(azimuth_degrees, size)
    return torch.stack([_render_row(field, origin, row, field.ray_samples) for row in directions])


def _render_row(field: Field, origin: torch.Tensor, directions: torch.Tensor, samples: int) -> torch.Tensor:
    entry, leave = clip_to_cube(origin, directions)
    hits = leave > entry
    share = (torch.arange(samples, dtype=torch.float64) + 0.5) / samples
    distance = entry[:, None] + (leave - entry)[:, None] * share
    points = (origin + distance[..., None] * directions[:, None]).float().reshape(-1, 3)
    density = field.density(points).double().reshape(-1, samples)
    colors = field.color(points).double().reshape(-1, samples, 3)
    picture = composite(density, colors)
    return torch.where(hits[:, None], picture, torch.ones_like(picture))


def psnr(one: torch.Tensor, other: torch.Tensor) -> float:
    """Peak signal-to-noise ratio of pictures in 0..1, decibels."""
    return float(-10 * torch.log10(((one.double() - other.double()) ** 2).mean().clamp_min(1e-12)))
