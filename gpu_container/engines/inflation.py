"""From an outline to a thickness: how far the object reaches before and behind the picture plane.

Thickness maps hold ``q``, the signed square of the half thickness: a ball of radius R seen from the front has
``q = R² - r²``, positive inside its outline and negative outside. Lengths here are pixels of the canvas.

- Puffball: Twarog, Tappen, Adelson, "Playing with Puffball: simple scale-invariant inflation for use in vision
  and graphics", SAP 2012.
- Its maximum over discs as a separable transform: Felzenszwalb, Huttenlocher, "Distance transforms of sampled
  functions", Theory of Computing 2012.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.morphology import skeletonize

from gpu_container.engines.laplace import diffuse
from gpu_container.engines.silhouette import OBJECT, Map, Silhouette, far_from, signed_distance

#: legs and handles are no thinner than this, as a share of the longest side
THINNEST = 0.0085
#: the shapes are smoothed by this much, pixels
SMOOTHING = 1.2
#: the finest map has this many pixels for each of the canvas's
REFINEMENT = 2


def puffball(radius: Map) -> Map:
    """The union of balls of ``radius`` centred on each pixel: ``q(x) = max_c radius(c)² - |x - c|²``, exact.

    Pixels with ``radius <= 0`` carry no ball; where no ball reaches, ``q`` is negative.
    """
    height, width = radius.shape
    squared = np.where(radius > 0, radius * radius, np.float32(-1e6)).astype(np.float32)
    down, across = np.empty_like(squared), np.empty_like(squared)
    for row in range(height):
        offset = (np.arange(height, dtype=np.float32) - row) ** 2
        down[row] = (squared - offset[:, None]).max(0)
    for column in range(width):
        offset = (np.arange(width, dtype=np.float32) - column) ** 2
        across[:, column] = (down - offset).max(1)
    return across


def soap_film(inside: NDArray[np.bool_]) -> Map:
    """``q`` with ``Laplace q = -4`` and 0 on the outline: exact for balls, smooth; solved at half size."""
    height, width = inside.shape
    small = cv2.resize(inside.astype(np.float32), (width // 2, height // 2), interpolation=cv2.INTER_AREA) > 0.5
    film = diffuse(small, np.zeros((*small.shape, 1), np.float32), source=4.0)[..., 0]
    return np.asarray(4 * cv2.resize(film, (width, height), interpolation=cv2.INTER_CUBIC), dtype=np.float32)


def thin_balls(inside: NDArray[np.bool_], distance: Map) -> Map:
    """Radii for the skeleton of the parts that are thinner than ``THINNEST``; 0 elsewhere."""
    least = THINNEST * OBJECT
    skeleton = skeletonize(inside) & (distance < least)  # type: ignore[no-untyped-call]
    return np.where(skeleton, np.float32(least), np.float32(0))


def inflate(inside: NDArray[np.bool_]) -> tuple[Map, Map]:
    """Thickness of a free form, and the signed distance of its outline (widened where it was too thin).

    The mean of puffball, which keeps thin parts and creases at concave corners, and the soap film, which
    rounds them; puffball alone on thin parts.
    """
    distance = signed_distance(inside)
    thin = thin_balls(inside, distance)
    balls = puffball(np.maximum(distance, thin))
    reach = cv2.GaussianBlur(np.sqrt(np.maximum(balls, 0)), (0, 0), 2.0)
    film_share = 0.5 * np.clip(reach / (3 * THINNEST * OBJECT) - 0.5, 0, 1)
    q = balls * (1 - film_share) + np.maximum(soap_film(inside), 0) * film_share
    if thin.any():
        distance = np.maximum(distance, thin.max() - far_from(thin > 0))
    return np.where(distance > 0, np.maximum(q, 0.3 * distance), 0).astype(np.float32), distance


def refine(q: Map, distance: Map, silhouette: Silhouette, smoothed: bool = True) -> Map:
    """The final thickness: at ``REFINEMENT`` times the size, and exactly as wide as the outline.

    Args:
        q: thickness of the continued outline, 0 outside.
        distance: its signed distance, pixels; wider than the outline where that was too thin.
        smoothed: False keeps edges sharp, and faces flat up to them.

    Returns:
        ``(2n, 2n)``, still in (canvas pixels)². Outside it falls steeply, so that no haze surrounds the object.
    """
    extended = np.where(distance > 0, q, 4 * np.minimum(distance, -0.5)).astype(np.float32)
    thick = np.clip(np.sqrt(np.maximum(q, 0)) / (0.02 * OBJECT) - 0.4, 0, 1)
    weight = cv2.GaussianBlur(np.where(distance > 0, thick, 1).astype(np.float32), (0, 0), 1.0)
    softer = cv2.GaussianBlur(extended, (0, 0), SMOOTHING) * weight
    crisper = cv2.GaussianBlur(extended, (0, 0), SMOOTHING / 2) * (1 - weight)
    smooth = enlarge(np.asarray(softer + crisper, np.float32) if smoothed else q)

    edge = np.minimum(fine_distance(silhouette.alpha, distance, silhouette), inside_flat_sides(silhouette))
    rim = np.clip(edge / SMOOTHING, 0, 1)
    outside = edge * (0.08 * OBJECT - edge)
    return np.where(edge > 0, np.maximum(smooth, 0.3 * edge) * rim, np.minimum(outside, 0)).astype(np.float32)


def fine_distance(alpha: Map, distance: Map, silhouette: Silhouette) -> Map:
    """Signed distance of an outline on the refined map ``(2n, 2n)``, canvas pixels, positive inside.

    Args:
        alpha: the outline, ``(n, n)``.
        distance: as in :func:`refine`; where it says that the outline was too thin, it holds.
    """
    edge = signed_distance(enlarge(alpha) > 0.5) / REFINEMENT
    widened = distance - signed_distance(silhouette.continued > 0.5) > 0.1
    edge = np.where(enlarge(widened.astype(np.float32)) > 0.1, np.maximum(edge, enlarge(distance)), edge)
    return np.asarray(cv2.GaussianBlur(edge, (0, 0), 0.7), dtype=np.float32)


def inside_flat_sides(silhouette: Silhouette) -> Map:
    """Distance to the nearest side where the object is cut flat, canvas pixels, on the refined map."""
    size = len(silhouette.alpha)
    middle = (np.arange(REFINEMENT * size, dtype=np.float32) + 0.5) / REFINEMENT
    top, bottom, left, right = silhouette.box
    limits = {
        "top": (middle - top)[:, None],
        "bottom": (bottom - silhouette.lifted - middle)[:, None],
        "left": (middle - left)[None],
        "right": (right - middle)[None],
    }
    nearest = np.full((REFINEMENT * size, REFINEMENT * size), np.inf, np.float32)
    for side in silhouette.flat:
        nearest = np.minimum(nearest, limits[side])
    return nearest


def enlarge(values: Map) -> Map:
    """``REFINEMENT`` times the size, cubic."""
    size = (values.shape[1] * REFINEMENT, values.shape[0] * REFINEMENT)
    return np.asarray(cv2.resize(values, size, interpolation=cv2.INTER_CUBIC), dtype=np.float32)
