"""The outline that the inflation works on: a square canvas around the object, and where it ends flat."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from gpu_container.photo import Frame
from infra.errors import NoClearObject

Map = NDArray[np.float32]

#: pixels along the object's longest side
OBJECT = 240
#: pixels of canvas beyond it on each side
MARGIN = 40
CANVAS = OBJECT + 2 * MARGIN
#: the first view's camera; at the object's centre it sees a frame of this side, world units
CAMERA_DISTANCE = 1.9
FRAME_SIDE = 2 * CAMERA_DISTANCE * math.tan(math.radians(20))

#: a bottom is flat when this share of the widest row, and of the longest side, comes near the lowest row
FLAT_SHARE, FLAT_LENGTH, FLAT_NEAR = 0.42, 0.12, 0.03


@dataclass(frozen=True)
class Silhouette:
    """The object's outline on a canvas of ``CANVAS`` squared pixels, as seen from infinitely far away.

    Lengths in pixels of the canvas; ``scale`` and ``center`` lead to the world.
    """

    alpha: Map  # (n, n) 0..1
    #: the same as the near camera sees it
    seen: Map
    #: `alpha`, going on beyond the sides in `flat`, so that it is not rounded off there
    continued: Map
    #: rows and columns where the object begins and ends: top, bottom, left, right (the ends exclusive)
    box: tuple[int, int, int, int]
    #: sides where the object is cut flat: by the photo's edge, or because it stands there
    flat: frozenset[str]
    #: those of them where it is the photo's edge that cuts
    cut: frozenset[str]
    #: world units per pixel
    scale: float
    #: (y, z) of the canvas's centre in the world
    center: tuple[float, float]
    #: how far above the box's end a flat bottom lies
    lifted: float = 0.0


def outline(frame: Frame) -> Silhouette:
    """The silhouette of a framed photo.

    Raises:
        NoClearObject: nothing in the frame is opaque.
    """
    opaque = frame.alpha > 0.5
    if opaque.sum() < 4:
        raise NoClearObject("The cut-out object is empty. Try a photo in which one object stands out clearly.")
    top, bottom, left, right = bounds(opaque)
    half = math.ceil(max(bottom - top, right - left) / 2 * CANVAS / OBJECT)
    row, column = (top + bottom) // 2, (left + right) // 2
    window = np.pad(frame.alpha, half)[row : row + 2 * half, column : column + 2 * half]
    shrinks = 2 * half > CANVAS
    seen: Map = cv2.resize(
        np.ascontiguousarray(window, np.float32),
        (CANVAS, CANVAS),
        interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR,
    ).astype(np.float32)
    side = len(frame.alpha)
    scale = FRAME_SIDE / side * 2 * half / CANVAS
    center = ((column / side - 0.5) * FRAME_SIDE, (0.5 - row / side) * FRAME_SIDE)

    depth = dict.fromkeys(frame.cut, 1)
    if "bottom" not in frame.cut and stands_flat(seen > 0.5, bounds(seen > 0.5)):
        depth["bottom"] = max(2, round(0.022 * OBJECT))
    alpha = straighten(seen, scale, center, frozenset(depth))
    if not (alpha > 0.5).any():
        alpha = seen
    box = bounds(alpha > 0.5)
    return Silhouette(
        alpha, seen, continue_past(alpha, box, depth), box, frozenset(depth), frame.cut, scale, center
    )


def bounds(inside: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """First row, end of the rows, first column, end of the columns."""
    rows, columns = np.nonzero(inside.any(1))[0], np.nonzero(inside.any(0))[0]
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1


def signed_distance(inside: NDArray[np.bool_]) -> Map:
    """Distance to the outline, pixels: positive inside, negative outside. The canvas's border is no outline."""
    within = cv2.distanceTransform(inside.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    beyond = far_from(inside)
    return np.asarray(np.maximum(within - 0.5, 0) - np.maximum(beyond - 0.5, 0), dtype=np.float32)


def far_from(spots: NDArray[np.bool_]) -> Map:
    """Distance to the nearest of ``spots``, pixels."""
    away = cv2.distanceTransform((~spots).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(away, dtype=np.float32)


def straighten(seen: Map, scale: float, center: tuple[float, float], flat: frozenset[str]) -> Map:
    """The outline as parallel rays would draw it, from the one that the near camera sees.

    A camera at distance d sees a ball of radius R at the origin with radius ``R (1 + R² / 2d²)``: it looks past
    the bulge on the near side. Each part of the outline is drawn in accordingly, by the radius of the largest
    disc that covers it and its distance from the axis; what is ``flat`` does not bulge and stays.
    """
    distance = signed_distance(seen > 0.5)
    radius = np.zeros_like(seen)
    for level in np.linspace(0.02, 1, 16) * max(float(distance.max()), 1.0):
        core = distance >= level
        if core.any():
            # a little beyond the outline as well, which is about to move
            radius = np.where(far_from(core) < level + 3, np.float32(level), radius)
    bulge = cv2.GaussianBlur(radius, (0, 0), 4.0)
    size = len(seen)
    offset = np.arange(size, dtype=np.float32) + 0.5 - size / 2
    across, down = offset[None] + center[0] / scale, offset[:, None] - center[1] / scale
    stretch = 1 + bulge * np.hypot(across, down) * (scale / CAMERA_DISTANCE) ** 2 / 2
    stays = {"left": across < 0, "right": across > 0, "top": down < 0, "bottom": down > 0}
    bulges_across = ~np.any([stays[side] for side in flat & {"left", "right"}], axis=0)
    bulges_down = ~np.any([stays[side] for side in flat & {"top", "bottom"}], axis=0)
    columns = np.arange(size)[None] + across * (stretch - 1) * bulges_across
    rows = np.arange(size)[:, None] + down * (stretch - 1) * bulges_down
    drawn = cv2.remap(seen, columns.astype(np.float32), rows.astype(np.float32), cv2.INTER_LINEAR)
    return np.asarray(drawn, dtype=np.float32)


def stands_flat(inside: NDArray[np.bool_], box: tuple[int, int, int, int]) -> bool:
    """Whether enough of the outline comes close to the lowest row for the object to stand on a flat base."""
    _, bottom, _, _ = box
    rows = np.arange(len(inside))[:, None]
    lowest = np.where(inside, rows, -1).max(0)
    near = int((lowest >= bottom - 1 - max(2, FLAT_NEAR * OBJECT)).sum())
    return near > FLAT_SHARE * int(inside.sum(1).max()) and near > FLAT_LENGTH * OBJECT


def continue_past(alpha: Map, box: tuple[int, int, int, int], depth: dict[str, int]) -> Map:
    """The outline as if it went on beyond its flat sides.

    ``depth``: for each flat side, how many pixels inside the box the row or column lies that is continued.
    """
    top, bottom, left, right = box
    continued = alpha.copy()
    if "bottom" in depth:
        row = bottom - 1 - depth["bottom"]
        continued[row:] = np.maximum(continued[row:], continued[row])
    if "top" in depth:
        row = top + depth["top"]
        continued[: row + 1] = np.maximum(continued[: row + 1], continued[row])
    if "left" in depth:
        column = left + depth["left"]
        continued[:, : column + 1] = np.maximum(continued[:, : column + 1], continued[:, column : column + 1])
    if "right" in depth:
        column = right - 1 - depth["right"]
        continued[:, column:] = np.maximum(continued[:, column:], continued[:, column : column + 1])
    return continued
