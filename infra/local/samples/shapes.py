"""Signed distances, blends and noise: the clay from which the sample objects are made.

Every distance is negative inside. Coordinates are those of the whole project: x towards the viewer, y to the
viewer's right, z up. The formulas are the common ones of J. C. Hart, "Sphere tracing" (1996), and of the
literature after him; where one only bounds the true distance, the docstring says so.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeVar, cast

import numba

Compiled = TypeVar("Compiled", bound=Callable[..., object])
Colour = tuple[float, float, float]


def compiled(function: Compiled) -> Compiled:
    """The function as machine code that holds no lock, keeping its Python type for the type checker."""
    return cast(Compiled, numba.njit(fastmath=True, nogil=True, error_model="numpy")(function))


def linear(code: str) -> Colour:
    """Linear light, each 0 to 1, of an sRGB colour written as ``#rrggbb``."""
    red, green, blue = (int(code[start : start + 2], 16) / 255 for start in (1, 3, 5))
    return _linear_channel(red), _linear_channel(green), _linear_channel(blue)


def _linear_channel(value: float) -> float:
    return value / 12.92 if value <= 0.04045 else float(((value + 0.055) / 1.055) ** 2.4)


@compiled
def clamp(value: float, low: float, high: float) -> float:
    return min(max(value, low), high)


@compiled
def step(low: float, high: float, value: float) -> float:
    """0 below ``low``, 1 above ``high``, a smooth rise between."""
    t = min(max((value - low) / (high - low), 0.0), 1.0)
    return t * t * (3.0 - 2.0 * t)


@compiled
def mix(a: Colour, b: Colour, t: float) -> Colour:
    return a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t, a[2] + (b[2] - a[2]) * t


@compiled
def union(a: float, b: float, radius: float) -> float:
    """The nearer of two bodies, with a fillet of about ``radius`` where they meet."""
    h = max(radius - abs(a - b), 0.0) / radius
    return min(a, b) - h * h * radius * 0.25


@compiled
def carve(a: float, b: float, radius: float) -> float:
    """Body ``a`` without ``b``, the edge rounded by about ``radius``."""
    h = max(radius - abs(a + b), 0.0) / radius
    return max(a, -b) + h * h * radius * 0.25


@compiled
def ball(x: float, y: float, z: float, radius: float) -> float:
    return math.sqrt(x * x + y * y + z * z) - radius


@compiled
def ellipsoid(x: float, y: float, z: float, a: float, b: float, c: float) -> float:
    """To first order: exact on the surface, bounded by a factor near 1 around it."""
    level = math.sqrt((x / a) ** 2 + (y / b) ** 2 + (z / c) ** 2)
    slope = math.sqrt((x / (a * a)) ** 2 + (y / (b * b)) ** 2 + (z / (c * c)) ** 2)
    if slope < 1e-9:
        return -min(a, b, c)
    return level * (level - 1.0) / slope


@compiled
def box(x: float, y: float, z: float, a: float, b: float, c: float, round_by: float) -> float:
    """A box of half sides a, b, c whose edges are rounded (within those half sides)."""
    p, q, r = abs(x) - a + round_by, abs(y) - b + round_by, abs(z) - c + round_by
    p0, q0, r0 = max(p, 0.0), max(q, 0.0), max(r, 0.0)
    return math.sqrt(p0 * p0 + q0 * q0 + r0 * r0) + min(max(p, q, r), 0.0) - round_by


@compiled
def disc(x: float, y: float, z: float, radius: float, half: float, round_by: float) -> float:
    """A cylinder around the z axis with rounded rims."""
    p = math.sqrt(x * x + y * y) - radius + round_by
    q = abs(z) - half + round_by
    p0, q0 = max(p, 0.0), max(q, 0.0)
    return math.sqrt(p0 * p0 + q0 * q0) + min(max(p, q), 0.0) - round_by


@compiled
def ring(x: float, y: float, z: float, radius: float, thickness: float) -> float:
    """A torus around the z axis."""
    p = math.sqrt(x * x + y * y) - radius
    return math.sqrt(p * p + z * z) - thickness


@compiled
def limb(
    x: float, y: float, z: float, start: Colour, end: Colour, start_radius: float, end_radius: float
) -> tuple[float, float]:
    """Distance to a rod between two points, and how far along it (0 to 1) the nearest point lies.

    With unequal radii the distance is a bound, good for slender cones.
    """
    px, py, pz = x - start[0], y - start[1], z - start[2]
    bx, by, bz = end[0] - start[0], end[1] - start[1], end[2] - start[2]
    along = clamp((px * bx + py * by + pz * bz) / (bx * bx + by * by + bz * bz), 0.0, 1.0)
    distance = math.sqrt((px - bx * along) ** 2 + (py - by * along) ** 2 + (pz - bz * along) ** 2)
    return distance - (start_radius + (end_radius - start_radius) * along), along


@compiled
def curve(
    u: float,
    v: float,
    start: tuple[float, float],
    middle: tuple[float, float],
    end: tuple[float, float],
) -> tuple[float, float]:
    """Distance in a plane to the quadratic Bézier curve of three points, and its parameter (0 to 1) there.

    Newton steps from the best of seven samples: the curves drawn here bend once and gently.
    """
    ax, ay = middle[0] - start[0], middle[1] - start[1]
    bx, by = start[0] - 2.0 * middle[0] + end[0], start[1] - 2.0 * middle[1] + end[1]
    best, best_t = 1e30, 0.0
    for i in range(7):
        t = i / 6.0
        dx = start[0] + 2.0 * t * ax + t * t * bx - u
        dy = start[1] + 2.0 * t * ay + t * t * by - v
        if dx * dx + dy * dy < best:
            best, best_t = dx * dx + dy * dy, t
    t = best_t
    for _ in range(3):
        dx = start[0] + 2.0 * t * ax + t * t * bx - u
        dy = start[1] + 2.0 * t * ay + t * t * by - v
        tx, ty = 2.0 * (ax + t * bx), 2.0 * (ay + t * by)
        bend = tx * tx + ty * ty + 2.0 * (dx * bx + dy * by)
        if bend > 1e-6:
            t = clamp(t - (dx * tx + dy * ty) / bend, 0.0, 1.0)
    dx = start[0] + 2.0 * t * ax + t * t * bx - u
    dy = start[1] + 2.0 * t * ay + t * t * by - v
    return math.sqrt(dx * dx + dy * dy), t


@compiled
def scatter(i: int, j: int, k: int) -> float:
    """A number from 0 to 1 that belongs to a cell of the integer lattice and looks like chance."""
    h = (i * 374761393 + j * 668265263 + k * 1274126177) & 0xFFFFFFFF
    h = ((h ^ (h >> 13)) * 1274126177) & 0xFFFFFFFF
    h = ((h ^ (h >> 16)) * 2246822519) & 0xFFFFFFFF
    return (h ^ (h >> 15)) / 4294967296.0


@compiled
def noise(x: float, y: float, z: float) -> float:
    """Smooth value noise from 0 to 1, one bump per unit."""
    i, j, k = math.floor(x), math.floor(y), math.floor(z)
    a, b, c = step(0.0, 1.0, x - i), step(0.0, 1.0, y - j), step(0.0, 1.0, z - k)
    total = 0.0
    for di in range(2):
        for dj in range(2):
            for dk in range(2):
                weight = (a if di else 1.0 - a) * (b if dj else 1.0 - b) * (c if dk else 1.0 - c)
                total += weight * scatter(int(i) + di, int(j) + dj, int(k) + dk)
    return total
