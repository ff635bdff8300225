"""The photo studio: what a scene is, the sweep of paper it stands on, the lamps, and the camera.

Lamps are soft boxes so far away that only their direction counts: a rectangle on the tangent plane of a unit
vector (the gnomonic projection), which makes them cheap to sample by solid angle and crisp in a reflection.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from infra.local.samples.shapes import Colour, compiled, linear, step

# (r, g, b of the paint; roughness of its gloss; strength of its clear coat, 0 is matt; height of its ripple)
Paint = tuple[float, float, float, float, float, float]
# point -> (signed distance, number of the part that is nearest)
Shape = Callable[[float, float, float], tuple[float, int]]
# part, point, normal -> its paint there
Painter = Callable[[int, float, float, float, float, float, float], Paint]

WALL = 3.4  # how far behind the object the sweep has become a wall
BEND = 2.6  # radius of the paper's bend from floor to wall
PAPER: Colour = linear("#b9b2aa")  # warm grey


@dataclass(frozen=True)
class Scene:
    """One object and how it is photographed; lengths in the object's own units, angles in degrees."""

    name: str
    shape: Shape
    painter: Painter
    low: tuple[float, float, float]
    high: tuple[float, float, float]
    look_at: tuple[float, float, float]
    distance: float = 7.5
    elevation: float = 8.0
    azimuth: float = 0.0
    field_of_view: float = 21.0
    backdrop: Colour = PAPER
    exposure: float = 1.0


def camera(scene: Scene) -> NDArray[np.float64]:
    """(4, 3): where the lens is, the picture's right and up (each as long as half the picture), and forward."""
    elevation, azimuth = math.radians(scene.elevation), math.radians(scene.azimuth)
    backward = np.array(
        [
            math.cos(elevation) * math.cos(azimuth),
            math.cos(elevation) * math.sin(azimuth),
            math.sin(elevation),
        ]
    )
    right = np.cross([0.0, 0.0, 1.0], backward)
    right /= np.linalg.norm(right)
    up = np.cross(backward, right)
    half = math.tan(math.radians(scene.field_of_view) / 2)
    lens = np.array(scene.look_at) + scene.distance * backward
    return np.stack([lens, right * half, up * half, -backward])


def _lamp(
    direction: tuple[float, float, float], half_width: float, half_height: float, light: Colour, power: float
) -> list[float]:
    """One row of ``lamps``: axis, two tangents, half sizes on the tangent plane, radiance."""
    axis = np.array(direction) / np.linalg.norm(direction)
    across = np.cross([0.0, 0.0, 1.0], axis)
    across /= np.linalg.norm(across)
    upward = np.cross(axis, across)
    radiance = [channel * power for channel in light]
    return [*axis, *across, *upward, half_width, half_height, *radiance]


def lamps() -> NDArray[np.float64]:
    """(3, 14): a large warm key from the upper left, a tall cool strip from the right, a soft box overhead."""
    return np.array(
        [
            _lamp((1.1, -0.75, 0.95), 0.55, 0.55, (1.0, 0.95, 0.88), 3.7),
            _lamp((0.45, 1.0, 0.45), 0.16, 0.6, (0.88, 0.95, 1.0), 3.2),
            _lamp((0.6, 0.12, 1.0), 0.7, 0.55, (1.0, 0.98, 0.96), 1.9),
        ]
    )


@compiled
def sky(x: float, y: float, z: float) -> Colour:
    """Light of the room itself in a direction, without the lamps: pale ceiling, dimmer towards the camera."""
    up = 0.5 + 0.5 * z
    level = 0.25 + 0.26 * up * up - 0.1 * max(x, 0.0) * (1.0 - up)
    return level * 1.0, level * 0.985, level * 0.965


@compiled
def glare(x: float, y: float, z: float, rig: NDArray[np.float64]) -> Colour:
    """Light of the lamps in a direction, as a glossy surface mirrors it."""
    red = green = blue = 0.0
    for i in range(rig.shape[0]):
        lamp = rig[i]
        towards = x * lamp[0] + y * lamp[1] + z * lamp[2]
        if towards > 0.05:
            u = abs(x * lamp[3] + y * lamp[4] + z * lamp[5]) / towards / lamp[9]
            v = abs(x * lamp[6] + y * lamp[7] + z * lamp[8]) / towards / lamp[10]
            # cloth in front of a bulb: brighter in the middle, a soft hem
            seen = (1.0 - step(0.94, 1.06, u)) * (1.0 - step(0.94, 1.06, v)) * (1.25 - 0.25 * (u * u + v * v))
            red += seen * lamp[11]
            green += seen * lamp[12]
            blue += seen * lamp[13]
    return red, green, blue


@compiled
def sweep(
    ox: float, oy: float, oz: float, dx: float, dy: float, dz: float
) -> tuple[float, float, float, float]:
    """How far a ray flies until it meets the paper (1e30 if never), and the paper's normal there."""
    if dz < -1e-9:
        t = -oz / dz
        if t > 1e-6 and ox + t * dx > BEND - WALL:
            return t, 0.0, 0.0, 1.0
    # the bend: a quarter of a cylinder along y, seen from inside
    px, pz = ox - (BEND - WALL), oz - BEND
    a = dx * dx + dz * dz
    b = px * dx + pz * dz
    c = px * px + pz * pz - BEND * BEND
    root = b * b - a * c
    if root > 0.0 and a > 1e-12:
        t = (-b + math.sqrt(root)) / a
        qx, qz = px + t * dx, pz + t * dz
        if t > 1e-6 and qx <= 0.0 and qz <= 0.0:
            return t, -qx / BEND, 0.0, -qz / BEND
    if dx < -1e-9:
        t = (-WALL - ox) / dx
        if t > 1e-6 and oz + t * dz >= BEND:
            return t, 1.0, 0.0, 0.0
    return 1e30, 0.0, 0.0, 1.0
