"""Cameras on a circle around the object.

World frame as in :mod:`gpu_container.field`: x towards the viewer of the photo, y to the photo's right, z up. A
camera looks at the origin; its own axes are right, up and forward. Camera 0 stands on +x and sees the photo's
side: picture right is +y, picture up is +z. Azimuth grows from +x to +y, so cameras walk counter-clockwise
seen from above, and in the pictures the object's front turns to the left.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: from the origin, in units of the cube [-RADIUS, RADIUS]³
DISTANCE = 1.9
#: vertical field of view; pictures are square
FOVY_DEGREES = 40.0
#: half a picture's side at depth 1
HALF_EXTENT = math.tan(math.radians(FOVY_DEGREES) / 2)


@dataclass(frozen=True)
class Camera:
    """A pinhole camera; arrays are ``(3,) float64`` in the world frame."""

    position: NDArray[np.float64]
    right: NDArray[np.float64]
    up: NDArray[np.float64]
    forward: NDArray[np.float64]


def orbit_cameras(views: int) -> list[Camera]:
    """``views`` cameras at elevation 0 and azimuths ``k * 360° / views``, as TripoSR places them."""
    return [camera_at(2 * math.pi * k / views) for k in range(views)]


def camera_at(azimuth: float, elevation: float = 0.0, distance: float = DISTANCE) -> Camera:
    """One that looks at the origin from ``distance``; angles in radians, elevation below a right one."""
    level = math.cos(elevation)
    outward = np.array([level * math.cos(azimuth), level * math.sin(azimuth), math.sin(elevation)])
    right = np.array([-math.sin(azimuth), math.cos(azimuth), 0.0])
    return Camera(position=distance * outward, right=right, up=np.cross(outward, right), forward=-outward)


def pixel_offsets(size: int) -> NDArray[np.float64]:
    """Pixel centres ``(size,)`` along one side, left to right, as offsets at depth 1.

    The ray through column c and row r is ``forward + offsets[c] * right - offsets[r] * up``, unnormalised:
    distances along it are depths.
    """
    return ((np.arange(size) + 0.5) / size * 2 - 1) * HALF_EXTENT


def pixel_window(
    camera: Camera, size: int, low: NDArray[np.float64], high: NDArray[np.float64]
) -> tuple[slice, slice]:
    """Columns and rows whose pixels can see the box ``low..high`` ``(3,)``, which lies before the camera."""
    corners = np.stack(np.meshgrid(*zip(low, high, strict=True), indexing="ij"), axis=-1).reshape(-1, 3)
    relative = corners - camera.position
    depth = relative @ camera.forward
    return (
        _pixel_range(relative @ camera.right / depth, size),
        _pixel_range(-(relative @ camera.up) / depth, size),
    )


def _pixel_range(offsets: NDArray[np.float64], size: int) -> slice:
    """The pixels from the smallest to the largest offset at depth 1, and one more on either side."""
    pixels = (offsets / HALF_EXTENT + 1) / 2 * size
    first = max(math.floor(pixels.min()) - 1, 0)
    last = min(math.ceil(pixels.max()) + 1, size)
    return slice(min(first, size), max(last, first, 0))
