"""Texels and what they show: the points of the surface under them, and pictures painted on them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from gpu_container import raster
from gpu_container.compiled import compiled
from gpu_container.device import in_parts
from gpu_container.mesh import Mesh
from gpu_container.unwrap import Charts

#: rows of texels that a thread takes at a time
_ROWS = 64


@dataclass(frozen=True)
class Texels:
    """Which point of the surface each texel of a square texture shows."""

    covered: NDArray[np.bool_]  # (s, s) whether it shows any
    face: NDArray[np.int32]  # (t,) of each that does, row by row
    weights: NDArray[np.float32]  # (t, 3) barycentric

    def of(self, corners: NDArray[np.float32]) -> NDArray[np.float32]:
        """What faces have at their corners ``(m, 3, c)``, at each covered texel: ``(t, c)``."""
        mixed = np.empty((len(self.face), corners.shape[2]), np.float32)
        in_parts(lambda part: _mix(corners, self.face[part], self.weights[part], mixed[part]), len(mixed))
        return mixed

    def face_normals(self, mesh: Mesh) -> NDArray[np.float32]:
        """Of the faces themselves, of length 1, at each covered texel: ``(t, 3)``."""
        corners = mesh.vertices[mesh.faces]
        crossed = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        unit = crossed / np.maximum(np.linalg.norm(crossed, axis=1, keepdims=True), 1e-20)
        return np.asarray(unit[self.face])

    def picture(self, values: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Values ``(t,)`` or ``(t, c)`` of the covered texels as a picture ``(s, s)`` or ``(s, s, c)``; gutters
        show what the nearest covered texel shows."""
        if len(values) == 0:
            return np.zeros((*self.covered.shape, *values.shape[1:]), np.uint8)
        return np.take(values, self._shown, axis=0)

    @cached_property
    def _shown(self) -> NDArray[np.int32]:
        """Which of the covered texels, row by row, each texel shows ``(s, s)``."""
        number = np.cumsum(self.covered, dtype=np.int32).reshape(self.covered.shape) - 1
        if self.covered.all():
            return number
        _, nearest = cv2.distanceTransformWithLabels(
            (~self.covered).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
        )
        number_of = np.zeros(int(nearest.max()) + 1, np.int32)
        number_of[nearest[self.covered]] = number[self.covered]
        return np.asarray(number_of[nearest])


def texels_of(charts: Charts, size: int) -> Texels:
    """Of a texture of ``size`` by ``size``: those in charts, and up to ``raster.REACH`` texels around them."""
    face_of = np.empty((size, size), np.int32)
    weights = np.empty((size, size, 3), np.float32)
    distance = np.empty((size, size), np.float32)

    def work(rows: slice) -> None:
        raster.texel_surface(
            charts.uv, charts.faces, face_of[rows], weights[rows], distance[rows], raster.REACH, rows.start
        )

    in_parts(work, size, _ROWS)
    covered = face_of >= 0
    return Texels(covered, face_of[covered], weights[covered])


@compiled
def _mix(
    corners: NDArray[np.float32],
    face: NDArray[np.int32],
    weights: NDArray[np.float32],
    mixed: NDArray[np.float32],
) -> None:
    for texel in range(len(face)):
        at = face[texel]
        for x in range(corners.shape[2]):
            mixed[texel, x] = (
                weights[texel, 0] * corners[at, 0, x]
                + weights[texel, 1] * corners[at, 1, x]
                + weights[texel, 2] * corners[at, 2, x]
            )
