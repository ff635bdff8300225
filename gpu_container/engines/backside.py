"""Colours where the photo shows none: under the rim, and on the far side."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from gpu_container.engines.laplace import diffuse
from gpu_container.engines.silhouette import far_from, signed_distance

Image = NDArray[np.float32]

#: the far side is worked out at this size: it is soft
SOFT_SIZE = 160
#: symmetry of colours is judged at this size: details do not matter
SYMMETRY_SIZE = 96
#: rows are filled from half this far inside the outline, soft pixels: at the very rim there is glare
ROW_INSET = 11
#: what is thinner than this share of the thickest part sticks out of the body
BODY_THICKNESS = 0.45
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
    of its body is filled from its two ends. Arms, legs and ears are alike on both sides in either case.

    Args:
        near: the photo continued beyond its outline, ``(s, s, 3)``.
    """
    inside = alpha > 0.5
    rim_distance = np.maximum(signed_distance(inside), 0)
    mirrored = 0.75 * near + 0.25 * blur_inwards(near, inside, rim_distance, 0.15)
    profile = seen_in_profile(near, alpha)
    if profile == 1:
        return np.asarray(mirrored, dtype=np.float32)
    soft = blur_inwards(near, inside, rim_distance, 0.45)
    body = body_of(rim_distance)
    faceless = 0.25 * soft + 0.75 * from_row_ends(near, body > 0.5)
    share = (body * (1 - profile))[..., None]
    return np.asarray(mirrored + (faceless - mirrored) * share, dtype=np.float32)


def body_of(rim_distance: Image) -> Image:
    """1 on the object's thickest parts, 0 on what sticks out of them, with a soft border: an opening by a disc.

    Args:
        rim_distance: distance to the outline ``(s, s)``, pixels, 0 outside.
    """
    radius = BODY_THICKNESS * float(rim_distance.max())
    opened = (far_from(rim_distance >= radius) <= radius) & (rim_distance > 0)
    return np.asarray(cv2.GaussianBlur(opened.astype(np.float32), (0, 0), max(1.0, 0.2 * radius)), np.float32)


def seen_in_profile(near: Image, alpha: Image) -> float:
    """1 for a thing seen from its side, 0 for one seen from the front, something between where it is not clear.

    What is seen from the front is its own mirror image, in outline or, where it raises an arm, in colour.
    """
    by_outline = np.clip((0.84 - symmetry(alpha > 0.5)) / 0.14, 0, 1)
    by_color = np.clip((0.64 - color_symmetry(near, alpha)) / 0.14, 0, 1)
    return float(min(by_outline, by_color))


def symmetry(inside: NDArray[np.bool_]) -> float:
    """Overlap (intersection over union) of the outline with its mirror image about its own middle."""
    columns = np.nonzero(inside.any(0))[0]
    cropped = inside[:, columns[0] : columns[-1] + 1]
    return float((cropped & cropped[:, ::-1]).sum() / (cropped | cropped[:, ::-1]).sum())


def color_symmetry(near: Image, alpha: Image) -> float:
    """How much of the object is mirrored, in colour, about the best upright axis near its middle: at most 1.

    The share of the object that its mirror image covers, times the correlation of the two there.
    """
    small = (SYMMETRY_SIZE, SYMMETRY_SIZE)
    inside = cv2.resize(alpha, small, interpolation=cv2.INTER_AREA) > 0.5
    lab = cv2.cvtColor(cv2.resize(near, small, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2LAB)
    lab = cv2.GaussianBlur(lab, (0, 0), 1.0)
    columns = np.nonzero(inside.any(0))[0]
    if len(columns) == 0:
        return 0.0
    width = columns[-1] - columns[0]
    best = 0.0
    for twice_axis in range(int(2 * columns[0] + 0.7 * width), int(2 * columns[0] + 1.3 * width) + 1):
        source = twice_axis - np.arange(SYMMETRY_SIZE)
        on_canvas = (source >= 0) & (source < SYMMETRY_SIZE)
        source = source.clip(0, SYMMETRY_SIZE - 1)
        both = inside & inside[:, source] & on_canvas
        if not both.any():
            continue
        here, there = lab[both], lab[:, source][both]
        mean = here.mean(0)
        variance = ((here - mean) ** 2).sum()
        # one plain colour is symmetric as far as anybody can tell
        alike = ((here - mean) * (there - mean)).sum() / variance if variance > 1e-3 else 1.0
        best = max(best, float(both.sum() / inside.sum() * alike))
    return best


def from_row_ends(near: Image, inside: NDArray[np.bool_]) -> Image:
    """The inside filled by diffusion, mostly along the rows, from the colours at their ends."""
    size = len(near)
    blurred = cv2.GaussianBlur(near, (0, 0), 0.006 * size)
    soft: Image = cv2.resize(blurred, (SOFT_SIZE, SOFT_SIZE), interpolation=cv2.INTER_AREA).astype(np.float32)
    shape = cv2.resize(inside.astype(np.float32), (SOFT_SIZE, SOFT_SIZE), interpolation=cv2.INTER_AREA) > 0.6
    shape = cv2.erode(shape.astype(np.uint8), np.ones((1, ROW_INSET), np.uint8)) > 0
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
