"""The far side: what is seen in profile is alike on both sides, what is seen from the front is not."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from gpu_container.engines import backside

SIDE = 256
Image = NDArray[np.float32]
TEAL, RED, DARK = (0.1, 0.6, 0.6), (0.9, 0.3, 0.2), (0.05, 0.05, 0.1)


def waving() -> tuple[Image, Image]:
    """A robot with eyes on a square head, one arm raised and one hanging: colours and alpha."""
    rgb, alpha = np.full((SIDE, SIDE, 3), 0.5, np.float32), np.zeros((SIDE, SIDE), np.float32)
    for picture, head, arm, eye in ((rgb, TEAL, RED, DARK), (alpha, 1.0, 1.0, 1.0)):
        cv2.rectangle(picture, (88, 40), (168, 110), head, -1)
        cv2.rectangle(picture, (80, 105), (176, 210), head, -1)
        cv2.line(picture, (176, 125), (230, 60), arm, 14)
        cv2.line(picture, (80, 125), (40, 200), arm, 14)
        for x in (110, 146):
            cv2.circle(picture, (x, 72), 12, eye, -1)
    return rgb, alpha


def horse() -> tuple[Image, Image]:
    """A body with a dark head at one end and a tail at the other."""
    rgb, alpha = np.full((SIDE, SIDE, 3), 0.5, np.float32), np.zeros((SIDE, SIDE), np.float32)
    for picture, body, head in ((rgb, RED, DARK), (alpha, 1.0, 1.0)):
        cv2.ellipse(picture, (140, 130), (70, 36), 0, 0, 360, body, -1)
        cv2.line(picture, (90, 110), (50, 50), head, 34)
        for x in (90, 110, 180, 195):
            cv2.line(picture, (x, 140), (x, 230), body, 12)
        cv2.line(picture, (205, 115), (225, 200), body, 10)
    return rgb, alpha


def test_a_raised_arm_does_not_put_a_face_on_the_back_of_the_head() -> None:
    rgb, alpha = waving()

    far = backside.far_side(backside.without_rim(rgb, alpha), alpha)

    assert backside.seen_in_profile(rgb, alpha) == 0
    head = far[60:85, 105:152]
    assert np.abs(head - TEAL).max() < 0.12
    assert np.abs(rgb[60:85, 105:152] - TEAL).max() > 0.4  # the eyes are there in front


def test_arms_are_alike_on_both_sides() -> None:
    rgb, alpha = waving()

    far = backside.far_side(backside.without_rim(rgb, alpha), alpha)

    assert far[70, 221] == pytest.approx(RED, abs=0.05)


def test_a_horse_is_alike_on_both_sides() -> None:
    rgb, alpha = horse()

    far = backside.far_side(backside.without_rim(rgb, alpha), alpha)

    assert backside.seen_in_profile(rgb, alpha) == 1
    inside = cv2.erode((alpha > 0.5).astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
    assert np.abs(far - rgb)[inside].mean() < 0.04


def test_one_plain_colour_counts_as_symmetric_where_the_outline_is() -> None:
    alpha = np.zeros((SIDE, SIDE), np.float32)
    cv2.circle(alpha, (128, 128), 90, 1.0, -1)

    assert backside.color_symmetry(np.full((SIDE, SIDE, 3), 0.3, np.float32), alpha) > 0.97
