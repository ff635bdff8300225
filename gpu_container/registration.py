"""From where was the photo taken? The camera that sees a Field's surface as the photo shows the object.

A learned engine does not say how it has turned the object. Its surface, in the Field's colours, is drawn from
many sides at a small size; the best ones are moved and zoomed until outline and colours fit the photo's. A
photo that shows something else fits from nowhere, and is refused.

Reference: Lensch et al., "A silhouette-based algorithm for texture registration and stitching", 2001; the
simplex search is Nelder & Mead's (1965).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize

from gpu_container.camera import Camera, camera_at
from gpu_container.field import RADIUS
from gpu_container.mesh import Mesh, decimate
from gpu_container.projection import NOWHERE, draw, frame_places

#: where the search begins: degrees, degrees, and world units from the origin
AZIMUTHS = tuple(range(-40, 41, 10))
ELEVATIONS = tuple(range(-30, 51, 10))
DISTANCES = (1.5, 1.9, 2.7)
#: sides of the pictures that are compared, pixels: for the first look, for the best ones, for the very best
SIZES = (48, 96, 192)
#: how many go on to the second size, and how often each is moved there and at the third
CANDIDATES, MOVES = 3, (90, 160)
#: faces that are drawn: outlines of small pictures need no more
FACES = 3000
#: decimation is tuned to lengths of about one: samples of the default grid
SPACING = 2 * RADIUS / 255
#: what differs in colour counts so much more than what differs in outline
COLOR_WEIGHT = 2.0
#: first steps of the search: degrees, degrees, and shares of distance, width and width
STEPS = (5.0, 5.0, 0.12, 0.03, 0.02, 0.02)
#: a fit is good from this overlap of outlines on (intersection over union)
LEAST_OVERLAP = 0.88
#: and up to this mean difference of colours, once the two pictures' tones are the same
MOST_DIFFERENCE = 0.10


@dataclass(frozen=True)
class Pose:
    """A camera that looks at the origin, and what part of its picture the frame is."""

    azimuth: float  # degrees from +x towards +y
    elevation: float  # degrees up
    distance: float  # world units from the origin
    half: float  # half the frame's side at depth 1
    right: float  # where the frame's middle lies at depth 1
    up: float

    @property
    def camera(self) -> Camera:
        """Where it stands, and how it is turned."""
        return camera_at(math.radians(self.azimuth), math.radians(self.elevation), self.distance)

    def project(self, points: NDArray[np.float32]) -> NDArray[np.float32]:
        """Points ``(n, 3)`` of the world as right and up in the frame, -1..1, and depth: ``(n, 3)``."""
        camera = self.camera
        axes = np.stack([camera.right, camera.up, camera.forward], axis=-1).astype(np.float32)
        seen = (points - camera.position.astype(np.float32)) @ axes
        depth = np.maximum(seen[:, 2:], 1e-3)  # the search may step into the object
        middle = np.array([self.right, self.up], np.float32)
        return np.concatenate([(seen[:, :2] / depth - middle) / np.float32(self.half), depth], axis=1)


@dataclass(frozen=True)
class Fit:
    """How well the photo is explained."""

    pose: Pose
    overlap: float  # of the outlines, intersection over union
    difference: float  # of the colours where both show the object, once their tones are the same, mean of 0..1

    @property
    def good(self) -> bool:
        return self.overlap >= LEAST_OVERLAP and self.difference <= MOST_DIFFERENCE


def find(
    rgb: NDArray[np.float32],
    alpha: NDArray[np.float32],
    surface: Mesh,
    colors: Callable[[NDArray[np.float32]], NDArray[np.float32]],
) -> Fit:
    """The best fit of a framed photo; deterministic.

    Args:
        rgb: ``(s, s, 3)`` sRGB 0..1; alpha: ``(s, s)`` 0..1, somewhere above 0.5.
        surface: the whole object.
        colors: sRGB 0..1 ``(n, 3)`` at points ``(n, 3)`` of the surface.
    """
    spacing = np.float32(SPACING)  # what decimation takes for one
    vertices, faces = decimate((surface.vertices / spacing, surface.faces), FACES)
    few = Mesh(vertices * spacing, faces)
    first, second, third = (
        _Comparison(rgb, alpha, size, drawn, colors(drawn.vertices))
        for size, drawn in zip(SIZES, (few, few, surface), strict=True)
    )
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        starts = list(pool.map(lambda it: first.framed(*it), product(AZIMUTHS, ELEVATIONS, DISTANCES)))
        losses = list(pool.map(first.loss, starts))
        likeliest = [starts[index] for index in np.argsort(losses, kind="stable")[:CANDIDATES]]
        moved = list(pool.map(lambda pose: second.improved(pose, 1.0, MOVES[0]), likeliest))
    return third.fit(third.improved(min(moved, key=second.loss), 0.3, MOVES[1]))


class _Comparison:
    """The photo at one size, and the surface drawn beside it."""

    def __init__(
        self,
        rgb: NDArray[np.float32],
        alpha: NDArray[np.float32],
        size: int,
        surface: Mesh,
        colors: NDArray[np.float32],
    ) -> None:
        """``colors`` are ``(n, 3)``, of the surface's vertices."""
        small = (size, size)
        self.alpha = cv2.resize(alpha, small, interpolation=cv2.INTER_AREA)
        weighted = cv2.resize(rgb * alpha[..., None], small, interpolation=cv2.INTER_AREA)
        self.rgb = weighted / np.maximum(self.alpha, 1e-3)[..., None]
        self.size, self.surface, self.colors = size, surface, colors
        # a thin thing is nowhere opaque at a small size
        self.opaque = self.alpha > 0.5 * self.alpha.max()
        self.box = _box(np.argwhere(self.opaque)[:, ::-1])

    def framed(self, azimuth: float, elevation: float, distance: float) -> Pose:
        """A camera there, its picture cut out so that the object fills it as it fills the photo."""
        wide = Pose(azimuth, elevation, distance, 1.0, 0.0, 0.0)
        low, high = _box(wide.project(self.surface.vertices)[:, :2])
        wanted_low, wanted_high = (np.array(it) * 2 / self.size - 1 for it in self.box)
        half = float((high - low).max() / (wanted_high - wanted_low).max())
        right, down = (low * (1, -1) + high * (1, -1)) / 2 - half * (wanted_low + wanted_high) / 2
        return Pose(azimuth, elevation, distance, half, float(right), float(-down))

    def drawn(self, pose: Pose) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Colours ``(s, s, 3)`` and where the surface is."""
        seen = pose.project(self.surface.vertices)
        depths = np.full((self.size, self.size), NOWHERE, np.float32)
        picture = np.zeros((self.size, self.size, 3), np.float32)
        draw(frame_places(seen, self.size), seen[:, 2].copy(), self.surface.faces, self.colors, depths, picture)
        return picture, depths < NOWHERE

    def loss(self, pose: Pose) -> float:
        """What differs, in outline as a share of the object, and in colour."""
        picture, there = self.drawn(pose)
        outline = float(np.abs(there - self.alpha).sum() / self.alpha.sum())
        return outline + COLOR_WEIGHT * self._difference(picture, there)

    def improved(self, pose: Pose, step: float, moves: int) -> Pose:
        """A better pose nearby: the simplex search from steps of ``step`` times ``STEPS``."""

        def at(place: NDArray[np.float64]) -> Pose:
            azimuth, elevation, distance, half, right, up = place * STEPS * step
            return Pose(
                pose.azimuth + azimuth,
                pose.elevation + elevation,
                pose.distance * math.exp(distance),
                pose.half * math.exp(half - distance),  # the object stays as large as it is
                pose.right + right * pose.half,
                pose.up + up * pose.half,
            )

        simplex = np.concatenate([np.zeros((1, len(STEPS))), np.eye(len(STEPS))])
        found = minimize(
            lambda place: self.loss(at(place)),
            simplex[0],
            method="Nelder-Mead",
            options={"initial_simplex": simplex, "maxfev": moves, "xatol": 1e-3, "fatol": 1e-5},
        )
        return at(found.x)

    def fit(self, pose: Pose) -> Fit:
        """How good it is."""
        picture, there = self.drawn(pose)
        return Fit(
            pose,
            overlap=float((there & self.opaque).sum() / (there | self.opaque).sum()),
            difference=self._difference(picture, there),
        )

    def _difference(self, picture: NDArray[np.float32], there: NDArray[np.bool_]) -> float:
        both = there & self.opaque
        if not both.any():
            return 1.0
        apart = picture[both] - self.rgb[both]
        return float(np.abs(apart - apart.mean(axis=0)).mean())


def _box(places: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lowest and highest of ``places`` ``(n, 2)``."""
    return places.min(axis=0).astype(np.float64), places.max(axis=0).astype(np.float64)
