"""A glazed teapot: deep blue, with daisies, yellow lines, a coral knob, the spout to the left."""

from __future__ import annotations

import math

from infra.local.samples.shapes import (
    Colour,
    ball,
    compiled,
    curve,
    disc,
    ellipsoid,
    linear,
    mix,
    ring,
    step,
    union,
)
from infra.local.samples.studio import Paint, Scene

COBALT = linear("#1f4fa3")
DEEP = linear("#163a80")
CREAM = linear("#f6ead0")
CORAL = linear("#e4573d")
YELLOW = linear("#f5b62a")
LEAF = linear("#67ab5a")
DARK = linear("#12182b")

POT, LID, KNOB, SPOUT, HANDLE, FOOT, BEAD = range(7)
MIDDLE = 0.66  # height of the pot's widest line
PETALS = 8


@compiled
def _spout(x: float, y: float, z: float) -> float:
    """A swan's neck of two curves, thick at the pot, hollow at the lip."""
    if z < 0.84:
        flat, t = curve(y, z, (-0.55, 0.50), (-0.92, 0.50), (-0.99, 0.84))
        radius = 0.215 - 0.095 * t
    else:
        flat, t = curve(y, z, (-0.99, 0.84), (-1.05, 1.09), (-1.21, 1.18))
        radius = 0.120 - 0.035 * t + 0.035 * step(0.75, 1.0, t)
    body = math.sqrt(flat * flat + x * x) - radius
    # cut the lip square to the curve and bore it out
    along = (y + 1.21) * -0.87 + (z - 1.18) * 0.49
    lip = max(body, along)
    hollow = max(body + 0.035, -along - 0.12)
    return max(lip, -hollow)


@compiled
def _handle(x: float, y: float, z: float) -> float:
    """A wide ear of two curves, its section a flattened oval."""
    if z > 0.76:
        flat, _ = curve(y, z, (0.58, 1.02), (1.20, 1.26), (1.22, 0.76))
    else:
        flat, _ = curve(y, z, (1.22, 0.76), (1.24, 0.38), (0.66, 0.36))
    return (math.sqrt(flat * flat + (x * 0.8) ** 2) - 0.082) * 0.95


@compiled
def shape(x: float, y: float, z: float) -> tuple[float, int]:
    """Distance to the teapot and its nearest part."""
    around = math.sqrt(x * x + y * y)
    pot = ellipsoid(x, y, z - MIDDLE, 0.82, 0.82, 0.60)
    best, part = max(pot, 0.06 - z), POT
    spout, handle = _spout(x, y, z), _handle(x, y, z)
    blend = union(best, spout, 0.14)
    if spout < best:
        part = SPOUT
    if handle < min(best, spout):
        part = HANDLE
    best = union(blend, handle, 0.07)
    foot = disc(x, y, z - 0.055, 0.50, 0.055, 0.035)
    if foot < best:
        part = FOOT
    best = union(best, foot, 0.03)
    rim = ring(x, y, z - 1.155, 0.475, 0.036)
    if rim < best:
        best, part = rim, BEAD
    if z > 1.0:
        lid = ellipsoid(x, y, z - 1.13, 0.445, 0.445, 0.27)
        lid += 0.012 * math.exp(-(((around - 0.30) / 0.012) ** 2))
        if lid < best:
            best, part = lid, LID
        knob = union(
            ball(x, y, z - 1.53, 0.118), disc(x, y, z - 1.40, 0.062 + 0.5 * (z - 1.43) ** 2, 0.06, 0.01), 0.05
        )
        if knob < best:
            best, part = knob, KNOB
    return best * 0.92, part


@compiled
def _daisy(u: float, v: float, size: float, paint: Colour, heart: Colour, ground: Colour) -> Colour:
    """A flower painted by hand around (0, 0): petals, a heart, on the ground colour."""
    reach, turn = math.sqrt(u * u + v * v) / size, math.atan2(v, u)
    phase = turn * PETALS / (2.0 * math.pi)
    petal = abs(phase - round(phase)) * 2.0  # 0 in a petal's middle, 1 between two
    length = 1.0 - 0.62 * petal**2.4
    colour = mix(paint, ground, step(length - 0.02, length + 0.02, reach))
    # a fold along each petal
    fold = (1.0 - step(0.05, 0.16, petal)) * step(0.42, 0.5, reach) * (1.0 - step(0.68, 0.8, reach))
    colour = mix(colour, heart, 0.45 * fold)
    return mix(heart, colour, step(0.29, 0.32, reach))


@compiled
def _leaf(u: float, v: float, size: float, ground: Colour) -> Colour:
    """A pointed leaf lying along u."""
    edge = size * 0.36 * (1.0 - (u / size) ** 2)
    return mix(LEAF, ground, step(edge - 0.004, edge + 0.004, abs(v)))


@compiled
def painter(part: int, x: float, y: float, z: float, nx: float, ny: float, nz: float) -> Paint:
    """A thick glaze over everything, darker where it ran off the edges."""
    colour = COBALT
    if part == POT:
        turn = math.atan2(y, x)
        colour = mix(DEEP, COBALT, step(0.1, 0.5, z))
        # a garland: three big flowers across the belly, leaves and little flowers between them
        slot = turn * 8.0 / (2.0 * math.pi)
        u, v = (slot - round(slot)) * 2.0 * math.pi / 8.0 * 0.80, z - MIDDLE - 0.02
        half = (slot + 0.5 - round(slot + 0.5)) * 2.0 * math.pi / 8.0 * 0.80
        s, c = 0.80, 0.60
        if abs(slot) < 1.0:
            for above in range(2):
                w = v if above else -v
                colour = _leaf(abs(u) * s + w * c - 0.248, w * s - abs(u) * c, 0.085, colour)
            colour = _daisy(half, v - 0.17, 0.085, CREAM, YELLOW, colour)
            colour = _daisy(half, v + 0.17, 0.085, CREAM, YELLOW, colour)
        if slot < -0.5:
            colour = _daisy(u, v, 0.20, CORAL, YELLOW, colour)
        elif slot < 0.5:
            colour = _daisy(u, v, 0.20, CREAM, YELLOW, colour)
        else:
            colour = _daisy(u, v, 0.20, YELLOW, CORAL, colour)
        if abs(turn) > math.radians(61.0):
            colour = COBALT  # nothing below the spout and the handle
        for line in (0.30, 1.02):
            colour = mix(YELLOW, colour, step(0.010, 0.013, abs(z - line)))
        dots = turn * 36.0 / (2.0 * math.pi)
        a, b = (dots - round(dots)) * 2.0 * math.pi / 36.0 * 0.63, z - 1.065
        colour = mix(CREAM, colour, step(0.017, 0.021, math.sqrt(a * a + 1.6 * b * b)))
    elif part == LID:
        reach, turn = math.sqrt(x * x + y * y), math.atan2(y, x)
        slot = turn * 12.0 / (2.0 * math.pi)
        a, b = (slot - round(slot)) * 2.0 * math.pi / 12.0 * 0.37, reach - 0.37
        colour = mix(CREAM, colour, step(0.028, 0.032, math.sqrt(a * a + b * b)))
    elif part == KNOB:
        colour = CORAL
    elif part == BEAD:
        colour = YELLOW
    elif part == SPOUT:
        along = (y + 1.21) * -0.87 + (z - 1.18) * 0.49
        colour = mix(COBALT, YELLOW, step(-0.058, -0.053, along))
        if along > -0.005 and math.sqrt((y + 1.21) ** 2 + (z - 1.18) ** 2 + x * x) < 0.086:
            colour = DARK
    return colour[0], colour[1], colour[2], 0.12, 1.0, 0.0025


SCENE = Scene(
    name="teapot",
    shape=shape,
    painter=painter,
    low=(-0.83, -1.40, 0.0),
    high=(0.83, 1.40, 1.66),
    look_at=(0.0, 0.0, 0.76),
    distance=8.0,
    elevation=6.0,
    backdrop=linear("#b3b7bc"),
    field_of_view=20.6,
)
