"""Surfaces of revolution: bottles, mugs, plates and lamps turn about an upright axis."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from gpu_container.engines.inflation import inflate
from gpu_container.engines.silhouette import OBJECT, Map, Silhouette, far_from, signed_distance

#: the two ends of a row agree when they lie this equally far from the axis, as a share of the longest side
AGREE = 0.025
#: least share of the outline within the turned body
BODY_SHARE = 0.75
#: least share of that body's area in rows whose ends agree, and the same where the foot is as wide as the body,
#: because busts are, too
AGREEING_SHARE, AGREEING_SHARE_OF_WIDE_FOOT = 0.72, 0.97
#: the foot is wide from this share of the widest row on; it is measured so far above the lowest row, pixels
WIDE_FOOT, FOOT = 0.80, 6
#: what sticks out by less is an uneven edge of the body, not a handle, pixels
UNEVEN = 4
#: a handle reaches this far into the body, pixels
ROOTED = 4


@dataclass(frozen=True)
class Profile:
    """The turned body, row by row of the canvas: where it begins and ends (equal where there is none)."""

    left: NDArray[np.float32]  # (n,)
    right: NDArray[np.float32]  # (n,)


def find_profile(silhouette: Silhouette) -> Profile | None:
    """The profile of the body if the outline is that of a turned one, perhaps with handles; else None.

    It is not when rows in its lower half have nothing at the axis (it stands on legs), when the photo's edge
    cuts it, or when left and right differ.
    """
    alpha = silhouette.alpha
    inside = alpha > 0.5
    size = len(inside)
    column = np.arange(size)
    begins = np.maximum.accumulate(np.where(inside, 0, column + 1), axis=1)
    ends = np.minimum.accumulate(np.where(inside, size, column)[:, ::-1], axis=1)[:, ::-1]
    top, bottom, left, right = silhouette.box
    reach = [np.minimum(c + 0.5 - begins[:, c], ends[:, c] - c - 0.5) for c in range(left, right)]
    axis_column = left + int(np.argmax([np.maximum(half, 0).sum() for half in reach]))
    axis = axis_column + 0.5
    present = inside[:, axis_column]
    half = np.where(present, reach[axis_column - left], 0)
    body = 2 * half.sum()
    differ = np.abs((axis - begins[:, axis_column]) - (ends[:, axis_column] - axis))
    agree = present & (differ < AGREE * OBJECT)
    stands = present[(top + bottom) // 2 : bottom - 2].all()
    wide_foot = half[max(bottom - FOOT, top)] > WIDE_FOOT * half.max()
    enough = AGREEING_SHARE_OF_WIDE_FOOT if wide_foot else AGREEING_SHARE
    turned = body > BODY_SHARE * inside.sum() and 2 * half[agree].sum() > enough * body
    if not (stands and turned) or silhouette.flat - {"bottom"} or silhouette.cut:
        return None
    rows = np.arange(size)
    first, end = begins[:, axis_column], ends[:, axis_column]
    # alpha says how much of the pixels on either side of an end is covered
    first_exact = first + 1 - alpha[rows, first.clip(0, size - 1)] - alpha[rows, (first - 1).clip(0)]
    end_exact = end - 1 + alpha[rows, (end - 1).clip(0)] + alpha[rows, end.clip(0, size - 1)]
    own_left = np.where(agree, first_exact, axis - half)
    own_right = np.where(agree, end_exact, axis + half)
    return Profile(smooth(own_left, present), smooth(own_right, present))


def smooth(ends: NDArray[np.float64], present: NDArray[np.bool_]) -> NDArray[np.float32]:
    """The ends of the rows without the steps of single pixels, which would turn into rings."""
    weight = present.astype(np.float32)[:, None]
    values = cv2.GaussianBlur(ends.astype(np.float32)[:, None] * weight, (1, 13), 0, sigmaY=2.0)
    total = cv2.GaussianBlur(weight, (1, 13), 0, sigmaY=2.0)
    return np.where(present, (values / np.maximum(total, 1e-6))[:, 0], 0).astype(np.float32)


def turn(profile: Profile, inside: NDArray[np.bool_]) -> tuple[Map, Map]:
    """Thickness with a circular section in every row of the body; handles and spouts are inflated.

    Returns:
        As :func:`gpu_container.engines.inflation.inflate`.
    """
    column = np.arange(inside.shape[1], dtype=np.float32) + 0.5
    body = (column - profile.left[:, None]) * (profile.right[:, None] - column)
    apart = inside & (body <= 0)
    from_body = far_from(body > 0)
    count, parts = cv2.connectedComponents(apart.astype(np.uint8))
    handles = [part for part in range(1, count) if from_body[parts == part].max() > UNEVEN]
    distance = signed_distance(inside)
    if handles:
        root = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * ROOTED + 1, 2 * ROOTED + 1))
        rooted = (cv2.dilate(np.isin(parts, handles).astype(np.uint8), root) > 0) & inside
        handle, handle_distance = inflate(rooted)
        body, distance = np.maximum(body, handle), np.maximum(distance, handle_distance)
    return np.where(distance > 0, np.maximum(body, 0), 0).astype(np.float32), distance
