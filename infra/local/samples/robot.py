"""A tin robot that waves: turquoise body, coral feet and ears, a cream chest panel with buttons and a gauge."""

from __future__ import annotations

import math

from infra.local.samples.shapes import (
    ball,
    box,
    compiled,
    disc,
    ellipsoid,
    limb,
    linear,
    mix,
    ring,
    step,
    union,
)
from infra.local.samples.studio import Paint, Scene

TURQUOISE = linear("#1fa3a0")
MINT = linear("#58c4b6")
CORAL = linear("#e2503c")
CREAM = linear("#f3e3c0")
NAVY = linear("#1c2742")
YELLOW = linear("#f4b72c")
BLUE = linear("#2d6fd0")
WHITE = linear("#f7f4ea")
GREEN = linear("#5aa845")
PINK = linear("#ef9a86")
STEEL = linear("#8d98a3")

BODY, HEAD, PANEL, FACE, EYE, BEZEL, CORALS, YELLOWS, TUBE, FOOT, HAND, RED, GOLD, SKY, LEAF, DIAL, MOUTH = (
    range(17)
)


@compiled
def _nearer(best: float, part: int, distance: float, other: int) -> tuple[float, int]:
    if distance < best:
        return distance, other
    return best, part


@compiled
def _torso(x: float, y: float, z: float, best: float, part: int) -> tuple[float, int]:
    side = abs(y)
    half = 0.46 + 0.05 * (z - 0.86)
    body = box(x, y, z - 0.86, 0.33, half, 0.37, 0.17)
    # pressed seams above and below the belt
    body += 0.014 * math.exp(-(((z - 0.665) / 0.010) ** 2)) + 0.014 * math.exp(-(((z - 0.575) / 0.010) ** 2))
    best, part = _nearer(best, part, body, BODY)
    if x > 0.2 and best < 0.3:
        best, part = _nearer(best, part, box(x - 0.335, y, z - 0.945, 0.035, 0.31, 0.205, 0.03), PANEL)
        best, part = _nearer(best, part, ring(y + 0.145, z - 0.985, x - 0.37, 0.115, 0.02), BEZEL)
        best, part = _nearer(best, part, disc(y + 0.145, z - 0.985, x - 0.365, 0.11, 0.02, 0.005), DIAL)
        for i in range(2):
            for j in range(2):
                knob = ellipsoid(x - 0.37, y - 0.075 - 0.14 * i, z - 1.065 + 0.12 * j, 0.042, 0.047, 0.047)
                best, part = _nearer(best, part, knob, RED + (i + 2 * j) % 4)
        rivet = ball(x - 0.285, side - 0.385, abs(z - 0.93) - 0.2, 0.022)
        best, part = _nearer(best, part, rivet, YELLOWS)
    neck = disc(x, y, z - 1.27, 0.17 + 0.018 * math.cos((z - 1.27) * 75.0), 0.09, 0.02) * 0.8
    return _nearer(best, part, neck, TUBE)


@compiled
def _head(x: float, y: float, z: float, best: float, part: int) -> tuple[float, int]:
    side = abs(y)
    best, part = _nearer(best, part, box(x, y, z - 1.6, 0.31, 0.43, 0.29, 0.17), HEAD)
    best, part = _nearer(best, part, disc(x, z - 1.6, side - 0.46, 0.125, 0.07, 0.03), CORALS)
    best, part = _nearer(best, part, ellipsoid(x, side - 0.53, z - 1.6, 0.07, 0.05, 0.07), YELLOWS)
    if x > 0.15:
        plate = box(x - 0.30, y, z - 1.6, 0.045, 0.345, 0.215, 0.04)
        best, part = _nearer(best, part, plate, FACE)
        best, part = _nearer(best, part, ring(side - 0.16, z - 1.66, x - 0.345, 0.112, 0.024), BEZEL)
        best, part = _nearer(best, part, ellipsoid(x - 0.335, side - 0.16, z - 1.66, 0.075, 0.107, 0.107), EYE)
        # the smile: an arc of a ring, its ends rounded
        u, v = side, z - 1.532
        if v < -0.35 * u:
            smile = ring(u, v, x - 0.347, 0.088, 0.016)
        else:
            smile = ball(u - 0.0831, v + 0.0291, x - 0.347, 0.016)
        best, part = _nearer(best, part, smile, MOUTH)
    cone, _ = limb(x, y, z, (0.0, 0.0, 1.86), (0.0, 0.0, 1.95), 0.085, 0.045)
    best, part = _nearer(best, part, cone, CORALS)
    rod, _ = limb(x, y, z, (0.0, 0.0, 1.92), (0.0, 0.0, 2.12), 0.03, 0.026)
    best, part = _nearer(best, part, rod, TUBE)
    return _nearer(best, part, ball(x, y, z - 2.18, 0.09), YELLOWS)


@compiled
def _arm(x: float, y: float, z: float, best: float, part: int) -> tuple[float, int]:
    side = abs(y)
    waving = y > 0.0
    elbow = (0.03, 0.80, 0.94) if waving else (0.03, 0.73, 0.83)
    wrist = (0.06, 0.93, 1.24) if waving else (0.08, 0.76, 0.55)
    palm = (0.06, 0.955, 1.32) if waving else (0.085, 0.765, 0.47)
    best, part = _nearer(best, part, ball(x, side - 0.52, z - 1.03, 0.14), CORALS)
    upper, along = limb(x, side, z, (0.0, 0.56, 1.02), elbow, 0.075, 0.075)
    lower, further = limb(x, side, z, elbow, wrist, 0.075, 0.075)
    ribs = 0.011 * math.cos((along if upper < lower else further) * 2.0 * math.pi * 5.0)
    best, part = _nearer(best, part, (union(upper, lower, 0.05) - ribs) * 0.8, TUBE)
    # the cuff and the claw lie along the forearm: turn into its frame
    fy, fz = palm[1] - wrist[1], palm[2] - wrist[2]
    size = 1.0 / math.sqrt(fy * fy + fz * fz)
    fy, fz = fy * size, fz * size
    px, py, pz = x - palm[0], side - palm[1], z - palm[2]
    forward, across = py * fy + pz * fz, py * fz - pz * fy
    cuff = disc(px, across, forward + 0.03, 0.115, 0.055, 0.03)
    best, part = _nearer(best, part, cuff, CORALS)
    # a ring with a gap at its far end
    u, v = across, forward - 0.13
    if v > 0.0 and abs(u) < v * 0.62:
        claw = ball(abs(u) - 0.0611, v - 0.0985, px, 0.046)
    else:
        claw = ring(u, v, px, 0.116, 0.046)
    return _nearer(best, part, claw, HAND)


@compiled
def _leg(x: float, y: float, z: float, best: float, part: int) -> tuple[float, int]:
    side = abs(y)
    tube = disc(x, side - 0.27, z - 0.38, 0.115 + 0.012 * math.cos((z - 0.38) * 85.0), 0.2, 0.02) * 0.8
    best, part = _nearer(best, part, tube, TUBE)
    foot = ellipsoid(x - 0.05, side - 0.305, z - 0.07, 0.30, 0.215, 0.21)
    foot = max(foot, 0.004 - z)
    foot += 0.012 * math.exp(-(((z - 0.072) / 0.009) ** 2))
    best, part = _nearer(best, part, foot, FOOT)
    return _nearer(best, part, disc(x, side - 0.27, z - 0.27, 0.15, 0.035, 0.03), YELLOWS)


@compiled
def shape(x: float, y: float, z: float) -> tuple[float, int]:
    """Distance to the robot and its nearest part; groups farther than the best so far are passed over."""
    best, part = 1e9, 0
    side = abs(y)
    if box(x, y, z - 0.9, 0.45, 0.55, 0.5, 0.1) < best:
        best, part = _torso(x, y, z, best, part)
    if box(x, y, z - 1.76, 0.48, 0.62, 0.55, 0.05) < best:
        best, part = _head(x, y, z, best, part)
    if box(x, side - 0.76, z - 0.92, 0.25, 0.42, 0.68, 0.05) < best:
        best, part = _arm(x, y, z, best, part)
    if box(x - 0.05, side - 0.30, z - 0.3, 0.4, 0.3, 0.32, 0.05) < best:
        best, part = _leg(x, y, z, best, part)
    return best, part


@compiled
def painter(part: int, x: float, y: float, z: float, nx: float, ny: float, nz: float) -> Paint:
    """Enamel on tin: glossy everywhere but on the rubber tubes."""
    colour, rough, coat, wave = TURQUOISE, 0.16, 1.0, 0.0012
    if part == BODY:
        belt = step(0.574, 0.578, z) * (1.0 - step(0.662, 0.666, z))
        colour = mix(TURQUOISE, CREAM, belt)
    elif part == HEAD:
        colour = TURQUOISE
    elif part == PANEL:
        colour = CREAM
        # slots of a loudspeaker below the buttons
        u, v = abs(y + 0.145), z - 0.80
        slots = (1.0 - step(0.011, 0.014, abs(v - 0.035 * round(v / 0.035)))) * (1.0 - step(0.105, 0.11, u))
        colour = mix(colour, NAVY, slots * (1.0 - step(0.028, 0.03, abs(v))))
        a, b = abs(y - 0.145) * 12.5, (z - 0.812) * 12.5
        heart = a * a + (b * 1.15 - 0.62 * math.sqrt(a)) ** 2 - 0.42
        colour = mix(CORAL, colour, step(-0.03, 0.03, heart))
    elif part == FACE:
        u, v = abs(y) - 0.275, z - 1.49
        colour = mix(PINK, CREAM, step(0.042, 0.056, math.sqrt(u * u + v * v)))
    elif part == EYE:
        # both look a little towards the waving hand
        u, v = y - (0.178 if y > 0.0 else -0.142), z - 1.665
        reach = math.sqrt(u * u + v * v)
        colour = mix(NAVY, BLUE, step(0.034, 0.038, reach))
        colour = mix(colour, NAVY, step(0.056, 0.059, reach))
        colour = mix(colour, WHITE, step(0.064, 0.067, reach))
        glint = math.sqrt((u + 0.022) ** 2 + (v - 0.026) ** 2)
        colour = mix(WHITE, colour, step(0.013, 0.016, glint))
        rough = 0.1
    elif part == BEZEL:
        colour, rough = NAVY, 0.18
    elif part in (CORALS, RED):
        colour = CORAL
    elif part in (YELLOWS, GOLD):
        colour = YELLOW
    elif part == SKY:
        colour = BLUE
    elif part == LEAF:
        colour = GREEN
    elif part == TUBE:
        colour, rough, coat = STEEL, 0.35, 0.8
    elif part == FOOT:
        colour = mix(NAVY, CORAL, step(0.068, 0.076, z))
    elif part == HAND:
        colour = TURQUOISE
    elif part == MOUTH:
        colour = NAVY
    elif part == DIAL:
        u, v = y + 0.145, z - 0.985
        reach, turn = math.sqrt(u * u + v * v), math.atan2(u, v)
        colour = WHITE
        tick = abs(turn * 4.0 / math.pi - round(turn * 4.0 / math.pi)) * math.pi / 4.0 * reach
        marks = (1.0 - step(0.004, 0.007, tick)) * step(0.066, 0.068, reach) * (1.0 - step(0.084, 0.086, reach))
        colour = mix(colour, NAVY, marks if abs(turn) < 2.4 else 0.0)
        along, beside = u * 0.643 + v * 0.766, abs(u * 0.766 - v * 0.643)
        needle = (1.0 - step(0.006, 0.009, beside + 0.06 * max(along, 0.0) * 0.5)) * step(-0.02, -0.018, along)
        colour = mix(colour, CORAL, needle * (1.0 - step(0.072, 0.075, along)))
        colour = mix(NAVY, colour, step(0.014, 0.017, reach))
        rough = 0.12
    return colour[0], colour[1], colour[2], rough, coat, wave


SCENE = Scene(
    name="robot",
    shape=shape,
    painter=painter,
    low=(-0.4, -1.2, 0.0),
    high=(0.5, 1.2, 2.3),
    look_at=(0.0, 0.06, 1.1),
    elevation=4.0,
)
