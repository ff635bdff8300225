"""A house in a toadstool: a red cap with cream spots and a lit window, a teal door, a chimney, a mound."""

from __future__ import annotations

import math

from infra.local.samples.shapes import (
    ball,
    box,
    carve,
    clamp,
    compiled,
    disc,
    ellipsoid,
    limb,
    linear,
    mix,
    noise,
    step,
    union,
)
from infra.local.samples.studio import Paint, Scene

RED = linear("#d3322b")
DEEP_RED = linear("#a81e22")
CREAM = linear("#f7ecd6")
SHADE = linear("#e6d0ac")
TEAL = linear("#1f8f93")
DARK_TEAL = linear("#146066")
GREEN = linear("#6fae3f")
DEEP_GREEN = linear("#3f8136")
WOOD = linear("#9a5f36")
GOLD = linear("#f3b52f")
LIT = linear("#ffd76a")
STONE = linear("#a3a4a6")
ORANGE = linear("#ee8a34")
BRICK = linear("#8d4a3c")

MOUND, STEM, CAP, SPOT, DOOR, FRAME, KNOB, PANE, CHIMNEY, POT, GRASS, PEBBLE, SMALL, SMALL_CAP = range(14)
WINDOW = 1.235  # height of the window's middle

# where spots sit on the cap: longitude from the viewer to the right and height above the rim, degrees; radius
_SPOTS = (
    (-38.0, 31.0, 0.160), (39.0, 30.0, 0.150), (-58.0, 14.0, 0.090), (60.0, 13.0, 0.085), (-8.0, 56.0, 0.150),
    (-56.0, 50.0, 0.085), (-24.0, 10.0, 0.080), (25.0, 10.0, 0.075), (52.0, 50.0, 0.095), (-19.0, 42.0, 0.050),
    (-120.0, 30.0, 0.150), (120.0, 35.0, 0.150), (160.0, 20.0, 0.160), (180.0, 60.0, 0.150),
)  # fmt: skip
WIDE, TALL, RIM = 0.95, 0.80, 0.98
SPOTS = tuple(
    (
        WIDE * math.cos(math.radians(up)) * math.cos(math.radians(turn)),
        WIDE * math.cos(math.radians(up)) * math.sin(math.radians(turn)),
        RIM + TALL * math.sin(math.radians(up)),
        radius,
    )
    for turn, up, radius in _SPOTS
)
# tufts of grass on the mound: foot (x, y, z) and tip
BLADES = (
    ((0.50, 0.50, 0.05), (0.52, 0.56, 0.30)),
    ((0.48, 0.56, 0.04), (0.50, 0.68, 0.24)),
    ((0.56, 0.43, 0.05), (0.60, 0.44, 0.23)),
    ((0.66, -0.30, 0.05), (0.70, -0.36, 0.20)),
    ((0.68, -0.24, 0.05), (0.73, -0.22, 0.24)),
)
PEBBLES = ((0.56, 0.0, 0.16), (0.70, 0.06, 0.12), (0.60, 0.20, 0.08))


@compiled
def _stem(x: float, y: float, z: float) -> float:
    around = math.sqrt(x * x + y * y)
    radius = 0.40 + 0.10 * (1.0 - step(0.05, 0.55, z)) + 0.05 * step(0.75, 1.1, z)
    return max((around - radius) * 0.9, z - 1.15)


@compiled
def _cap(x: float, y: float, z: float) -> float:
    """Most of an ellipsoid, cut below by a shallow hollow; the rim is rounded."""
    dome = ellipsoid(x, y, z - RIM, WIDE, WIDE, TALL)
    return carve(dome, ellipsoid(x, y, z - (RIM - 0.68), 1.6, 1.6, 0.70), 0.10)


@compiled
def _arch(u: float, v: float, radius: float, below: float) -> float:
    """Flat distance to a door: a half circle above (0, 0) on a rectangle that goes down ``below``."""
    if v > 0.0:
        return math.sqrt(u * u + v * v) - radius
    return max(abs(u) - radius, -v - below)


@compiled
def shape(x: float, y: float, z: float) -> tuple[float, int]:
    """Distance to the house and its nearest part."""
    mound = max(ellipsoid(x, y, z, 0.80, 0.80, 0.17), 0.003 - z)
    best, part = mound, MOUND
    stem = _stem(x, y, z)
    if stem < best:
        part = STEM
    best = union(best, stem, 0.06)
    if x > 0.0 and stem < 0.3:
        arch = _arch(y, z - 0.47, 0.175, 0.5)
        door = max(arch, stem - 0.016)
        # the gaps between planks
        plank = abs(y * 14.0 - round(y * 14.0)) / 14.0
        door += 0.008 * (1.0 - step(0.0, 0.009, plank))
        if door < best:
            best, part = door, DOOR
        frame = max(abs(arch - 0.022) - 0.03, stem - 0.045)
        if frame < best:
            best, part = frame, FRAME
        knob = ball(x - 0.475, y - 0.10, z - 0.40, 0.030)
        if knob < best:
            best, part = knob, KNOB
    if z > 0.5:
        cap = _cap(x, y, z)
        if cap < best:
            part = CAP
        best = union(best, cap, 0.05)
        if cap < 0.2:
            spots = 1e9
            for sx, sy, sz, radius in SPOTS:
                spots = min(spots, ball(x - sx, y - sy, z - sz, radius))
            raised = carve(cap - 0.026, -spots, 0.05)
            if raised < best:
                best, part = raised, SPOT
            if x > 0.0:
                flat = math.sqrt(y * y + (z - WINDOW) ** 2)
                frame = max(abs(flat - 0.165) - 0.028, cap - 0.05)
                bars = min(abs(y), abs(z - WINDOW)) - 0.013
                frame = min(frame, max(flat - 0.16, max(bars, cap - 0.035)))
                if frame < best:
                    best, part = frame, FRAME
                pane = max(flat - 0.16, cap - 0.012)
                if pane < best:
                    best, part = pane, PANE
    if z > 1.2:
        chimney = disc(x + 0.05, y - 0.45, z - 1.65, 0.085, 0.22, 0.02)
        if chimney < best:
            best, part = chimney, CHIMNEY
        brim = disc(x + 0.05, y - 0.45, z - 1.86, 0.115, 0.04, 0.025)
        brim = max(brim, -disc(x + 0.05, y - 0.45, z - 1.88, 0.065, 0.08, 0.01))
        if brim < best:
            best, part = brim, POT
    if z < 0.7 and box(x - 0.3, y, z - 0.2, 0.75, 1.0, 0.35, 0.05) < best:
        for foot, tip in BLADES:
            blade, _ = limb(x, y, z, foot, tip, 0.045, 0.016)
            if blade < best:
                best, part = blade, GRASS
        for px, py, size in PEBBLES:
            ground = 0.17 * math.sqrt(max(1.0 - (px * px + py * py) / 0.64, 0.0))
            stone = ellipsoid(x - px, y - py, z - ground, size * 0.7, size, size * 0.38)
            if stone < best:
                best, part = stone, PEBBLE
        small = limb(x, y, z, (0.28, -0.67, 0.03), (0.28, -0.70, 0.34), 0.062, 0.048)[0]
        if small < best:
            best, part = small, SMALL
        top = carve(ellipsoid(x - 0.28, y + 0.705, z - 0.335, 0.17, 0.17, 0.155), z - 0.32, 0.05)
        if top < best:
            best, part = top, SMALL_CAP
    return best * 0.9, part


@compiled
def painter(part: int, x: float, y: float, z: float, nx: float, ny: float, nz: float) -> Paint:
    """Painted resin: the cap lacquered, the rest satin."""
    colour, rough, coat, wave = CREAM, 0.35, 0.8, 0.0
    turn = math.atan2(y, x)
    if part == CAP:
        colour, rough, coat, wave = mix(RED, DEEP_RED, 1.0 - step(0.95, 1.25, z)), 0.15, 1.0, 0.002
        if nz < -0.25:
            gill = abs(turn * 22.0 / math.pi - round(turn * 22.0 / math.pi)) * 2.0
            colour, coat = mix(SHADE, CREAM, step(0.3, 0.7, gill)), 0.3
    elif part == SPOT:
        colour, rough = CREAM, 0.25
    elif part == STEM:
        speck = noise(x * 16.0, y * 16.0, z * 4.0)
        colour = mix(
            CREAM, SHADE, clamp(0.9 * (1.0 - step(0.1, 0.4, z)) + 0.35 * step(0.55, 0.8, speck), 0.0, 1.0)
        )
    elif part == DOOR:
        plank = abs(y * 14.0 - round(y * 14.0)) / 14.0
        colour = mix(DARK_TEAL, TEAL, step(0.003, 0.009, plank))
        # a small heart cut into the door
        a, b = abs(y) * 17.0, (z - 0.52) * 17.0
        heart = a * a + (b * 1.15 - 0.62 * math.sqrt(a)) ** 2 - 0.45
        colour = mix(LIT, colour, step(-0.04, 0.04, heart))
        # iron hinges on the left
        hinge = min(abs(z - 0.45), abs(z - 0.24))
        reach = y + 0.175
        colour = mix(DARK_TEAL, colour, max(step(0.012, 0.015, hinge), step(0.10, 0.11, reach)))
        rough = 0.25
    elif part == FRAME:
        grain = noise(x * 6.0, y * 40.0, z * 9.0)
        colour = mix(WOOD, BRICK, 0.5 * step(0.4, 0.8, grain))
    elif part == KNOB:
        colour, rough, coat = GOLD, 0.12, 1.0
    elif part == PANE:
        reach = math.sqrt(y * y + (z - WINDOW) ** 2)
        colour, rough, coat = mix(LIT, ORANGE, 0.55 * step(0.03, 0.16, reach)), 0.08, 1.0
    elif part == CHIMNEY:
        course = (z - 1.4) / 0.055
        across = math.atan2(y - 0.45, x + 0.05) * 4.0 / math.pi + 0.5 * (math.floor(course) % 2.0)
        joint = min(abs(course - round(course)) * 0.055, abs(across - round(across)) * 0.067)
        colour = mix(SHADE, BRICK, step(0.004, 0.008, joint))
    elif part == POT:
        colour = TEAL
    elif part == MOUND:
        colour = mix(DEEP_GREEN, GREEN, step(0.25, 0.7, noise(x * 9.0, y * 9.0, z * 9.0)))
        coat, rough = 0.5, 0.4
    elif part == GRASS:
        colour = mix(DEEP_GREEN, GREEN, step(0.05, 0.3, z))
    elif part == PEBBLE:
        colour = mix(STONE, CREAM, 0.5 * noise(x * 5.0, y * 5.0, 3.0))
    elif part == SMALL_CAP:
        colour, rough, coat = ORANGE, 0.15, 1.0
        u, v = ny * 2.3, nz * 2.3
        dot = math.sqrt((u - round(u)) ** 2 + (v - round(v)) ** 2)
        colour = mix(CREAM, colour, step(0.26, 0.30, dot))
        if nz < -0.3:
            colour = SHADE
    return colour[0], colour[1], colour[2], rough, coat, wave


SCENE = Scene(
    name="toadstool",
    shape=shape,
    painter=painter,
    low=(-1.0, -1.0, 0.0),
    high=(1.0, 1.0, 1.92),
    look_at=(0.0, 0.0, 0.93),
    distance=8.0,
    elevation=4.0,
    backdrop=linear("#adb9bd"),
    field_of_view=18.5,
)
