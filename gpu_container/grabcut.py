"""GrabCut (Rother, Kolmogorov, Blake 2004) from several seeds, and how far they agree."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Floats = NDArray[np.float32]

#: width of the border ring, share of the shorter side
_RING = 0.03
#: (certain background along the border, share of the side; quantile of saliency from which on it may be object)
_SEEDS = ((0.04, 0.80), (0.08, 0.70), (0.12, 0.60))
#: certain background of the seed that knows no saliency
_PLAIN_INSET = 0.08
#: OpenCV draws its clusters' first centres at random: the same seed before each draw makes results repeatable
_SEED = 7


def border_ring(shape: tuple[int, ...]) -> Mask:
    """The outermost pixels, ``_RING`` of the shorter side wide."""
    width = max(2, round(_RING * min(shape[:2])))
    ring = np.ones(shape[:2], np.bool_)
    ring[width:-width, width:-width] = False
    return ring


def refine(rgb: NDArray[np.uint8], labels: NDArray[np.uint8], rounds: int) -> Mask:
    """GrabCut's object mask ``(h, w)`` from first ``labels`` ``(h, w)`` (``cv2.GC_*``, overwritten)."""
    if not ((labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)).any():
        return np.zeros(labels.shape, np.bool_)
    cv2.setRNGSeed(_SEED)
    cv2.grabCut(
        np.ascontiguousarray(rgb[..., ::-1]),
        labels,
        (0, 0, 1, 1),
        np.zeros((1, 65)),
        np.zeros((1, 65)),
        rounds,
        cv2.GC_INIT_WITH_MASK,
    )
    return np.asarray((labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD))


def object_mask(rgb: NDArray[np.uint8], lab: Floats) -> tuple[Mask, float]:
    """The most salient object ``(h, w)``, and how far segmentations from different seeds agree on it (0..1).

    Three seeds of saliency vote on the object; a fourth, which knows nothing but that the object is not at the
    border, has to find the same. The lower of both agreements (mean IoU) is returned.
    """
    saliency, prior = _saliency(lab)
    votes = [_segment(rgb, saliency, prior, inset, quantile) for inset, quantile in _SEEDS]
    voted = np.asarray(np.sum(votes, axis=0) >= 2)
    among_votes = float(np.mean([_overlap(votes[i], votes[j]) for i in range(3) for j in range(i)]))
    labels = np.full(voted.shape, cv2.GC_BGD, np.uint8)
    inset = max(1, round(_PLAIN_INSET * min(voted.shape)))
    labels[inset:-inset, inset:-inset] = cv2.GC_PR_FGD
    return voted, min(among_votes, _overlap(refine(rgb, labels, rounds=3), voted))


def _saliency(lab: Floats) -> tuple[Floats, Floats]:
    """How unlike the border's main colours each pixel is, weighted towards the middle; and that weight."""
    ring = lab[border_ring(lab.shape)]
    cv2.setRNGSeed(_SEED)
    criteria = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 12, 0.5)
    nearest = np.zeros((len(ring), 1), np.int32)
    _, _, centres = cv2.kmeans(ring, 6, nearest, criteria, 1, cv2.KMEANS_PP_CENTERS)
    distance = np.linalg.norm(lab[:, :, None] - centres, axis=-1).min(axis=-1).astype(np.float32)
    distance = cv2.GaussianBlur(distance, (0, 0), 2)
    height, width = lab.shape[:2]
    y, x = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    prior = np.exp(-((x / 0.62) ** 2 + (y / 0.72) ** 2)).astype(np.float32)
    return np.asarray(distance * prior, np.float32), prior


def _segment(
    rgb: NDArray[np.uint8],
    saliency: Floats,
    prior: Floats,
    inset: float,
    quantile: float,
) -> Mask:
    labels = np.full(saliency.shape, cv2.GC_PR_BGD, np.uint8)
    labels[saliency > np.quantile(saliency, quantile)] = cv2.GC_PR_FGD
    labels[saliency > np.quantile(saliency, 0.97)] = cv2.GC_FGD
    width = max(1, round(inset * min(saliency.shape)))
    labels[:width] = labels[:, :width] = labels[:, -width:] = cv2.GC_BGD
    labels[-max(1, width // 2) :] = cv2.GC_BGD
    found = refine(rgb, labels, rounds=3).astype(np.uint8)
    mask = np.asarray(cv2.morphologyEx(found, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)), np.uint8)
    count, parts = cv2.connectedComponents(mask)
    if count == 1:
        return mask > 0
    best = 1 + int(np.argmax([prior[parts == part].sum() for part in range(1, count)]))
    return np.asarray(
        cv2.morphologyEx((parts == best).astype(np.uint8), cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8)) > 0
    )


def _overlap(first: Mask, second: Mask) -> float:
    """Intersection over union."""
    return float((first & second).sum() / max(1, (first | second).sum()))
