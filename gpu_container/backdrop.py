"""The object before a plain backdrop: a smooth colour model of the picture's border, and what departs from it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

#: width of the border ring, share of the shorter side
_RING = 0.03
#: a border pixel within this CIELAB distance of the model is backdrop
_INLIER_DISTANCE = 7.0

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Backdrop:
    """What the empty backdrop would look like, fitted to the picture's border."""

    lab: NDArray[np.float32]  # (h, w, 3) CIELAB
    ring: Mask  # (h, w) the border pixels it was fitted to
    inliers: float  # share of them that it explains
    noise: float  # upper quartile of the weighted distance of those


def border_ring(shape: tuple[int, ...]) -> Mask:
    """The outermost pixels, ``_RING`` of the shorter side wide."""
    width = max(2, round(_RING * min(shape[:2])))
    ring = np.ones(shape[:2], np.bool_)
    ring[width:-width, width:-width] = False
    return ring


def fit_backdrop(lab: NDArray[np.float32]) -> Backdrop:
    """A robust quadratic of image position, per CIELAB channel, through the border ring of ``lab`` ``(h, w, 3)``.

    Iteratively trimmed least squares: an object that runs into the border is left out after a few rounds.
    """
    height, width = lab.shape[:2]
    ring = border_ring(lab.shape)
    y, x = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    basis = np.stack([np.ones_like(x), x, y, x * x, y * y, x * y], axis=-1).astype(np.float32)
    terms, targets = basis[ring], lab[ring]
    chosen = np.ones(len(terms), np.bool_)
    distance = np.zeros(len(terms), np.float32)
    coefficients = np.zeros((6, 3), np.float32)
    for _ in range(6):
        coefficients = np.linalg.lstsq(terms[chosen], targets[chosen], rcond=None)[0].astype(np.float32)
        distance = np.linalg.norm(terms @ coefficients - targets, axis=1)
        chosen = distance < max(2.0, 2.5 * 1.4826 * float(np.median(distance)))
        if chosen.sum() < 50:
            break
    model = basis @ coefficients
    inliers = distance < _INLIER_DISTANCE
    noise = float(np.percentile(weighted_distance(lab, model)[ring], 75))
    return Backdrop(model, ring, float(inliers.mean()), noise)


def weighted_distance(lab: NDArray[np.float32], model: NDArray[np.float32]) -> NDArray[np.float32]:
    """CIELAB distance in which lightness counts half as much as colour: shadows are dark, not coloured."""
    weighted = (lab - model) * np.array([0.6, 1.2, 1.2], np.float32)
    return np.asarray(np.linalg.norm(weighted, axis=-1), np.float32)


def object_mask(rgb: NDArray[np.uint8], lab: NDArray[np.float32], backdrop: Backdrop) -> Mask:
    """What stands before the backdrop ``(h, w)``, without its shadow."""
    distance = weighted_distance(lab, backdrop.lab)
    high = float(np.clip(3 * backdrop.noise + 7, 9, 18))
    mask = _hysteresis(distance, 0.5 * high, high)
    if backdrop.noise < 2:
        mask |= _faint_regions(distance, max(1.6, 4 * backdrop.noise + 1))
    slope = _slope(lab)
    shadow = _shadow(mask, lab, backdrop, slope)
    if shadow.sum() > 0.01 * mask.sum():
        mask = _without_shadow(rgb, mask, shadow)
    return _fill_holes(mask, distance, slope, backdrop.ring, 0.5 * high)


def _hysteresis(distance: NDArray[np.float32], low: float, high: float) -> Mask:
    """Regions above ``low`` that somewhere reach ``high`` (Canny 1986)."""
    count, labels = cv2.connectedComponents((distance > low).astype(np.uint8))
    strong = np.zeros(count, np.bool_)
    strong[np.unique(labels[distance > high])] = True
    strong[0] = False
    return np.asarray(strong[labels], np.bool_)


def _faint_regions(distance: NDArray[np.float32], threshold: float) -> Mask:
    """Large faint regions, such as a white object before white; the opening leaves thin halos out."""
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (11, 11))
    opened = cv2.morphologyEx((distance > threshold).astype(np.uint8), cv2.MORPH_OPEN, disc)
    return np.asarray(cv2.erode(opened, np.ones((3, 3), np.uint8)) > 0)


def _slope(lab: NDArray[np.float32]) -> NDArray[np.float32]:
    """Steepest change of lightness within a pixel's neighbourhood, CIELAB units per pixel."""
    lightness = lab[..., 0]
    across = cv2.Sobel(lightness, cv2.CV_32F, 1, 0, ksize=3) / 8
    down = cv2.Sobel(lightness, cv2.CV_32F, 0, 1, ksize=3) / 8
    return np.asarray(cv2.dilate(np.hypot(across, down), np.ones((3, 3), np.uint8)), np.float32)


def _shadow(mask: Mask, lab: NDArray[np.float32], backdrop: Backdrop, slope: NDArray[np.float32]) -> Mask:
    """Cast shadow: darker than the backdrop, of its colour, without edges, and joined to the open backdrop."""
    darker = lab[..., 0] - backdrop.lab[..., 0]
    tint = np.linalg.norm(lab[..., 1:] - backdrop.lab[..., 1:], axis=-1)
    candidate = (
        mask
        & (darker < 0)
        & (darker > -45)
        & (tint < 5 + 1.5 * backdrop.noise)
        & (slope < 2.5 + backdrop.noise)
    )
    _, labels = cv2.connectedComponents((candidate | ~mask).astype(np.uint8), connectivity=4)
    open_labels = np.unique(labels[backdrop.ring])
    return np.asarray(candidate & np.isin(labels, open_labels[open_labels > 0]))


def _without_shadow(rgb: NDArray[np.uint8], mask: Mask, shadow: Mask) -> Mask:
    """GrabCut decides, shadow pixels starting as background and the rest of ``mask`` as object."""
    from gpu_container.grabcut import refine

    near_shadow = cv2.dilate(shadow.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    core = cv2.erode((mask & ~near_shadow).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    if core.sum() <= 20:
        return mask
    labels = np.where(~mask, cv2.GC_BGD, np.where(shadow, cv2.GC_PR_BGD, cv2.GC_PR_FGD)).astype(np.uint8)
    labels[core] = cv2.GC_FGD
    return refine(rgb, labels, rounds=3)


def _fill_holes(
    mask: Mask, distance: NDArray[np.float32], slope: NDArray[np.float32], ring: Mask, low: float
) -> Mask:
    """Enclosed holes become object unless they are as flat and as much backdrop as the border."""
    filled = mask.copy()
    count, labels = cv2.connectedComponents((~mask).astype(np.uint8), connectivity=4)
    border_slope = float(np.percentile(slope[ring], 90))
    for label in range(1, count):
        hole = labels == label
        if (hole & ring).any():
            continue
        inner = cv2.erode(hole.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
        if (
            inner.sum() < 12
            or np.percentile(distance[inner], 80) > 0.6 * low + 0.5
            or np.percentile(slope[inner], 60) > 2 * border_slope + 0.6
        ):
            filled |= hole
    return filled
