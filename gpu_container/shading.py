"""Smooth normals, for viewers that light the mesh."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def vertex_normals(vertices: NDArray[np.float32], faces: NDArray[np.int32]) -> NDArray[np.float32]:
    """Unit normals ``(n, 3)``, outward: the mean of the faces around, weighted by their angle there.

    Weighting by angle (Thürmer & Wüthrich 1998) makes them independent of how a flat part is cut up.
    """
    corners = vertices.astype(np.float64)[faces]  # (m, 3, 3)
    following, preceding = np.roll(corners, -1, axis=1) - corners, np.roll(corners, 1, axis=1) - corners
    angles = np.arctan2(
        np.linalg.norm(np.cross(following, preceding), axis=-1), np.einsum("mci,mci->mc", following, preceding)
    )
    face_normals = _unit(np.cross(following[:, 0], preceding[:, 0]))
    weighted = angles[..., None] * face_normals[:, None]  # (m, 3, 3)
    sums = np.stack(
        [np.bincount(faces.ravel(), weighted[..., axis].ravel(), len(vertices)) for axis in range(3)], axis=-1
    )
    return _unit(sums, otherwise=(0.0, 0.0, 1.0)).astype(np.float32)


def _unit(
    vectors: NDArray[Any], otherwise: tuple[float, float, float] = (0.0, 0.0, 0.0)
) -> NDArray[np.float64]:
    """``vectors`` at length 1; those without a direction become ``otherwise``."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    # glTF demands unit length: sliver faces that cancel out still need some direction
    return np.asarray(np.where(lengths > 1e-20, vectors / np.maximum(lengths, 1e-20), otherwise))
