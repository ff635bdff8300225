"""The matte that needs no weights: a model of the backdrop where it is plain, GrabCut where it is not.

It would rather refuse than cut wrongly: everything after it builds on the silhouette.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from gpu_container import backdrop, grabcut
from gpu_container.grabcut import Floats, Mask
from infra.errors import NoClearObject

#: longest side at which a plain backdrop is searched, pixels
_BACKDROP_SIDE = 384
#: longest side for GrabCut
_GRABCUT_SIDE = 224
#: share of the border that the backdrop's model must explain
_PLAIN = 0.86
#: the object's share of the picture
_LEAST_AREA, _MOST_AREA = 0.004, 0.93
#: share of the object that its largest piece must have
_LEAST_PIECE = 0.45
#: what edges must say for an outline before a plain backdrop (see :func:`gpu_container.backdrop.object_mask`)
_LEAST_EVIDENCE = 0.78
#: mean IoU of GrabCut's segmentations
_LEAST_AGREEMENT = 0.80
#: share of the outline along which object and background differ by ``_CONTRAST`` in CIELAB
_LEAST_CONTRASTED, _CONTRAST = 0.60, 10.0
#: overlap of the colours of object and background (Bhattacharyya coefficient)
_MOST_SHARED_COLOR = 0.62

_ADVICE = "Take the photo before a plain wall or sheet, with the whole object in view."


def embedded_alpha(rgb: NDArray[np.uint8]) -> tuple[Floats, str]:
    """Alpha ``(h, w) float32`` of the object in ``rgb`` ``(h, w, 3)``, and which way found it.

    The second is "backdrop" or "grabcut".

    Raises:
        NoClearObject: too small, too large, in pieces, cut off on most sides, or not told apart from the rest.
    """
    small = _limited(rgb, _BACKDROP_SIDE)
    lab = _lab(small)
    model = backdrop.fit_backdrop(lab)
    if model.inliers > _PLAIN:
        mask, evidence = backdrop.object_mask(small, lab, model)
        mask = _tidy(mask, 0.03)
        _check_extent(mask)
        if evidence < _LEAST_EVIDENCE:
            raise NoClearObject(f"The object hardly differs from its background. {_ADVICE}")
        return _feathered(rgb, mask), "backdrop"
    small = _limited(small, _GRABCUT_SIDE)
    lab = _lab(small)
    mask, agreement = grabcut.object_mask(small, lab)
    mask = _tidy(mask, 0.15)
    _check_extent(mask)
    if agreement < _LEAST_AGREEMENT:
        raise NoClearObject(f"It is not clear which part of the picture is the object. {_ADVICE}")
    if _shared_color(lab[mask], lab[~mask]) > _MOST_SHARED_COLOR or _contrasted(lab, mask) < _LEAST_CONTRASTED:
        raise NoClearObject(f"The object has the same colours as its background. {_ADVICE}")
    return _feathered(rgb, mask), "grabcut"


def _limited(rgb: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    scale = side / max(rgb.shape[:2])
    if scale >= 1:
        return rgb
    size = (max(8, round(rgb.shape[1] * scale)), max(8, round(rgb.shape[0] * scale)))
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)


def _lab(rgb: NDArray[np.uint8]) -> Floats:
    smooth = cv2.GaussianBlur(rgb, (0, 0), 0.8)
    return np.asarray(cv2.cvtColor(smooth.astype(np.float32) / 255, cv2.COLOR_RGB2LAB), np.float32)


def _tidy(mask: Mask, least_share: float) -> Mask:
    """The largest part and those of at least ``least_share`` of it; pinholes filled."""
    count, labels, statistics, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    if count == 1:
        return mask
    areas = statistics[:, cv2.CC_STAT_AREA].copy()
    areas[0] = 0
    largest = areas.max()
    kept = areas >= least_share * largest
    kept[0] = False
    mask = np.asarray(kept[labels])
    _, labels, statistics, _ = cv2.connectedComponentsWithStats((~mask).astype(np.uint8), connectivity=4)
    areas = statistics[:, cv2.CC_STAT_AREA]
    pinhole = (areas < 0.0006 * mask.size) & (areas < 0.01 * largest)
    pinhole[0] = False
    return np.asarray(mask | pinhole[labels])


def _check_extent(mask: Mask) -> None:
    area = float(mask.mean())
    if area < _LEAST_AREA:
        raise NoClearObject(f"No object stands out from the background. {_ADVICE}")
    sides = sum(float(edge.mean()) > 0.5 for edge in (mask[0], mask[-1], mask[:, 0], mask[:, -1]))
    if area > _MOST_AREA or sides >= 3:
        raise NoClearObject(f"The object fills the whole picture, so its outline cannot be seen. {_ADVICE}")
    _, _, statistics, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    pieces = statistics[1:, cv2.CC_STAT_AREA]
    if pieces.max() < _LEAST_PIECE * pieces.sum():
        raise NoClearObject("There are several things in the picture. Take the photo of one of them alone.")


def _contrasted(lab: Floats, mask: Mask) -> float:
    """The share of the outline along which the colours beside it, inside and outside, clearly differ."""

    def nearby(side: Mask) -> Floats:
        weight = side.astype(np.float32)
        share = np.maximum(cv2.GaussianBlur(weight, (0, 0), 2.5), 1e-3)
        return np.asarray(cv2.GaussianBlur(lab * weight[..., None], (0, 0), 2.5) / share[..., None], np.float32)

    inner = cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    difference = np.linalg.norm(nearby(mask) - nearby(~mask), axis=-1)
    return float((difference[mask & ~inner] > _CONTRAST).mean())


def _shared_color(first: Floats, second: Floats) -> float:
    """Bhattacharyya coefficient (0 apart .. 1 the same) of two sets of CIELAB colours ``(n, 3)``."""
    bounds = ((0, 100), (-80, 80), (-80, 80))
    histograms = [np.histogramdd(colors, bins=(8, 10, 10), range=bounds)[0] for colors in (first, second)]
    shares = [histogram / max(1.0, histogram.sum()) for histogram in histograms]
    return float(np.sqrt(shares[0] * shares[1]).sum())


def _feathered(rgb: NDArray[np.uint8], mask: Mask) -> Floats:
    """``mask`` at the size of ``rgb``, its edge led by the picture's: guided filter (He et al. 2010)."""
    height, width = rgb.shape[:2]
    raised = np.asarray(cv2.resize(mask.astype(np.float32), (width, height)), np.float32)  # linear
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY).astype(np.float32) / np.float32(255)
    radius = max(2, round(max(height, width) / _BACKDROP_SIDE * 1.5))
    alpha = np.clip((_guided(grey, raised, radius, 1e-4) - 0.15) / 0.7, 0, 1)
    band = cv2.GaussianBlur(raised, (0, 0), radius)
    alpha = np.where(band > 0.98, 1, np.where(band < 0.02, 0, alpha))
    return np.asarray(alpha, np.float32)


def _guided(guide: Floats, values: Floats, radius: int, epsilon: float) -> Floats:
    """``values`` smoothed within windows of ``radius`` as a local linear function of ``guide``."""

    def mean(array: Floats) -> Floats:
        return np.asarray(cv2.blur(array, (2 * radius + 1, 2 * radius + 1)), np.float32)

    guide_mean, values_mean = mean(guide), mean(values)
    slope = (mean(guide * values) - guide_mean * values_mean) / (mean(guide * guide) - guide_mean**2 + epsilon)
    return np.asarray(mean(slope) * guide + mean(values_mean - slope * guide_mean), np.float32)
