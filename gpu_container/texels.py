"""Texels and what they show: the points of the surface under them, and pictures painted on them."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from gpu_container import raster
from gpu_container.mesh import Mesh
from gpu_container.unwrap import Charts


@dataclass(frozen=True)
class Texels:
    """Which point of the surface each texel of a square texture shows."""

    covered: NDArray[np.bool_]  # (s, s) whether it shows any
    face: NDArray[np.int32]  # (t,) of each that does, row by row
    weights: torch.Tensor  # (t, 3) barycentric

    def of(self, corners: NDArray[np.float32]) -> NDArray[np.float32]:
        """What faces have at their corners ``(m, 3, c)``, at each covered texel: ``(t, c)``."""
        mixed = torch.einsum("tc,tcx->tx", self.weights, torch.from_numpy(corners[self.face]))
        return np.asarray(mixed.numpy())

    def face_normals(self, mesh: Mesh) -> NDArray[np.float32]:
        """Of the faces themselves, of length 1, at each covered texel: ``(t, 3)``."""
        corners = mesh.vertices[mesh.faces]
        crossed = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        unit = crossed / np.maximum(np.linalg.norm(crossed, axis=1, keepdims=True), 1e-20)
        return np.asarray(unit[self.face])

    def picture(self, values: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Values ``(t,)`` or ``(t, c)`` of the covered texels as a picture ``(s, s)`` or ``(s, s, c)``, gutters
        filled."""
        picture = np.zeros((*self.covered.shape, *values.shape[1:]), np.uint8)
        picture[self.covered] = values
        return fill_gutters(picture, self.covered)


def texels_of(charts: Charts, size: int) -> Texels:
    """Of a texture of ``size`` by ``size``: those in charts, and up to ``raster.REACH`` texels around them."""
    face_of = np.empty((size, size), np.int32)
    weights = np.zeros((size, size, 3), np.float32)
    raster.texel_surface(
        charts.uv, charts.faces, face_of, weights, np.empty((size, size), np.float32), raster.REACH
    )
    covered = face_of >= 0
    return Texels(covered, face_of[covered], torch.from_numpy(weights[covered]))


def fill_gutters(texture: NDArray[np.uint8], covered: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """``texture`` with the value of the nearest covered texel wherever none is covered."""
    if covered.all() or not covered.any():
        return texture
    _, nearest = cv2.distanceTransformWithLabels(
        (~covered).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    value_of = np.zeros((int(nearest.max()) + 1, *texture.shape[2:]), np.uint8)
    value_of[nearest[covered]] = texture[covered]
    return np.asarray(value_of[nearest], np.uint8)
