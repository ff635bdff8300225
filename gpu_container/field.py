"""What every engine returns: density and colour at any point of a cube.

Coordinates (TripoSR's): the cube is ``[-RADIUS, RADIUS]³``; x points towards the viewer of the photo, y to the
photo's right, z up. Points are ``(n, 3) float32`` tensors on the field's device.

Density is volumetric and activated: ``density = exp(raw - 1)``, and the surface lies where it equals
``SURFACE_DENSITY``. Grids carry ``raw``, which is close to linear in the distance from the surface and so
interpolates well; ``SURFACE_RAW`` is the same level there.
"""

from __future__ import annotations

import math
from typing import Protocol, runtime_checkable

import torch

#: half the side of the cube
RADIUS = 0.87
#: half the side of the cube that rays are clipped to, TripoSR's: the samples of a ray lie by it
RAY_BOX = 0.999 * RADIUS
#: activated density at the surface
SURFACE_DENSITY = 25.0
#: the same level before activation: exp(SURFACE_RAW - 1) = SURFACE_DENSITY
SURFACE_RAW = 1.0 + math.log(SURFACE_DENSITY)


class Field(Protocol):
    """A solid, coloured, slightly soft object. Renderer, mesher and baker know nothing else of an engine."""

    @property
    def device(self) -> torch.device:
        """Where its tensors live."""
        ...

    @property
    def ray_samples(self) -> int:
        """Into how many steps a ray through the cube is cut to sum it up: as many as its skin needs."""
        ...

    def to(self, device: torch.device) -> Field:
        """The same field with its tensors on ``device``."""
        ...

    def density(self, points: torch.Tensor) -> torch.Tensor:
        """Activated density, ``(n,) float32 >= 0``, at ``points`` ``(n, 3)``; about 0 outside the cube."""
        ...

    def color(self, points: torch.Tensor) -> torch.Tensor:
        """sRGB as displayed, ``(n, 3) float32`` in 0..1, at ``points`` ``(n, 3)``."""
        ...

    def density_grid(self, resolution: int) -> torch.Tensor:
        """Raw density, ``(r, r, r) float32`` indexed ``[x, y, z]``, samples on both faces of the cube
        (``linspace(-RADIUS, RADIUS, resolution)`` along each axis)."""
        ...


@runtime_checkable
class RadianceField(Field, Protocol):
    """A Field that is finer than its grid, and gives density and colour in one evaluation.

    Of a plain Field the renderer takes the density from the grid, which has to resolve it: a skin, and no smoke
    around it. For colours alone it asks, a few of each ray. By offering ``radiance`` a Field says that its own
    density is to be seen too: then the grid only tells where to ask.
    """

    def radiance(self, points: torch.Tensor) -> torch.Tensor:
        """Raw density, then sRGB in 0..1: ``(n, 4) float32``, at ``points`` ``(n, 3)``."""
        ...


@runtime_checkable
class PhotographedField(Field, Protocol):
    """A Field that knows from where its photo was taken."""

    @property
    def photo_position(self) -> tuple[float, float, float]:
        """Where the camera stood."""
        ...

    def photo_places(self, points: torch.Tensor) -> torch.Tensor:
        """Where the framed photo shows ``points`` ``(n, 3)``: right and up in the frame, -1..1, and depth."""
        ...


def grid_axis(resolution: int, device: torch.device | str = "cpu") -> torch.Tensor:
    """The coordinates ``(r,)`` of a density grid's samples along each axis."""
    return torch.linspace(-RADIUS, RADIUS, resolution, device=device)
