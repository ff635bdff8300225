"""The object before a plain backdrop: a smooth colour model of the picture's border, and what departs from it.

The backdrop is one surface, or two (a wall and the table before it) that meet in a straight line.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from gpu_container.grabcut import Floats, Mask, border_ring, refine

#: width of the border ring, share of the shorter side
_RING = 0.03
#: a border pixel within this CIELAB distance of the model is backdrop
_INLIER_DISTANCE = 7.0
#: two surfaces are assumed where they explain so much more of the border than one
_GAIN_OF_TWO = 0.03
#: half the width of the blurred line between two surfaces, pixels
_SEAM = 4
#: lightness counts less than colour: shadows are dark, not coloured
_WEIGHTS = np.array([0.6, 1.2, 1.2], np.float32)
#: a cast shadow is at most so much darker than what it falls on, CIELAB
_DARKEST_SHADOW = 50.0
#: widths of discs, pixels: the wider, the larger the gaps in an outline that are closed
_DISCS = (5, 11, 19)
#: what counts as an edge, in multiples of the backdrop's own steepest texture
_EDGE_FACTORS = (0.5, 0.75, 1.0, 1.75, 3.0)
#: in multiples of that texture, how steep the edge of a cast shadow may be
_SHADOW_STEEPNESS = 1.75
#: outlines whose evidence differs by less are about as good
_ABOUT_AS_GOOD = 0.025
#: an enclosed piece is backdrop where at least this share of it ...
_LEAST_ALIKE = 0.3
#: ... is so close to the model (1 is the threshold of being unlike it)
_JUST_LIKE = 0.2


@dataclass(frozen=True)
class Backdrop:
    """What the empty backdrop would look like, fitted to the picture's border."""

    lab: Floats  # (h, w, 3) CIELAB
    noise: Floats  # (h, w) usual weighted distance of a backdrop pixel from ``lab``
    edge: Floats  # (h, w) slope from which on something is an edge and not the backdrop's own texture
    ring: Mask  # (h, w) the border pixels it was fitted to
    inliers: float  # share of them that it explains


def fit_backdrop(lab: Floats) -> Backdrop:
    """The backdrop of ``lab`` ``(h, w, 3)``: one surface, or two where they explain the border better."""
    ring = border_ring(lab.shape)
    one = _fit_surfaces(lab, ring, np.zeros(lab.shape[:2], np.float32))
    if one.inliers > 1 - _GAIN_OF_TWO:
        return one
    below = _signed_rows_below_seam(lab)
    if below is None:
        return one
    two = _fit_surfaces(lab, ring, below)
    return two if two.inliers > one.inliers + _GAIN_OF_TWO else one


def _fit_surfaces(lab: Floats, ring: Mask, below: Floats) -> Backdrop:
    """One surface where ``below`` is zero everywhere, else one above and one below its zero line."""
    slope = color_slope(lab)
    halves = [below <= 0] if not below.any() else [below <= 0, below > 0]
    models = [_fit_quadratic(lab, ring & half) for half in halves]
    model = np.where(halves[0][..., None], models[0], models[-1])
    if len(models) == 2:
        model = np.where((np.abs(below) <= _SEAM)[..., None], _nearest_mixture(lab, *models), model)
    noise, edge = np.zeros_like(below), np.zeros_like(below)
    distance = weighted_distance(lab, model)
    for half in halves:
        noise[half] = np.percentile(distance[ring & half], 75)
        edge[half] = np.clip(1.5 * np.percentile(slope[ring & half], 90), 2.0, 8.0)
    explained = np.linalg.norm((lab - model)[ring], axis=1) < _INLIER_DISTANCE
    return Backdrop(model, noise, edge, ring, float(explained.mean()))


def _fit_quadratic(lab: Floats, chosen: Mask) -> Floats:
    """A quadratic of position ``(h, w, 3)``, per CIELAB channel, through the ``chosen`` pixels.

    Trimmed least squares: an object that runs into the border is left out after a few rounds.
    """
    height, width = chosen.shape
    y, x = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    basis = np.stack([np.ones_like(x), x, y, x * x, y * y, x * y], axis=-1).astype(np.float32)
    terms, targets = basis[chosen], lab[chosen]
    kept = np.ones(len(terms), np.bool_)
    coefficients = np.zeros((6, 3), np.float32)
    for _ in range(6):
        coefficients = np.linalg.lstsq(terms[kept], targets[kept], rcond=None)[0].astype(np.float32)
        distance = np.linalg.norm(terms @ coefficients - targets, axis=1)
        kept = distance < max(2.0, 2.5 * 1.4826 * float(np.median(distance)))
        if kept.sum() < 50:
            break
    return np.asarray(basis @ coefficients, np.float32)


def _signed_rows_below_seam(lab: Floats) -> Floats | None:
    """How many rows each pixel ``(h, w)`` lies below the line where wall and table meet, or None."""
    height, width = lab.shape[:2]
    strip = max(2, round(_RING * min(height, width)))
    left = _best_step(lab[:, :strip].mean(axis=1))
    right = _best_step(lab[:, -strip:].mean(axis=1))
    if left is None or right is None:
        return None
    line = np.linspace(left, right, width, dtype=np.float32)
    return np.asarray(np.arange(height, dtype=np.float32)[:, None] - line + 0.01, np.float32)


def _best_step(profile: Floats) -> int | None:
    """The row at which ``profile`` ``(h, 3)`` is best split into two straight lines, or None without a step."""
    rows = np.arange(len(profile), dtype=np.float32)

    def straight(part: slice) -> tuple[float, Floats]:
        line = np.polynomial.polynomial.polyfit(rows[part], profile[part], 1)
        fitted = np.polynomial.polynomial.polyval(rows[part], line).T
        return float(((fitted - profile[part]) ** 2).sum()), fitted

    margin = max(6, len(profile) // 12)
    candidates = range(margin, len(profile) - margin, 3)
    costs = [straight(slice(0, at))[0] + straight(slice(at, None))[0] for at in candidates]
    if not costs:
        return None
    at = candidates[int(np.argmin(costs))]
    jump = np.linalg.norm(straight(slice(0, at))[1][-1] - straight(slice(at, None))[1][0])
    return at if jump > _INLIER_DISTANCE else None


def _nearest_mixture(lab: Floats, first: Floats, second: Floats) -> Floats:
    """Per pixel, the mixture of two colours that is nearest to ``lab``: a seam is blurred."""
    way = second - first
    share = ((lab - first) * way).sum(axis=-1) / np.maximum((way * way).sum(axis=-1), 1e-6)
    return np.asarray(first + np.clip(share, 0, 1)[..., None] * way, np.float32)


def weighted_distance(lab: Floats, model: Floats) -> Floats:
    """CIELAB distance in which lightness counts half as much as colour."""
    return np.asarray(np.linalg.norm((lab - model) * _WEIGHTS, axis=-1), np.float32)


def color_slope(lab: Floats) -> Floats:
    """Steepest change of colour within a pixel's neighbourhood ``(h, w)``, CIELAB units per pixel."""
    across = cv2.Sobel(lab, cv2.CV_32F, 1, 0, ksize=3) / 8
    down = cv2.Sobel(lab, cv2.CV_32F, 0, 1, ksize=3) / 8
    return np.asarray(np.sqrt((across**2 + down**2).sum(axis=-1)), np.float32)


def object_mask(rgb: NDArray[np.uint8], lab: Floats, backdrop: Backdrop) -> tuple[Mask, float]:
    """What stands before the backdrop ``(h, w)``, without its shadow, and the evidence for its outline (0..1).

    An object is told from its shadow by colour or by edges, and edges may be faint or have gaps. No one way
    suits all pictures: several outlines are drawn, and edges are the judge of them.
    """
    distance = weighted_distance(lab, backdrop.lab)
    slope = color_slope(lab)
    high = np.clip(3 * backdrop.noise + 7, 9, 18)
    unlike = _hysteresis(distance, 0.5 * high, high)
    if backdrop.noise.max() < 2:
        unlike |= _faint_regions(distance, 4 * backdrop.noise + 1)
    shadow = unlike & _may_be_shadow(lab, backdrop)
    likeness = distance / high

    steepness = slope / backdrop.edge
    masks = [_told_by_color(rgb, backdrop, unlike, shadow, likeness, slope)]
    masks += [
        _told_by_edges(lab, backdrop.ring, unlike, shadow, likeness, steepness / factor, disc)
        for disc in _DISCS
        for factor in _EDGE_FACTORS
    ]
    outlines = [_trimmed(mask, unlike) for mask in masks]
    evidence = [_evidence(mask, steepness, unlike, shadow) for mask in outlines]
    # a shadow's own edge is an edge too: of outlines that are about as good, the tightest leaves it out
    good = [index for index, value in enumerate(evidence) if value >= max(evidence) - _ABOUT_AS_GOOD]
    best = min(good, key=lambda index: int(outlines[index].sum()))
    return outlines[best], evidence[best]


def _told_by_edges(
    lab: Floats, ring: Mask, unlike: Mask, shadow: Mask, likeness: Floats, steepness: Floats, disc: int
) -> Mask:
    """Background is where a disc can roll in from the border over backdrop or shadow without crossing an edge.

    From there and from what is surely object, watersheds (Meyer 1992) meet at the steepest line between.
    """
    ground = ~unlike | shadow
    open_backdrop = _rolled(ground & (steepness < 1), ring, disc)
    enclosed = ground & (steepness < 1) & ~_grown(open_backdrop, 3)
    background = open_backdrop | _pockets(enclosed, likeness)
    certain = (unlike & ~shadow & (likeness > 1) & ~background) | ~_grown(background, 9)
    return _watershed(lab, background, certain)


def _told_by_color(
    rgb: NDArray[np.uint8], backdrop: Backdrop, unlike: Mask, shadow: Mask, likeness: Floats, slope: Floats
) -> Mask:
    """GrabCut decides, smooth shadow that is joined to the open backdrop starting as background."""
    smooth = _grown_values(slope) < backdrop.edge
    _, labels = cv2.connectedComponents(((shadow & smooth) | ~unlike).astype(np.uint8), connectivity=4)
    entered = np.unique(labels[backdrop.ring])
    cast = shadow & smooth & np.isin(labels, entered[entered > 0])
    mask = unlike
    core = cv2.erode((unlike & ~_grown(cast, 3)).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    if cast.sum() > 0.01 * unlike.sum() and core.sum() > 20:
        trimap = np.where(~unlike, cv2.GC_BGD, np.where(cast, cv2.GC_PR_BGD, cv2.GC_PR_FGD)).astype(np.uint8)
        trimap[core] = cv2.GC_FGD
        mask = refine(rgb, trimap, rounds=3)
    holes = ~mask & ~_reachable(~mask, backdrop.ring)
    return np.asarray(mask | (holes & ~_pockets(holes, likeness)))


def _reachable(candidate: Mask, ring: Mask) -> Mask:
    """The candidate pixels that are joined to the border."""
    _, labels = cv2.connectedComponents(candidate.astype(np.uint8), connectivity=4)
    entered = np.unique(labels[ring])
    return np.asarray(np.isin(labels, entered[entered > 0]))


def _trimmed(mask: Mask, unlike: Mask) -> Mask:
    """``mask`` without the rim pixels that look like backdrop, and without hairlines."""
    rim = mask & (cv2.erode(mask.astype(np.uint8), np.ones((7, 7), np.uint8)) == 0)
    return np.asarray(mask & ~(rim & ~unlike))


def _evidence(mask: Mask, steepness: Floats, unlike: Mask, shadow: Mask) -> float:
    """Harmonic mean of two shares: of the outline that lies on edges, and of the edges that lie in the mask."""
    if not mask.any():
        return 0.0
    steep = _grown_values(steepness) > 1
    inner = cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    on_edges = float(steep[mask & ~inner].mean())
    edges = unlike & (steepness > np.where(shadow, _SHADOW_STEEPNESS, 1))
    covered = float((edges & _grown(mask, 5)).sum() / max(1, edges.sum()))
    return 2 * on_edges * covered / max(1e-6, on_edges + covered)


def _grown_values(values: Floats) -> Floats:
    return np.asarray(cv2.dilate(values, np.ones((3, 3), np.uint8)), np.float32)


def _hysteresis(distance: Floats, low: Floats, high: Floats) -> Mask:
    """Regions above ``low`` that somewhere reach ``high`` (Canny 1986)."""
    count, labels = cv2.connectedComponents((distance > low).astype(np.uint8))
    strong = np.zeros(count, np.bool_)
    strong[np.unique(labels[distance > high])] = True
    strong[0] = False
    return np.asarray(strong[labels], np.bool_)


def _faint_regions(distance: Floats, threshold: Floats) -> Mask:
    """Large faint regions, such as a white object before white; the opening leaves thin halos out."""
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (11, 11))
    opened = cv2.morphologyEx((distance > np.maximum(threshold, 1.6)).astype(np.uint8), cv2.MORPH_OPEN, disc)
    return np.asarray(cv2.erode(opened, np.ones((3, 3), np.uint8)) > 0)


def _may_be_shadow(lab: Floats, backdrop: Backdrop) -> Mask:
    """Darker than the backdrop and of its colour.

    Less light of the same colour scales XYZ, and with it a, b and L + 16 of CIELAB, by one factor.
    """
    darker = backdrop.lab[..., 0] - lab[..., 0]
    dimming = (lab[..., :1] + 16) / (backdrop.lab[..., :1] + 16)
    tint = np.linalg.norm(lab[..., 1:] - dimming * backdrop.lab[..., 1:], axis=-1)
    return np.asarray((darker > 0) & (darker < _DARKEST_SHADOW) & (tint < 5 + 1.5 * backdrop.noise))


def _rolled(free: Mask, ring: Mask, disc: int) -> Mask:
    """Where a disc ``disc`` pixels wide can roll in from the border over ``free`` pixels."""
    shape = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (disc, disc))
    centres = _reachable(cv2.erode(free.astype(np.uint8), shape) > 0, ring)
    return np.asarray((cv2.dilate(centres.astype(np.uint8), shape) > 0) & free)


def _pockets(candidate: Mask, likeness: Floats) -> Mask:
    """Enclosed pieces of backdrop, as between the legs of a chair: a good part of each is like the border."""
    count, labels, statistics, _ = cv2.connectedComponentsWithStats(candidate.astype(np.uint8), connectivity=4)
    alike = np.bincount(labels[likeness < _JUST_LIKE], minlength=count)
    areas = statistics[:, cv2.CC_STAT_AREA]
    chosen = (alike > _LEAST_ALIKE * areas) & (areas >= 12)
    chosen[0] = False
    return np.asarray(chosen[labels])


def _grown(mask: Mask, size: int) -> Mask:
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    return np.asarray(cv2.dilate(mask.astype(np.uint8), disc) > 0)


def _watershed(lab: Floats, background: Mask, certain: Mask) -> Mask:
    """Every pixel to the background's or the object's basin; the line between goes to the object."""
    markers = np.zeros(background.shape, np.int32)
    markers[background], markers[certain] = 1, 2
    relief = np.clip(lab * np.array([2.55, 1, 1], np.float32) + np.array([0, 128, 128], np.float32), 0, 255)
    cv2.watershed(np.ascontiguousarray(relief.astype(np.uint8)), markers)
    # OpenCV writes -1 on the picture's rim too: there the neighbours decide
    markers[0], markers[-1], markers[:, 0], markers[:, -1] = (
        markers[1],
        markers[-2],
        markers[:, 1],
        markers[:, -2],
    )
    return np.asarray(markers != 1)
