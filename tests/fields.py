"""Analytic fields with known answers, for tests of everything that stands on a Field."""

from __future__ import annotations

import torch

from gpu_container.field import SURFACE_DENSITY, SURFACE_RAW, grid_axis


class Ball:
    """A ball with a soft skin: red in front (x > 0), blue behind, green mixed in with height."""

    def __init__(
        self,
        radius: float = 0.5,
        center: tuple[float, float, float] = (0.0, 0.0, 0.0),
        sharpness: float = 40.0,
    ) -> None:
        self.radius = radius
        self.center = torch.tensor(center)
        self.sharpness = sharpness

    @property
    def device(self) -> torch.device:
        return torch.device("cpu")

    @property
    def ray_samples(self) -> int:
        return 128

    def to(self, device: torch.device) -> Ball:
        return self

    def signed_distance(self, points: torch.Tensor) -> torch.Tensor:
        """Positive inside."""
        return self.radius - (points - self.center).norm(dim=-1)

    def density(self, points: torch.Tensor) -> torch.Tensor:
        return SURFACE_DENSITY * torch.exp((self.sharpness * self.signed_distance(points)).clamp(-12, 4))

    def color(self, points: torch.Tensor) -> torch.Tensor:
        front = (points[:, 0] > 0).float()
        height = ((points[:, 2] + self.radius) / (2 * self.radius)).clamp(0, 1)
        return torch.stack([front, height, 1 - front], dim=-1)

    def density_grid(self, resolution: int) -> torch.Tensor:
        axis = grid_axis(resolution)
        points = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), dim=-1)
        return SURFACE_RAW + (self.sharpness * self.signed_distance(points)).clamp(-12, 4)


class Empty(Ball):
    """A field that never reaches the surface."""

    def signed_distance(self, points: torch.Tensor) -> torch.Tensor:
        return torch.full(points.shape[:-1], -1.0)
