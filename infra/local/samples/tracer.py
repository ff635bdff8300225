"""A path tracer for distance fields: sphere tracing, soft boxes sampled by solid angle, bounces, a clear coat.

Distances are followed as in J. C. Hart, "Sphere tracing" (1996); the gloss is sampled from the visible GGX
normals as in E. Heitz, "Sampling the GGX distribution of visible normals" (2018); the pixel's samples are an
additive recurrence (M. Roberts, "The unreasonable effectiveness of quasirandom sequences", 2018), shifted per
pixel by a hash of the seed.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from infra.local.samples.shapes import Colour, compiled, noise, scatter
from infra.local.samples.studio import Scene, glare, sky, sweep

CHANNELS = 15  # diffuse 0:3, gloss 3:6, albedo 6:9, normal 9:12, depth 12, squares of the two lights 13:15
BOUNCES = 3
BELOW = 0.35  # how much of the paper's light comes from below ...
GLOW = 0.46  # ... and how bright that is
HIT = 4e-4
RenderRows = Callable[[NDArray[np.float64], NDArray[np.float64], int, int, int, int, int], NDArray[np.float64]]

# the additive recurrence of eight dimensions: powers of the root of g**9 = g + 1
_ROOT = 1.0
for _ in range(60):
    _ROOT = (1.0 + _ROOT) ** (1.0 / 9.0)
STRIDES = tuple(_ROOT ** -(k + 1) for k in range(8))


@compiled
def spread(row: int, column: int, index: int, dimension: int, seed: int) -> float:
    """A coordinate of a sample: spread evenly over the pixel's in the first eight dimensions, chance beyond."""
    if dimension < 8:
        value = scatter(row, column, dimension * 7919 + seed) + (index + 1) * STRIDES[dimension]
        return value - math.floor(value)
    return scatter(row * 8191 + dimension, column * 127 + index * 131071, seed + dimension * 7919)


@compiled
def basis(x: float, y: float, z: float) -> tuple[float, float, float, float, float, float]:
    """Two unit vectors square to a unit vector (T. Duff and others, 2017)."""
    sign = 1.0 if z >= 0.0 else -1.0
    a = -1.0 / (sign + z)
    b = x * y * a
    return 1.0 + sign * x * x * a, sign * b, -sign * x, b, sign + y * y * a, -y


@compiled
def around(nx: float, ny: float, nz: float, u: float, v: float) -> tuple[float, float, float]:
    """A direction about a normal, as likely as the cosine between them."""
    tx, ty, tz, bx, by, bz = basis(nx, ny, nz)
    radius, angle = math.sqrt(u), 2.0 * math.pi * v
    a, b, c = radius * math.cos(angle), radius * math.sin(angle), math.sqrt(max(1.0 - u, 0.0))
    return a * tx + b * bx + c * nx, a * ty + b * by + c * ny, a * tz + b * bz + c * nz


@compiled
def mirror(
    dx: float, dy: float, dz: float, nx: float, ny: float, nz: float, rough: float, u: float, v: float
) -> tuple[float, float, float, float]:
    """A direction reflected off a rough coat, and the cosine at its small facet (0 if it points inwards)."""
    tx, ty, tz, bx, by, bz = basis(nx, ny, nz)
    alpha = rough * rough
    ex, ey, ez = -(dx * tx + dy * ty + dz * tz), -(dx * bx + dy * by + dz * bz), -(dx * nx + dy * ny + dz * nz)
    ez = max(ez, 1e-4)
    sx, sy, sz = alpha * ex, alpha * ey, ez
    size = 1.0 / math.sqrt(sx * sx + sy * sy + sz * sz)
    sx, sy, sz = sx * size, sy * size, sz * size
    flat = sx * sx + sy * sy
    if flat > 1e-12:
        px, py = -sy / math.sqrt(flat), sx / math.sqrt(flat)
    else:
        px, py = 1.0, 0.0
    qx, qy, qz = -sz * py, sz * px, sx * py - sy * px
    radius, angle = math.sqrt(u), 2.0 * math.pi * v
    a, b = radius * math.cos(angle), radius * math.sin(angle)
    half = 0.5 * (1.0 + sz)
    b = (1.0 - half) * math.sqrt(max(1.0 - a * a, 0.0)) + half * b
    c = math.sqrt(max(1.0 - a * a - b * b, 0.0))
    hx, hy, hz = (
        alpha * (a * px + b * qx + c * sx),
        alpha * (a * py + b * qy + c * sy),
        max(b * qz + c * sz, 1e-6),
    )
    size = 1.0 / math.sqrt(hx * hx + hy * hy + hz * hz)
    hx, hy, hz = hx * size, hy * size, hz * size
    cosine = ex * hx + ey * hy + ez * hz
    rx, ry, rz = 2.0 * cosine * hx - ex, 2.0 * cosine * hy - ey, 2.0 * cosine * hz - ez
    if rz <= 0.0 or cosine <= 0.0:
        return nx, ny, nz, 0.0
    return rx * tx + ry * bx + rz * nx, rx * ty + ry * by + rz * ny, rx * tz + ry * bz + rz * nz, cosine


@compiled
def sheen(cosine: float) -> float:
    """The share of light that a coat mirrors: as Schlick's, but weaker at the rim, to show its paint."""
    return 0.04 + 0.30 * (1.0 - cosine) ** 5


@compiled
def ripple(x: float, y: float, z: float, height: float) -> tuple[float, float, float]:
    """The slope of a glaze that did not flow out quite evenly."""
    s, e = 9.0, 0.05
    here = noise(x * s, y * s, z * s)
    scale = height / e
    return (
        (noise(x * s + e, y * s, z * s) - here) * scale,
        (noise(x * s, y * s + e, z * s) - here) * scale,
        (noise(x * s, y * s, z * s + e) - here) * scale,
    )


@functools.cache  # compiling takes some ten seconds
def tracer_for(scene: Scene) -> RenderRows:
    """Compile a renderer of rows for one scene.

    The result takes the camera (4, 3), the lamps (n, 14), the picture's size, the first row, the number of
    rows, the samples per pixel and the seed. It returns (rows, size, CHANNELS), the means over the samples.
    """
    shape, painter = scene.shape, scene.painter
    low_x, low_y, low_z = scene.low
    high_x, high_y, high_z = scene.high
    paper: Colour = scene.backdrop

    @compiled
    def march(ox: float, oy: float, oz: float, dx: float, dy: float, dz: float) -> tuple[float, int]:
        """How far a ray flies until it meets the object (1e30 if never), and the part it meets."""
        ix = 1.0 / (dx if abs(dx) > 1e-9 else 1e-9)
        iy = 1.0 / (dy if abs(dy) > 1e-9 else 1e-9)
        iz = 1.0 / (dz if abs(dz) > 1e-9 else 1e-9)
        a, b = (low_x - ox) * ix, (high_x - ox) * ix
        c, d = (low_y - oy) * iy, (high_y - oy) * iy
        e, f = (low_z - oz) * iz, (high_z - oz) * iz
        t = max(min(a, b), min(c, d), min(e, f), 0.0)
        end = min(max(a, b), max(c, d), max(e, f))
        for _ in range(110):
            if t > end:
                break
            distance, part = shape(ox + t * dx, oy + t * dy, oz + t * dz)
            if distance < HIT:
                return t, part
            t += distance * 0.92
        return 1e30, -1

    @compiled
    def normal_at(x: float, y: float, z: float) -> tuple[float, float, float]:
        e = 5e-4
        a, b = shape(x + e, y - e, z - e)[0], shape(x - e, y - e, z + e)[0]
        c, d = shape(x - e, y + e, z - e)[0], shape(x + e, y + e, z + e)[0]
        nx, ny, nz = a - b - c + d, -a - b + c + d, -a + b - c + d
        size = 1.0 / math.sqrt(nx * nx + ny * ny + nz * nz + 1e-30)
        return nx * size, ny * size, nz * size

    @compiled
    def lamplight(
        x: float,
        y: float,
        z: float,
        nx: float,
        ny: float,
        nz: float,
        rig: NDArray[np.float64],
        u: float,
        v: float,
    ) -> Colour:
        """What one point of one lamp gives a matt white surface, weighed so that the mean is all the lamps."""
        count = rig.shape[0]
        pick = min(int(u * count), count - 1)
        lamp = rig[pick]
        a, b = (2.0 * (u * count - pick) - 1.0) * lamp[9], (2.0 * v - 1.0) * lamp[10]
        lx = lamp[0] + a * lamp[3] + b * lamp[6]
        ly = lamp[1] + a * lamp[4] + b * lamp[7]
        lz = lamp[2] + a * lamp[5] + b * lamp[8]
        c = 1.0 / math.sqrt(lx * lx + ly * ly + lz * lz)
        lx, ly, lz = lx * c, ly * c, lz * c
        facing = lx * nx + ly * ny + lz * nz
        if facing <= 0.0:
            return 0.0, 0.0, 0.0
        if march(x, y, z, lx, ly, lz)[0] < 1e29 or sweep(x, y, z, lx, ly, lz)[0] < 1e29:
            return 0.0, 0.0, 0.0
        weight = facing * 4.0 * lamp[9] * lamp[10] * c * c * c * count / math.pi
        return weight * lamp[11], weight * lamp[12], weight * lamp[13]

    @compiled
    def meet(
        ox: float, oy: float, oz: float, dx: float, dy: float, dz: float
    ) -> tuple[int, float, float, float, float, float, float, float]:
        """What a ray meets (-2 nothing, -1 paper, else a part), how far, a point just off it, the normal."""
        t, part = march(ox, oy, oz, dx, dy, dz)
        s, nx, ny, nz = sweep(ox, oy, oz, dx, dy, dz)
        if s < t:
            t, part = s, -1
        if t > 1e29:
            return -2, t, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0
        x, y, z = ox + t * dx, oy + t * dy, oz + t * dz
        if part >= 0:
            nx, ny, nz = normal_at(x, y, z)
        lift = 2.5e-3
        return part, t, x + lift * nx, y + lift * ny, z + lift * nz, nx, ny, nz

    @compiled
    def gathered(
        x: float, y: float, z: float, nx: float, ny: float, nz: float,
        rig: NDArray[np.float64], row: int, column: int, index: int, seed: int, first: int, bounces: int,
    ) -> Colour:  # fmt: skip
        """Light that a matt white surface sends on: the lamps, the room, and what its surroundings send on."""
        red = green = blue = 0.0
        tr = tg = tb = 1.0
        dim = first
        for bounce in range(bounces):
            r, g, b = lamplight(
                x, y, z, nx, ny, nz, rig,
                spread(row, column, index, dim, seed), spread(row, column, index, dim + 1, seed),
            )  # fmt: skip
            red, green, blue = red + tr * r, green + tg * g, blue + tb * b
            dx, dy, dz = around(
                nx, ny, nz, spread(row, column, index, dim + 2, seed), spread(row, column, index, dim + 3, seed)
            )
            dim = 16 + 8 * bounce + (first & 8) * 8
            part, _, x, y, z, nx, ny, nz = meet(x, y, z, dx, dy, dz)
            if part == -2:
                r, g, b = sky(dx, dy, dz)
                return red + tr * r, green + tg * g, blue + tb * b
            if part == -1:
                r, g, b = paper
            else:
                r, g, b = painter(part, x, y, z, nx, ny, nz)[:3]
            tr, tg, tb = tr * r, tg * g, tb * b
        # what still bounces around in a pale room
        return red + tr * 0.5, green + tg * 0.5, blue + tb * 0.5

    @compiled
    def rows(
        view: NDArray[np.float64],
        rig: NDArray[np.float64],
        size: int,
        top: int,
        count: int,
        samples: int,
        seed: int,
    ) -> NDArray[np.float64]:
        film = np.zeros((count, size, CHANNELS))
        for line in range(count):
            row = top + line
            for column in range(size):
                for index in range(samples):
                    # a tent over two pixels: a soft lens, no jagged edge
                    u, v = spread(row, column, index, 0, seed), spread(row, column, index, 1, seed)
                    u = math.sqrt(2.0 * u) - 1.0 if u < 0.5 else 1.0 - math.sqrt(2.0 - 2.0 * u)
                    v = math.sqrt(2.0 * v) - 1.0 if v < 0.5 else 1.0 - math.sqrt(2.0 - 2.0 * v)
                    a = 2.0 * (column + 0.5 + 0.8 * u) / size - 1.0
                    b = 1.0 - 2.0 * (row + 0.5 + 0.8 * v) / size
                    dx = view[3, 0] + a * view[1, 0] + b * view[2, 0]
                    dy = view[3, 1] + a * view[1, 1] + b * view[2, 1]
                    dz = view[3, 2] + a * view[1, 2] + b * view[2, 2]
                    unit = 1.0 / math.sqrt(dx * dx + dy * dy + dz * dz)
                    dx, dy, dz = dx * unit, dy * unit, dz * unit
                    part, t, x, y, z, nx, ny, nz = meet(view[0, 0], view[0, 1], view[0, 2], dx, dy, dz)
                    pixel = film[line, column]
                    coat, rough, wave = 0.0, 1.0, 0.0
                    red, green, blue = paper
                    if part >= 0:
                        red, green, blue, rough, coat, wave = painter(part, x, y, z, nx, ny, nz)
                    elif part == -2:
                        t = 100.0
                    share = 0.0
                    if coat > 0.0:
                        mx, my, mz = nx, ny, nz
                        if wave > 0.0:
                            wx, wy, wz = ripple(x, y, z, wave)
                            mx, my, mz = nx - wx, ny - wy, nz - wz
                            m = 1.0 / math.sqrt(mx * mx + my * my + mz * mz)
                            mx, my, mz = mx * m, my * m, mz * m
                        rx, ry, rz, cosine = mirror(
                            dx, dy, dz, mx, my, mz, rough,
                            spread(row, column, index, 6, seed), spread(row, column, index, 7, seed),
                        )  # fmt: skip
                        facing = max(-(dx * mx + dy * my + dz * mz), 0.0)
                        share = coat * sheen(facing)
                        if cosine > 0.0 and rx * nx + ry * ny + rz * nz > 0.0:
                            glint = coat * sheen(cosine)
                            other, _, qx, qy, qz, qnx, qny, qnz = meet(x, y, z, rx, ry, rz)
                            if other == -2:
                                r, g, b = sky(rx, ry, rz)
                                r2, g2, b2 = glare(rx, ry, rz, rig)
                                r, g, b = r + r2, g + g2, b + b2
                            else:
                                r, g, b = gathered(
                                    qx, qy, qz, qnx, qny, qnz, rig, row, column, index, seed, 8, 1
                                )
                                if other == -1:
                                    r, g, b = r * paper[0], g * paper[1], b * paper[2]
                                else:
                                    paint = painter(other, qx, qy, qz, qnx, qny, qnz)
                                    r, g, b = r * paint[0], g * paint[1], b * paint[2]
                            pixel[3] += glint * r
                            pixel[4] += glint * g
                            pixel[5] += glint * b
                            pixel[14] += (glint * g) ** 2
                    r, g, b = gathered(x, y, z, nx, ny, nz, rig, row, column, index, seed, 2, BOUNCES)
                    if part == -1:
                        # a table lit from below too, on which the object casts no tint: soft, plain shadows
                        r = g = b = GLOW + (1.0 - BELOW) * (r + g + b) / 3.0
                    left = 1.0 - share
                    red, green, blue = red * left, green * left, blue * left
                    pixel[0] += red * r
                    pixel[1] += green * g
                    pixel[2] += blue * b
                    pixel[6] += red
                    pixel[7] += green
                    pixel[8] += blue
                    pixel[9] += nx
                    pixel[10] += ny
                    pixel[11] += nz
                    pixel[12] += t
                    pixel[13] += g * g
        return film / samples

    return rows
