"""Boxes seen at three quarters: an outline with three pairs of parallel edges says how the box lies.

A box seen from afar has a hexagonal outline whose width in any direction is the sum of the widths of its
three edges: for a given view the three lengths follow by linear least squares, and the view is the one that
fits best. From there the box is fitted to the outline in perspective.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import product

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares, nnls

from gpu_container.engines.silhouette import OBJECT, Map, Silhouette

Vectors = NDArray[np.float64]

#: directions in which the outline's width is measured
DIRECTIONS = 36
#: views that are tried, degrees: how far the box is turned, and how far the camera looks down on it
TURNS: Vectors = np.arange(12.0, 79.0, 6.0)
ELEVATIONS: Vectors = np.arange(4.0, 47.0, 3.0)
#: distances from which the photo may have been taken, world units: a box shows the perspective it was taken in
CAMERAS = (2.4, 3.4, 5.0, 10.0, 40.0)
#: least overlap (intersection over union) of the box's outline with the photo's
OVERLAP = 0.93
#: least length of an edge, as a share of the longest side of the outline
EDGE = 0.08


@dataclass(frozen=True)
class Cuboid:
    """A box in the canvas: lengths in pixels, x to the viewer, y right, z up from the canvas's centre."""

    axes: Vectors  # (3, 3), one unit vector (x, y, z) a row
    lengths: Vectors  # (3,)
    center: tuple[float, float]  # (y, z)
    #: from where it was seen, world units
    camera: float = math.inf


def find_cuboid(silhouette: Silhouette) -> Cuboid | None:
    """The box that has the silhouette's outline; None if none comes close."""
    inside = silhouette.seen > 0.5
    size = len(inside)
    contours, _ = cv2.findContours(inside.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    hull = cv2.convexHull(np.concatenate(contours))[:, 0]
    if cv2.contourArea(hull) * OVERLAP > inside.sum():
        return None
    # the camera's axis is the origin
    axis = np.array([silhouette.center[0], silhouette.center[1]]) / silhouette.scale
    points = np.stack([hull[:, 0] + 0.5 - size / 2, size / 2 - hull[:, 1] - 0.5], axis=1) + axis
    angles = np.arange(2 * DIRECTIONS) * np.pi / DIRECTIONS
    directions = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    reach = (points @ directions.T).max(0) + 0.5  # from the pixels' centres to their edges
    widths, half_turn = reach[:DIRECTIONS] + reach[DIRECTIONS:], directions[:DIRECTIONS]

    turn, elevation = best_view(widths, half_turn, TURNS, ELEVATIONS)
    turn, elevation = best_view(widths, half_turn, turn + np.arange(-4.0, 5, 2), elevation + np.arange(-2.0, 3))
    lengths, _ = fit_lengths(widths, half_turn, view_axes(turn, elevation))
    middle = np.linalg.lstsq(half_turn, (reach[:DIRECTIONS] - reach[DIRECTIONS:]) / 2, rcond=None)[0]
    start = np.array([turn, elevation, *lengths, *middle])
    fits = [fit_in_perspective(start, reach, directions, camera / silhouette.scale) for camera in CAMERAS]
    camera, (box, _) = min(zip(CAMERAS, fits, strict=True), key=lambda pair: pair[1][1])
    corners = (seen_corners(box, camera / silhouette.scale) - axis) * [1, -1] + size / 2 - 0.5
    outline = cv2.convexHull(np.round(corners).astype(np.int32))
    covered = cv2.fillConvexPoly(np.zeros((size, size), np.uint8), outline, 1) > 0
    overlap = (covered & inside).sum() / (covered | inside).sum()
    if overlap < OVERLAP or box.lengths.min() < EDGE * OBJECT:
        return None
    center = (box.center[0] - float(axis[0]), box.center[1] - float(axis[1]))
    return replace(box, center=center, camera=camera)


def fit_in_perspective(
    start: Vectors, reach: Vectors, directions: Vectors, distance: float
) -> tuple[Cuboid, float]:
    """The box whose outline, seen from ``distance`` pixels, comes closest to ``reach``; and its error."""
    solved = least_squares(
        lambda guess: (seen_corners(guess_box(guess), distance) @ directions.T).max(0) - reach,
        start,
        x_scale=[5.0, 5.0, *[0.1 * OBJECT] * 5],
        loss="soft_l1",
        max_nfev=40,
    )
    return guess_box(solved.x), float(solved.cost)


def guess_box(guess: Vectors) -> Cuboid:
    """From turn, elevation (degrees), three lengths, and y, z of the centre."""
    return Cuboid(view_axes(guess[0], guess[1]), guess[2:5], (float(guess[5]), float(guess[6])))


def seen_corners(box: Cuboid, distance: float) -> Vectors:
    """The corners ``(8, 2)`` (y, z) as a camera at ``distance`` (pixels) sees them on the plane x = 0."""
    signs = np.array(list(product((-0.5, 0.5), repeat=3)))
    corners = (signs * box.lengths) @ box.axes + [0, *box.center]
    seen: Vectors = corners[:, 1:] / (1 - corners[:, :1] / distance)
    return seen


def best_view(widths: Vectors, directions: Vectors, turns: Vectors, elevations: Vectors) -> tuple[float, float]:
    """The turn and the elevation, degrees, whose box fits the widths best."""
    errors = {
        (float(turn), float(elevation)): fit_lengths(widths, directions, view_axes(turn, elevation))[1]
        for turn in turns
        for elevation in elevations
    }
    return min(errors, key=lambda view: errors[view])


def view_axes(turn: float, elevation: float) -> Vectors:
    """The axes ``(3, 3)`` of an upright box turned about its own upright axis, seen from above; degrees."""
    t, e = np.radians(turn), np.radians(elevation)
    return np.array(
        [
            [np.cos(e) * np.cos(t), np.sin(t), -np.sin(e) * np.cos(t)],
            [-np.cos(e) * np.sin(t), np.cos(t), np.sin(e) * np.sin(t)],
            [np.sin(e), 0.0, np.cos(e)],
        ]
    )


def fit_lengths(widths: Vectors, directions: Vectors, axes: Vectors) -> tuple[Vectors, float]:
    """The lengths ``(3,)`` of the edges that explain the outline's widths best, and the residual."""
    lengths, residual = nnls(np.abs(directions @ axes[:, 1:].T), widths)
    return lengths, float(residual)


def box_depths(box: Cuboid, size: int) -> tuple[Map, Map]:
    """How far before the picture plane each pixel's ray enters and leaves the box; the reverse is a miss."""
    offset = np.arange(size) + 0.5 - size / 2
    y, z = offset[None] - box.center[0], -offset[:, None] - box.center[1]
    near, far = np.full((size, size), np.inf), np.full((size, size), -np.inf)
    for axis, length in zip(box.axes, box.lengths, strict=True):
        along = y * axis[1] + z * axis[2]
        ends = (length / 2 - along) / axis[0], (-length / 2 - along) / axis[0]
        near, far = np.minimum(near, np.maximum(*ends)), np.maximum(far, np.minimum(*ends))
    return near.astype(np.float32), far.astype(np.float32)


def box_shape(box: Cuboid, size: int) -> tuple[Map, Map, Map]:
    """Thickness ``q``, the middle of each ray's stretch in the box, pixels, and the box's own outline, 0..1."""
    near, far = box_depths(box, size)
    half = np.maximum(near - far, 0) / 2
    reach = np.abs(box.axes[:, 0]) @ box.lengths / 2
    middle = np.clip((near + far) / 2, -reach, reach).astype(np.float32)
    return half * half, middle, np.clip(near - far + 0.5, 0, 1)
