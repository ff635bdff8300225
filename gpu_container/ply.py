"""PLY with a colour at every corner, for MeshLab, CloudCompare and whatever measures meshes.

Reference: Turk, "The PLY Polygon File Format", 1994.
"""

from __future__ import annotations

import numpy as np
import trimesh
from numpy.typing import NDArray


def encode(
    positions: NDArray[np.float32],
    normals: NDArray[np.float32],
    faces: NDArray[np.int32],
    colors: NDArray[np.uint8],
) -> bytes:
    """The bytes of a binary ``.ply``; the same model gives the same bytes.

    Args:
        positions: ``(n, 3)``, z up: programs that read PLY expect it of scans.
        normals: ``(n, 3)``, of length 1.
        faces: ``(m, 3)``, counter-clockwise seen from outside.
        colors: ``(n, 3)`` sRGB.
    """
    mesh = trimesh.Trimesh(
        positions, faces, vertex_normals=normals, vertex_colors=colors, process=False, validate=False
    )
    return bytes(trimesh.exchange.ply.export_ply(mesh, vertex_normal=True))
