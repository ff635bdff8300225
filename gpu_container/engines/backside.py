"""Colours where the photo shows none: under the rim, and on the far side."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from gpu_container.engines.laplace import diffuse
from gpu_container.engines.silhouette import signed_distance

Image = NDArray[np.float32]

#: the far side is worked out at this size: it is soft
SOFT_SIZE = 160
#: rows exchange this much colour with their neighbours, relative to the exchange along the row
BETWEEN_ROWS = 0.06


def without_rim(rgb: Image, alpha: Image) -> Image:
    """The photo continued beyond its outline, from a little inside it where no backdrop shines through.

    Args:
        rgb: ``(s, s, 3)``; alpha: ``(s, s)``.
    """
    radius = max(1, round(0.004 * len(alpha)))
    solid = (alpha > 0.9).astype(np.uint8)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    core = cv2.erode(solid, disc)
    # what is too thin to have a core keeps its own pixels
    near_core = cv2.dilate(core, np.ones((4 * radius + 1, 4 * radius + 1), np.uint8)) > 0
    known = (core > 0) | ((solid > 0) & ~near_core)
    if not known.any():
        known = alpha >= alpha.max()
    return nearest(rgb, known)


def nearest(rgb: Image, known: NDArray[np.bool_]) -> Image:
    """Each pixel that is not ``known`` takes the colour of the nearest one that is."""
    _, labels = cv2.distanceTransformWithLabels(
        (~known).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    source = np.zeros(labels.max() + 1, np.intp)
    source[labels[known]] = np.flatnonzero(known)
    filled: Image = rgb.reshape(-1, 3)[source[labels]].reshape(rgb.shape)
    return filled


def far_side(near: Image, alpha: Image) -> Image:
    """What the back may look like, ``(s, s, 3)``.

    A thing seen in profile, such as a horse, is alike on both sides: its back is the photo, softened. A thing
    seen from the front, which is symmetric, has something else behind, and nobody has a face there: each row
    is filled from its two ends.

    Args:
        near: the photo continued beyond its outline, ``(s, s, 3)``.
    """
    inside = alpha > 0.5
    profile = float(np.clip((0.84 - symmetry(inside)) / 0.14, 0, 1))
    rim_distance = np.maximum(signed_distance(inside), 0)
    soft = blur_inwards(near, inside, rim_distance, 0.45)
    frontal = np.asarray(0.25 * soft + 0.75 * from_row_ends(near, inside), dtype=np.float32)
    if profile == 0:
        return frontal
    mirrored = 0.75 * near + 0.25 * blur_inwards(near, inside, rim_distance, 0.15)
    return np.asarray(frontal * (1 - profile) + mirrored * profile, dtype=np.float32)


def symmetry(inside: NDArray[np.bool_]) -> float:
    """Overlap (intersection over union) of the outline with its mirror image about its own middle."""
    columns = np.nonzero(inside.any(0))[0]
    cropped = inside[:, columns[0] : columns[-1] + 1]
    return float((cropped & cropped[:, ::-1]).sum() / (cropped | cropped[:, ::-1]).sum())


def from_row_ends(near: Image, inside: NDArray[np.bool_]) -> Image:
    """The inside filled by diffusion, mostly along the rows, from the colours at their ends."""
    size = len(near)
    blurred = cv2.GaussianBlur(near, (0, 0), 0.006 * size)
    soft: Image = cv2.resize(blurred, (SOFT_SIZE, SOFT_SIZE), interpolation=cv2.INTER_AREA).astype(np.float32)
    shape = cv2.resize(inside.astype(np.float32), (SOFT_SIZE, SOFT_SIZE), interpolation=cv2.INTER_AREA) > 0.6
    shape = cv2.erode(shape.astype(np.uint8), np.ones((1, 5), np.uint8)) > 0
    filled = diffuse(shape, soft, vertical=BETWEEN_ROWS, rim_above_and_below=False)
    return np.asarray(cv2.resize(filled, (size, size), interpolation=cv2.INTER_CUBIC), dtype=np.float32)


def blur_inwards(near: Image, inside: NDArray[np.bool_], rim_distance: Image, share: float) -> Image:
    """Each pixel blurred, within the outline, by ``share`` of its distance to the rim."""
    size = len(near)
    sigmas = size * np.array([0, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128])
    weight = inside.astype(np.float32)
    level = np.interp(share * rim_distance, sigmas, np.arange(len(sigmas))).astype(np.float32)
    blurred = np.zeros_like(near)
    for index, sigma in enumerate(sigmas):
        nearness = np.maximum(1 - np.abs(level - index), 0)
        layer = near if index == 0 else blur_within(near, weight, float(sigma))
        blurred += nearness[..., None] * layer
    return blurred


def blur_within(near: Image, weight: Image, sigma: float) -> Image:
    """Gaussian blur that takes no colour from where ``weight`` is 0; computed small, as it is smooth."""
    size = len(near)
    small = min(size, max(16, round(size * 4 / sigma)))
    shrink = small / size
    colors = cv2.resize(near * weight[..., None], (small, small), interpolation=cv2.INTER_AREA)
    weights = cv2.resize(weight, (small, small), interpolation=cv2.INTER_AREA)
    colors = cv2.GaussianBlur(colors, (0, 0), sigma * shrink)
    weights = cv2.GaussianBlur(weights, (0, 0), sigma * shrink)
    soft = colors / np.maximum(weights, 1e-3)[..., None]
    return np.asarray(cv2.resize(soft, (size, size), interpolation=cv2.INTER_LINEAR), dtype=np.float32)
