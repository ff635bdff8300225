"""The plain formulas, written out: slow, dense, easy to check by eye. Tests and benchmarks compare with them.

Rendering follows TripoSR's: a look-at camera on a circle, rays clipped to the cube, samples at the midpoints of
equal parts, opacity ``1 - exp(-density / samples)``, colours summed front to back over white.
"""

from __future__ import annotations

import math

import torch

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
    """Entry and exit distance ``(...)`` of each ray; entry ≥ exit where it misses."""
    to_low, to_high = (-RADIUS - origin) / directions, (RADIUS - origin) / directions
    entry = torch.minimum(to_low, to_high).amax(dim=-1).clamp_min(0)
    leave = torch.maximum(to_low, to_high).amin(dim=-1)
    return entry, leave


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
    alpha = 1 - torch.exp(-density / samples)
    light_left = torch.cumprod(1 - alpha, dim=1)
    reaching = torch.cat([torch.ones_like(light_left[:, :1]), light_left[:, :-1]], dim=1)
    weights = alpha * reaching
    picture = (weights[..., None] * colors).sum(dim=1) + (1 - weights.sum(dim=1))[:, None]
    return torch.where(hits[:, None], picture, torch.ones_like(picture))


def psnr(one: torch.Tensor, other: torch.Tensor) -> float:
    """Peak signal-to-noise ratio of pictures in 0..1, decibels."""
    return float(-10 * torch.log10(((one.double() - other.double()) ** 2).mean().clamp_min(1e-12)))
