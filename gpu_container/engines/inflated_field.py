"""The Field of an inflated photo: along every ray from the camera, one stretch of solid."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from gpu_container.engines.silhouette import CAMERA_DISTANCE
from gpu_container.field import RADIUS, SURFACE_DENSITY, SURFACE_RAW, Field, grid_axis

#: how steeply the log-density rises, per object length, and how far below and above the surface's it goes
STEEPNESS, LOWEST, HIGHEST = 60.0, -12.0, 4.0
#: keeps the distance finite on the rim, object lengths
SOFTNESS = 0.01
#: behind the picture plane the rays soon run parallel: this far behind, world units
PARALLEL_BEHIND = 0.15
#: from this share of the half thickness behind the middle to this share before it, the far side's colours give
#: way to the photo's
SEAM = (-0.30, 0.10)


class InflatedField:
    """Thickness, middle and relief maps over the picture plane, and two textures.

    With ``q`` the signed square of the half thickness and ``t`` the depth before the middle, divided by
    ``relief`` in front and ``back`` behind, ``sd = (q - t²) / (sqrt(q) + |t| + ε)`` is close to the signed distance from
    the surface and smooth through it; ``density = 25 exp(clip(60 sd, -12, 4))``, with ``sd`` in object lengths.

    In front of the picture plane the rays converge on the camera of the first view, so that this view lies
    over the photo; behind it they soon run parallel, so that the far side is no larger than the near one.
    """

    def __init__(
        self,
        shape: torch.Tensor,
        center: tuple[float, float],
        half_side: float,
        colors: torch.Tensor,
        colors_half_side: float,
        length: float,
        back: float,
    ) -> None:
        """
        Args:
            shape: ``(1, 3, h, w)``: q (world units squared), middle (world units), relief (a factor, about 1),
                rows from the top, columns from the left of the photo.
            center: ``(y, z)`` of the shape maps' centre.
            half_side: half their side, world units.
            colors: ``(1, 6, s, s)`` sRGB 0..1: the near side's, then the far side's; centred on the x axis.
            colors_half_side: half the textures' side, world units.
            length: the object's longest side in the picture, world units.
            back: thickness behind the middle as a share of that before it.
        """
        self._shape, self._center, self._half_side = shape, center, half_side
        self._colors, self._colors_half_side = colors, colors_half_side
        self._length, self._back = length, back
        self._reach = self._bounds()

    @property
    def device(self) -> torch.device:
        return self._shape.device

    def to(self, device: torch.device) -> Field:
        """The same field with its tensors on ``device``."""
        return InflatedField(
            self._shape.to(device),
            self._center,
            self._half_side,
            self._colors.to(device),
            self._colors_half_side,
            self._length,
            self._back,
        )

    def density(self, points: torch.Tensor) -> torch.Tensor:
        """Activated density ``(n,)`` at ``points`` ``(n, 3)``."""
        return SURFACE_DENSITY * self._exponent(points).exp()

    def color(self, points: torch.Tensor) -> torch.Tensor:
        """sRGB ``(n, 3)`` at ``points`` ``(n, 3)``: the photo in front, the far side's colours behind."""
        at = picture_plane(points)
        q, middle, _ = self._sample(self._shape, at, self._center, self._half_side)
        depth = (points[:, 0] - middle) / q.clamp_min((SOFTNESS * self._length) ** 2).sqrt()
        share = ((depth - SEAM[0]) / (SEAM[1] - SEAM[0])).clamp(0, 1)
        share = share * share * (3 - 2 * share)
        near_and_far = self._sample(self._colors, at, (0.0, 0.0), self._colors_half_side)
        return torch.lerp(near_and_far[3:], near_and_far[:3], share).T.clamp(0, 1)

    def density_grid(self, resolution: int) -> torch.Tensor:
        """Raw density ``(r, r, r)``; evaluated only near the object, as nothing is left of it elsewhere."""
        axis = grid_axis(resolution, self.device)
        grid = torch.full((resolution,) * 3, SURFACE_RAW + LOWEST, device=self.device)
        spans = [
            slice(*torch.searchsorted(axis, torch.tensor(ends, device=axis.device)).tolist())
            for ends in self._reach
        ]
        y, z = torch.meshgrid(axis[spans[1]], axis[spans[2]], indexing="ij")
        for i in range(*spans[0].indices(resolution)):
            points = torch.stack([axis[i].expand_as(y), y, z], dim=-1).reshape(-1, 3)
            grid[i, spans[1], spans[2]] = SURFACE_RAW + self._exponent(points).reshape(y.shape)
        return grid

    def _exponent(self, points: torch.Tensor) -> torch.Tensor:
        """``log(density / SURFACE_DENSITY)``, ``(n,)``."""
        q, middle, relief = self._sample(self._shape, picture_plane(points), self._center, self._half_side)
        depth = points[:, 0] - middle
        depth = torch.where(depth > 0, depth / relief, depth / -self._back)
        distance = (q - depth * depth) / (q.clamp_min(0).sqrt() + depth + SOFTNESS * self._length)
        return (distance * (STEEPNESS / self._length)).clamp(LOWEST, HIGHEST)

    @staticmethod
    def _sample(
        maps: torch.Tensor, at: torch.Tensor, center: tuple[float, float], half_side: float
    ) -> torch.Tensor:
        """Bilinear values ``(c, n)`` of ``maps`` ``(1, c, h, w)`` at ``at`` ``(n, 2)`` (y, z) of the picture plane."""
        columns = (at[:, 0] - center[0]) / half_side
        rows = (center[1] - at[:, 1]) / half_side
        where = torch.stack([columns, rows], dim=-1)[None, None]
        return F.grid_sample(maps, where, padding_mode="border", align_corners=False)[0, :, 0]

    def _bounds(self) -> list[tuple[float, float]]:
        """Ends along x, y and z of the box beyond which the density is the lowest."""
        q, middle, relief = self._shape[0]
        haze = -LOWEST / STEEPNESS * self._length * 1.1
        half = q.clamp_min(0).sqrt()
        front, behind = float((middle + half * relief).max()), float((middle - half * self._back).min())
        depth = (max(behind - haze * self._back, -RADIUS), min(front + haze * float(relief.max()), RADIUS))
        # q's own map ends where it is below the lowest level; behind the plane rays shrink by a bounded factor
        spread = 1 + PARALLEL_BEHIND / CAMERA_DISTANCE
        sides = [
            (
                max((middle_ - self._half_side) * spread, -RADIUS),
                min((middle_ + self._half_side) * spread, RADIUS),
            )
            for middle_ in self._center
        ]
        return [depth, *sides]


def picture_plane(points: torch.Tensor) -> torch.Tensor:
    """Where ``(y, z)`` the ray through each of ``points`` ``(n, 3)`` crosses the plane x = 0."""
    x = points[:, 0]
    along = torch.where(x > 0, x, PARALLEL_BEHIND * torch.tanh(x / PARALLEL_BEHIND))
    return points[:, 1:] / (1 - along / CAMERA_DISTANCE)[:, None]
