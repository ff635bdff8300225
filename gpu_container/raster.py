"""Triangles to texels: which point of the surface each texel of a texture shows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gpu_container.compiled import compiled

#: texels this far outside a chart still show its border, and so does every bilinear sample inside the chart
REACH = 1.5


@compiled
def texel_surface(
    uv: NDArray[np.float32],
    faces: NDArray[np.int32],
    face_of: NDArray[np.int32],
    weights: NDArray[np.float32],
    distance: NDArray[np.float32],
    reach: float,
    first: int = 0,
) -> None:
    """For each texel of a square texture the nearest triangle within ``reach`` texels of its centre.

    Args:
        uv: ``(k, 2)`` 0..1, v downwards; texel ``[row, column]`` has its centre at
            ``(column + 0.5, row + 0.5) / s``.
        faces: ``(m, 3)``.
        face_of: out, ``(r, s)``, -1 where no triangle is near: all rows of the texture, or some.
        weights: out, ``(r, s, 3)`` barycentric, of the triangle's point nearest to the centre; never negative.
        distance: out, ``(r, s)`` texels squared from there to the centre; 0 inside.
        first: which of the texture's rows comes first in them.
    """
    rows, size = face_of.shape
    face_of[:] = -1
    distance[:] = reach * reach + 1e-6
    for face in range(faces.shape[0]):
        ax, ay = uv[faces[face, 0], 0] * size - 0.5, uv[faces[face, 0], 1] * size - 0.5 - first
        bx, by = uv[faces[face, 1], 0] * size - 0.5, uv[faces[face, 1], 1] * size - 0.5 - first
        cx, cy = uv[faces[face, 2], 0] * size - 0.5, uv[faces[face, 2], 1] * size - 0.5 - first
        area = (bx - ax) * (cy - ay) - (cx - ax) * (by - ay)
        first_row = max(int(np.ceil(min(ay, by, cy) - reach)), 0)
        last_row = min(int(np.floor(max(ay, by, cy) + reach)), rows - 1)
        first_column = max(int(np.ceil(min(ax, bx, cx) - reach)), 0)
        last_column = min(int(np.floor(max(ax, bx, cx) + reach)), size - 1)
        for row in range(first_row, last_row + 1):
            for column in range(first_column, last_column + 1):
                if distance[row, column] == 0:
                    continue
                if area != 0:
                    wb = ((column - ax) * (cy - ay) - (cx - ax) * (row - ay)) / area
                    wc = ((bx - ax) * (row - ay) - (column - ax) * (by - ay)) / area
                    if wb >= 0 and wc >= 0 and wb + wc <= 1:
                        distance[row, column] = 0
                        face_of[row, column] = face
                        weights[row, column, 0] = 1 - wb - wc
                        weights[row, column, 1] = wb
                        weights[row, column, 2] = wc
                        continue
                for corner in range(3):  # the nearest point of each edge
                    px, py, qx, qy = ax, ay, bx, by
                    if corner == 1:
                        px, py, qx, qy = bx, by, cx, cy
                    elif corner == 2:
                        px, py, qx, qy = cx, cy, ax, ay
                    length = (qx - px) ** 2 + (qy - py) ** 2
                    t = 0.0
                    if length > 0:
                        t = min(max(((column - px) * (qx - px) + (row - py) * (qy - py)) / length, 0.0), 1.0)
                    away = (px + t * (qx - px) - column) ** 2 + (py + t * (qy - py) - row) ** 2
                    if away < distance[row, column]:
                        distance[row, column] = away
                        face_of[row, column] = face
                        weights[row, column, corner] = 1 - t
                        weights[row, column, (corner + 1) % 3] = t
                        weights[row, column, (corner + 2) % 3] = 0.0
