"""The photo itself on the surface: what the camera saw is sharper than what any Field remembers of it.

Every texel that the camera saw takes the photo's colour, in so far as the surface faced the camera and lies
clear of outlines, where the photo shows the backdrop or something nearer. The rest keeps the Field's colours;
so that no border shows between the two, those are shifted near it by what the two differ in broadly.

Blending broad and fine differences over different widths: Burt & Adelson, "A multiresolution spline with
application to image mosaics", 1983.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from gpu_container.compiled import compiled
from gpu_container.field import RADIUS
from gpu_container.mesh import Mesh

#: side of the pictures in which is worked out what the camera sees, pixels
DEPTH_SIZE = 512
#: near outlines it does not count where it is this far, to begin with and for certain, from the Field's colours
STRANGE = (0.10, 0.22)
#: which is judged in a picture of this side, pixels
STRANGE_SIZE = 128
#: no longer near outlines: shares of the frame's side again
FAR_FROM_OUTLINES = (0.015, 0.05)
#: broad differences are gathered in so many cells along each side of the cube
BROAD_SIDE = 32
#: and reach so far, as the width of a Gaussian, cells
BROAD = 3.0
#: they are passed on, from nothing to in full, where this share of the surface around shows the photo
BROAD_SHARE = (0.05, 0.5)
#: the depth of nothing
NOWHERE = 1e6
#: what lies this much further away than the nearest surface is hidden, world units
HIDDEN = 0.02 * RADIUS
#: the photo counts from the first to, fully, the second of these cosines between normal and line of sight
FACING = (0.1, 0.4)
#: and from the first to the second of these distances from an outline, as shares of the frame's side
CLEAR = (0.002, 0.012)


@dataclass(frozen=True)
class View:
    """A framed photo and where it was taken."""

    rgb: NDArray[np.float32]  # (s, s, 3) sRGB 0..1, the object's colours continued beyond its outline
    alpha: NDArray[np.float32]  # (s, s) 0..1
    #: points (n, 3) of the world -> (n, 3): right and up in the frame, -1..1, and depth, world units
    project: Callable[[NDArray[np.float32]], NDArray[np.float32]]
    #: (3,) where the camera stood
    position: NDArray[np.float64]


def painted(
    view: View,
    mesh: Mesh,
    points: NDArray[np.float32],
    normals: NDArray[np.float32],
    colors: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Colours ``(n, 3)``, sRGB, of ``points`` ``(n, 3)`` with unit ``normals``: the photo's where it can be.

    Args:
        mesh: the surface on which the points lie: what hides what.
        colors: the Field's, 0..1; so far, and elsewhere.
    """
    depths, clear = outlook(view, mesh)
    seen = view.project(points)
    at = frame_places(seen, DEPTH_SIZE)
    sight = view.position.astype(np.float32) - points
    sight /= np.linalg.norm(sight, axis=1, keepdims=True)
    facing = np.einsum("nc,nc->n", sight, normals)
    visible = seen[:, 2] < sampled(depths, at, cv2.INTER_NEAREST) + HIDDEN
    clearance = sampled(clear, at)
    fine = visible * smoothstep(facing, *FACING) * smoothstep(clearance, *CLEAR)

    difference = sampled(view.rgb, frame_places(seen, len(view.rgb))) - colors
    shift = broad_differences(points, difference, fine)
    strange = disagreement(seen, difference - shift, fine)
    fine *= np.maximum(1 - smoothstep(strange, *STRANGE), smoothstep(clearance, *FAR_FROM_OUTLINES))
    shift = broad_differences(points, difference, fine)
    return np.asarray(colors + shift + (difference - shift) * fine[:, None], np.float32)


def outlook(view: View, mesh: Mesh) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What the camera sees, pictures ``(s, s)``.

    Depths, ``NOWHERE`` beside the object; and each pixel's distance from an outline, as a share of the side.
    """
    corners = view.project(mesh.vertices)
    depths = np.full((DEPTH_SIZE, DEPTH_SIZE), NOWHERE, np.float32)
    nothing = np.empty((len(corners), 0), np.float32), np.empty((*depths.shape, 0), np.float32)
    places = frame_places(corners, DEPTH_SIZE)
    draw(places, corners[:, 2].copy(), mesh.faces, nothing[0], depths, nothing[1])
    opaque = cv2.resize(view.alpha, depths.shape, interpolation=cv2.INTER_AREA) > 0.5
    inside = (depths < NOWHERE) & opaque
    nearest, furthest = (
        extreme(np.where(inside, depths, 0), np.ones((3, 3), np.uint8)) for extreme in (cv2.erode, cv2.dilate)
    )
    inside &= furthest - nearest < 2 * HIDDEN
    away = cv2.distanceTransform(np.pad(inside, 1).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return depths, (away[1:-1, 1:-1] / DEPTH_SIZE).astype(np.float32)


def disagreement(
    seen: NDArray[np.float32], difference: NDArray[np.float32], weights: NDArray[np.float32]
) -> NDArray[np.float32]:
    """How far photo and Field are apart around each point, details aside: ``(n,)``, a root mean square.

    Where the surface's outline is not quite the photo's, a leg is shown the colours of the seat beside it.
    """
    column, row = np.clip(np.round(frame_places(seen, STRANGE_SIZE)), 0, STRANGE_SIZE - 1).astype(np.int64).T
    number = row * STRANGE_SIZE + column
    summed = [
        np.bincount(number, each, STRANGE_SIZE**2) for each in (*(difference * weights[:, None]).T, weights)
    ]
    picture = np.stack(summed, axis=-1).reshape(STRANGE_SIZE, STRANGE_SIZE, 4).astype(np.float32)
    blurred = cv2.GaussianBlur(picture, (0, 0), 1.0)
    mean = blurred[..., :3] / np.maximum(blurred[..., 3:], 1e-6)
    apart = np.sqrt(np.square(mean).mean(axis=-1))
    return sampled(apart.astype(np.float32), frame_places(seen, STRANGE_SIZE))


def broad_differences(
    points: NDArray[np.float32], difference: NDArray[np.float32], weights: NDArray[np.float32]
) -> NDArray[np.float32]:
    """The differences ``(n, 3)`` at ``points`` ``(n, 3)``, blurred in space; 0 where nothing near counts."""
    cell = np.clip(np.round((points / RADIUS + 1) * ((BROAD_SIDE - 1) / 2)), 0, BROAD_SIDE - 1).astype(np.int64)
    number = (cell[:, 2] * BROAD_SIDE + cell[:, 1]) * BROAD_SIDE + cell[:, 0]  # x along the width
    summed = np.stack(
        [
            np.bincount(number, each, BROAD_SIDE**3).reshape((BROAD_SIDE,) * 3)
            for each in (*(difference * weights[:, None]).T, weights, np.ones_like(weights))
        ]
    )
    blurred = ndimage.gaussian_filter(summed, BROAD, axes=(1, 2, 3), mode="constant", truncate=3.0)
    total, everything = np.maximum(blurred[3], 1e-6), np.maximum(blurred[4], 1e-6)
    faded = blurred[:3] / total * smoothstep(blurred[3] / everything, *BROAD_SHARE)
    spread = torch.nn.functional.grid_sample(
        torch.from_numpy(faded.astype(np.float32))[None],
        torch.from_numpy(points / np.float32(RADIUS))[None, None, None],
        padding_mode="border",
        align_corners=True,
    )
    return np.asarray(spread[0, :, 0, 0].T.numpy())


def smoothstep(values: NDArray[np.floating[Any]], low: float, high: float) -> NDArray[np.float32]:
    """0 below ``low``, 1 above ``high``, smooth in between."""
    share = np.clip((values - low) / (high - low), 0, 1)
    return np.asarray(share * share * (3 - 2 * share), np.float32)


def frame_places(seen: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """Right and up in -1..1 as column and row ``(n, 2)`` of a picture; pixel centres are whole numbers."""
    return np.asarray((seen[:, :2] * np.array([1, -1], np.float32) + 1) * (size / 2) - 0.5, np.float32)


def sampled(
    picture: NDArray[np.float32], places: NDArray[np.float32], filtering: int = cv2.INTER_LINEAR
) -> NDArray[np.float32]:
    """``picture`` ``(s, s)`` or ``(s, s, c)`` at columns and rows ``(n, 2)``; its edge goes on for ever."""
    strips = [  # OpenCV's pictures have fewer than 2^15 rows
        cv2.remap(picture, part[:, :1], part[:, 1:], filtering, borderMode=cv2.BORDER_REPLICATE)
        for part in np.split(places, range(1 << 14, len(places), 1 << 14))
    ]
    return np.asarray(np.concatenate(strips)[:, 0])


@compiled
def draw(
    places: NDArray[np.float32],
    depths: NDArray[np.float32],
    faces: NDArray[np.int32],
    values: NDArray[np.float32],
    nearest: NDArray[np.float32],
    picture: NDArray[np.float32],
) -> None:
    """The nearest of the faces at each pixel's centre, of those that face the camera.

    Args:
        places: columns and rows ``(n, 2)`` of the vertices; depths: ``(n,)``; values: ``(n, c)``.
        faces: ``(m, 3)``.
        nearest: depths ``(s, s)``; only what is nearer is drawn.
        picture: out, values ``(s, s, c)``.
    """
    size = nearest.shape[0]
    for face in range(faces.shape[0]):
        a, b, c = faces[face, 0], faces[face, 1], faces[face, 2]
        ax, ay, bx, by = places[a, 0], places[a, 1], places[b, 0], places[b, 1]
        cx, cy = places[c, 0], places[c, 1]
        area = (bx - ax) * (cy - ay) - (cx - ax) * (by - ay)
        if area >= 0:  # rows run down, so that what faces the camera turns the other way round
            continue
        first_row, last_row = (
            max(int(np.ceil(min(ay, by, cy))), 0),
            min(int(np.floor(max(ay, by, cy))), size - 1),
        )
        first_column = max(int(np.ceil(min(ax, bx, cx))), 0)
        last_column = min(int(np.floor(max(ax, bx, cx))), size - 1)
        for row in range(first_row, last_row + 1):
            for column in range(first_column, last_column + 1):
                wb = ((column - ax) * (cy - ay) - (cx - ax) * (row - ay)) / area
                wc = ((bx - ax) * (row - ay) - (column - ax) * (by - ay)) / area
                wa = 1 - wb - wc
                depth = depths[a] * wa + depths[b] * wb + depths[c] * wc
                if wa >= 0 and wb >= 0 and wc >= 0 and depth < nearest[row, column]:
                    nearest[row, column] = depth
                    for channel in range(values.shape[1]):
                        picture[row, column, channel] = (
                            values[a, channel] * wa + values[b, channel] * wb + values[c, channel] * wc
                        )
