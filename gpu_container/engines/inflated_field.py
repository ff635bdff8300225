"""The Field of an inflated photo: over every point of the picture plane, one stretch of solid."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F

from gpu_container.engines import inflated_grid
from gpu_container.field import SURFACE_DENSITY, SURFACE_RAW, Field, grid_axis

#: how steeply the log-density rises, per object length, and how far below and above the surface's it goes
STEEPNESS, LOWEST, HIGHEST = 300.0, -12.0, 8.0
#: steps of a ray: in the 128 of a learned field so thin a skin would show grooves
RAY_SAMPLES = 512
#: keeps the distance finite on the rim, object lengths
SOFTNESS = 0.01
#: how much steeper the density falls where the photo shows the backdrop
CARVING = 4.0
#: behind the picture plane the rays soon run parallel: this far behind, world units
PARALLEL_BEHIND = 0.15
#: slices of a grid that are worked out at once
SLICES = 64
#: from this share of the half thickness behind the middle to this share before it, the far side's colours give
#: way to the photo's
SEAM = (-0.20, 0.35)


@dataclass(frozen=True)
class InflatedField:
    """Maps over the picture plane (y, z) and two textures.

    With ``q`` the signed square of the half thickness and ``t`` the depth before the middle, divided by
    ``relief`` in front and by ``back`` behind, ``sd = (q - t²) / (sqrt(q) + |t| + ε)`` is close to the signed
    distance from the surface and smooth through it; ``density = 25 exp(clip(300 sd, -12, 8))``, with ``sd`` in
    object lengths.

    The shape is drawn by parallel rays, so that a bottle's foot is flat and a ball round. The colours of the
    near side are looked up along the rays of the photo's camera, and what that camera would see outside the
    photo's outline is carved away: so the first view lies over the photo.
    """

    #: ``(1, 3, h, w)``: q (world units squared), middle (world units), relief (a factor, about 1)
    shape: torch.Tensor
    #: ``(1, 1, h, w)``: signed distance of the photo's outline, world units, positive inside
    outline: torch.Tensor
    #: ``(1, 6, s, s)`` sRGB 0..1: the near side's, then the far side's; centred on the x axis
    colors: torch.Tensor
    #: ``(y, z)`` of the centre of `shape` and `outline`, and half their side, world units
    center: tuple[float, float]
    half_side: float
    #: half the textures' side, world units
    colors_half_side: float
    #: the object's longest side in the picture, world units
    length: float
    #: thickness behind the middle as a share of that before it
    back: float
    #: from where the photo was taken, on the x axis, world units
    camera: float

    @property
    def device(self) -> torch.device:
        return self.shape.device

    @property
    def ray_samples(self) -> int:
        """See :class:`gpu_container.field.Field`."""
        return RAY_SAMPLES

    def to(self, device: torch.device) -> Field:
        """The same field with its tensors on ``device``."""
        tensors = {name: getattr(self, name).to(device) for name in ("shape", "outline", "colors")}
        return replace(self, **tensors)

    def density(self, points: torch.Tensor) -> torch.Tensor:
        """Activated density ``(n,)`` at ``points`` ``(n, 3)``."""
        shape = self._on_map(self.shape, points[:, 1:])
        outline = self._on_map(self.outline, self._picture_plane(points[:, :1], points[:, 1:]))[0]
        return SURFACE_DENSITY * self._exponent(points[:, 0], shape, outline).exp()

    def color(self, points: torch.Tensor) -> torch.Tensor:
        """sRGB ``(n, 3)`` at ``points`` ``(n, 3)``: the photo in front, the far side's colours behind."""
        q, middle, _ = self._on_map(self.shape, points[:, 1:])
        depth = (points[:, 0] - middle) / q.clamp_min((SOFTNESS * self.length) ** 2).sqrt()
        share = ((depth - SEAM[0]) / (SEAM[1] - SEAM[0])).clamp(0, 1)
        share = share * share * (3 - 2 * share)
        colors = sample(self.colors, self._picture_plane(points[:, :1], points[:, 1:]) / self.colors_half_side)
        return torch.lerp(colors[3:], colors[:3], share).T.clamp(0, 1)

    @property
    def photo_position(self) -> tuple[float, float, float]:
        """See :class:`gpu_container.field.PhotographedField`."""
        return self.camera, 0.0, 0.0

    def photo_places(self, points: torch.Tensor) -> torch.Tensor:
        """Right, up and depth ``(n, 3)`` of ``points`` ``(n, 3)`` in the framed photo."""
        places = self._picture_plane(points[:, :1], points[:, 1:]) / self.colors_half_side
        return torch.cat([places, self.camera - points[:, :1]], dim=1)

    def density_grid(self, resolution: int) -> torch.Tensor:
        """Raw density ``(r, r, r)``: worked out where the skin may be, the same everywhere else."""
        columns = self._columns(resolution)
        if self.device.type != "cpu":
            return self._by_slices(*columns)
        axis, shape, begins, ends = (it.numpy() for it in columns)
        return inflated_grid.raw_density(
            inflated_grid.Columns(
                axis=axis,
                shape=shape,
                begins=begins,
                ends=ends,
                outline=self.outline[0, 0].contiguous().numpy(),
                center=self.center,
                half_side=self.half_side,
                back=self.back,
                camera=self.camera,
                softness=SOFTNESS * self.length,
                carving=CARVING,
                steepness=STEEPNESS / self.length,
                lowest=LOWEST,
                highest=HIGHEST,
            )
        )

    def _columns(self, resolution: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Of a grid's columns along x: the axis ``(r,)``, their shape ``(3, r, r)``, and from where to where
        their density is not the lowest, ``(r, r)`` each."""
        axis = grid_axis(resolution, self.device)
        plane = torch.cartesian_prod(axis, axis)
        shape = self._on_map(self.shape, plane).reshape(3, resolution, resolution)
        q, middle, relief = shape
        # beyond this distance from the object the density is the lowest
        reach = -LOWEST / STEEPNESS * self.length * (1 + 2 * SOFTNESS / -LOWEST * STEEPNESS)
        half = torch.where(q > -(reach**2), q.clamp_min(0).sqrt() + reach, -math.inf)
        return axis, shape, middle - half * self.back, middle + half * relief

    def _by_slices(
        self, axis: torch.Tensor, shape: torch.Tensor, begins: torch.Tensor, ends: torch.Tensor
    ) -> torch.Tensor:
        """The grid by tensor calls, in the box around the object; see :meth:`_columns`."""
        grid = torch.full((len(axis),) * 3, SURFACE_RAW + LOWEST, device=self.device)
        near = begins <= ends
        rows, columns = span(near.any(1)), span(near.any(0))
        depth = span((axis >= begins.min()) & (axis <= ends.max()))
        plane = torch.stack(torch.meshgrid(axis[rows], axis[columns], indexing="ij"), dim=-1)
        shape = shape[:, rows, columns]
        for start in range(depth.start, depth.stop, SLICES):
            part = slice(start, min(start + SLICES, depth.stop))
            x = axis[part, None, None]
            seen = self._picture_plane(x[..., None], plane)
            outline = self._on_map(self.outline, seen.reshape(-1, 2)).reshape(seen.shape[:-1])
            grid[part, rows, columns] = SURFACE_RAW + self._exponent(x, shape, outline)
        return grid

    def _exponent(self, x: torch.Tensor, shape: torch.Tensor, outline: torch.Tensor) -> torch.Tensor:
        """``log(density / SURFACE_DENSITY)`` at depth ``x`` over points of the maps; broadcasts."""
        q, middle, relief = shape
        depth = x - middle
        depth = torch.where(depth > 0, depth / relief, depth / -self.back)
        distance = (q - depth * depth) / (q.clamp_min(0).sqrt() + depth + SOFTNESS * self.length)
        distance = torch.where(x > 0, torch.minimum(distance, CARVING * outline), distance)
        return (distance * (STEEPNESS / self.length)).clamp_(LOWEST, HIGHEST)

    def _on_map(self, maps: torch.Tensor, at: torch.Tensor) -> torch.Tensor:
        """Values ``(c, n)`` of ``shape`` or ``outline`` at ``at`` ``(n, 2)`` (y, z), world units."""
        return sample(maps, (at - at.new_tensor(self.center)) / self.half_side)

    def _picture_plane(self, x: torch.Tensor, plane: torch.Tensor) -> torch.Tensor:
        """Where the rays through ``x`` ``(…, 1)``, ``plane`` ``(…, 2)`` (y, z) cross the plane x = 0."""
        along = torch.where(x > 0, x, PARALLEL_BEHIND * torch.tanh(x / PARALLEL_BEHIND))
        return plane / (1 - along / self.camera)


def span(where: torch.Tensor) -> slice:
    """From the first to the last of ``where`` ``(n,)``; empty if there is none."""
    found = where.nonzero()
    return slice(int(found[0]), int(found[-1]) + 1) if len(found) else slice(0, 0)


def sample(maps: torch.Tensor, at: torch.Tensor) -> torch.Tensor:
    """Bilinear values ``(c, n)`` of ``maps`` ``(1, c, h, w)`` at ``at`` ``(n, 2)``: right, up, in -1..1."""
    where = torch.stack([at[:, 0], -at[:, 1]], dim=-1)[None, None]
    values: torch.Tensor = F.grid_sample(maps, where, padding_mode="border", align_corners=False)
    return values[0, :, 0]
