"""The outline that the inflation works on: a square canvas around the object, and where it ends flat."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from gpu_container.photo import Frame
from infra.errors import NoClearObject

#: pixels along the object's longest side
OBJECT = 240
#: pixels of canvas beyond it on each side
MARGIN = 40
CANVAS = OBJECT + 2 * MARGIN
#: side of the frame in world units: what a camera at 1.9 with fovy 40 degrees sees at the object's centre
CAMERA_DISTANCE = 1.9
FRAME_SIDE = 2 * CAMERA_DISTANCE * math.tan(math.radians(20))

#: a bottom is flat when this share of the widest row, and of the longest side, comes near the lowest row
FLAT_SHARE, FLAT_LENGTH, FLAT_NEAR = 0.42, 0.12, 0.03


@dataclass(frozen=True)
class Silhouette:
    """The object's outline on a canvas of ``CANVAS`` squared pixels.

    Lengths in pixels of the canvas; ``scale`` and ``center`` lead to the world.
    """

    alpha: NDArray[np.float32]  # (n, n) 0..1
    #: the same, going on beyond the sides in `flat`, so that it is not rounded off there
    continued: NDArray[np.float32]
    #: rows and columns where the object begins and ends: top, bottom, left, right (the ends exclusive)
    box: tuple[int, int, int, int]
    #: sides where the object is cut flat: by the photo's edge, or because it stands there
    flat: frozenset[str]
    #: world units per pixel
    scale: float
    #: (y, z) of the canvas's centre in the world
    center: tuple[float, float]


def outline(frame: Frame) -> Silhouette:
    """The silhouette of a framed photo.

    Raises:
        NoClearObject: nothing in the frame is opaque.
    """
    opaque = frame.alpha > 0.5
    if opaque.sum() < 4:
        raise NoClearObject("The cut-out object is empty. Try a photo in which one object stands out clearly.")
    rows, columns = np.nonzero(opaque.any(1))[0], np.nonzero(opaque.any(0))[0]
    top, bottom, left, right = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
    longest = max(bottom - top, right - left)
    half = math.ceil(longest / 2 * CANVAS / OBJECT)
    middle_row, middle_column = (top + bottom) // 2, (left + right) // 2
    window = np.pad(frame.alpha, half)[
        middle_row : middle_row + 2 * half, middle_column : middle_column + 2 * half
    ]
    alpha = cv2.resize(
        np.ascontiguousarray(window),
        (CANVAS, CANVAS),
        interpolation=cv2.INTER_AREA if 2 * half > CANVAS else cv2.INTER_LINEAR,
    )
    per_pixel = CANVAS / (2 * half)
    box = (
        round((top - middle_row + half) * per_pixel),
        round((bottom - middle_row + half) * per_pixel),
        round((left - middle_column + half) * per_pixel),
        round((right - middle_column + half) * per_pixel),
    )
    flat = set(frame.cut)
    depth = {side: 1 for side in flat}
    if "bottom" not in flat and stands_flat(alpha > 0.5, box):
        flat.add("bottom")
        depth["bottom"] = max(2, round(0.022 * OBJECT))
    side = len(frame.alpha)
    return Silhouette(
        alpha=alpha,
        continued=continue_past(alpha, box, depth),
        box=box,
        flat=frozenset(flat),
        scale=FRAME_SIDE / side / per_pixel,
        center=((middle_column / side - 0.5) * FRAME_SIDE, (0.5 - middle_row / side) * FRAME_SIDE),
    )


def stands_flat(inside: NDArray[np.bool_], box: tuple[int, int, int, int]) -> bool:
    """Whether enough of the outline comes close to the lowest row for the object to stand on a flat base."""
    _, bottom, _, _ = box
    rows = np.arange(len(inside))[:, None]
    lowest = np.where(inside, rows, -1).max(0)
    near = int((lowest >= bottom - 1 - max(2, FLAT_NEAR * OBJECT)).sum())
    return near > FLAT_SHARE * int(inside.sum(1).max()) and near > FLAT_LENGTH * OBJECT


def continue_past(
    alpha: NDArray[np.float32], box: tuple[int, int, int, int], depth: dict[str, int]
) -> NDArray[np.float32]:
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
