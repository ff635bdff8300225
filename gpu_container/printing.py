"""Can it be printed? What a slicer would find out, told before anyone waits for a printer.

All of it is said of the model at its print height. Walls are measured as Shapira et al. do ("Consistent mesh
partitioning and skeletonisation using the shape diameter function", 2008), with one ray in place of a cone of
them: from the middle of every face straight inward, to where it comes out again.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pymeshfix
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene
from numpy.typing import NDArray

from gpu_container.crossing import may_cross

#: faces that lean out further than this from the vertical need something under them, degrees
STEEPEST_OVERHANG = 45.0
#: what lies this close to the bed rests on it, millimetres: a first layer
FIRST_LAYER_MM = 0.3
#: both sides of a wall look away from each other by more than this, as a cosine; else it is an edge or a corner
_OPPOSITE = -0.5
#: share of the surface that may be thinner than what is called its thinnest wall: the estimate's own noise
_IGNORED = 0.005
#: rays begin this far under the surface, as a share of the model's height
_INSIDE = 1e-5


def facts(printed: NDArray[np.float32], faces: NDArray[np.int32], volume_mm3: float) -> dict[str, Any]:
    """What the manifest says of the model in print.

    Args:
        printed: vertices ``(n, 3)`` in millimetres, z up from the bed.
        faces: ``(m, 3)``, counter-clockwise seen from outside.
        volume_mm3: of what they enclose.
    """
    corners = printed.astype(np.float64)[faces]
    crossed = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    doubled = np.linalg.norm(crossed, axis=1)
    normals = np.divide(crossed, doubled[:, None], out=np.zeros_like(crossed), where=doubled[:, None] > 0)
    wall = thinnest_wall(corners, normals, doubled)
    return {
        "height_mm": round(float(printed[:, 2].max()), 3),
        "size_mm": [round(float(side), 3) for side in np.ptp(printed, axis=0)],
        "volume_cm3": round(volume_mm3 / 1000, 4),
        "self_intersections": crossing_faces(printed, faces),
        "thinnest_wall_mm": None if wall is None else round(wall, 3),
        "overhang_share": round(overhang(corners, normals, doubled), 4),
    }


def crossing_faces(vertices: NDArray[np.float32], faces: NDArray[np.int32]) -> int:
    """How many faces cross another one (Attene 2010)."""
    if not may_cross(vertices, faces):
        return 0
    checker = pymeshfix.PyTMesh()
    checker.set_quiet(True)
    checker.load_array(vertices.astype(np.float64), faces)
    return len(checker.select_intersecting_triangles())


def thinnest_wall(
    corners: NDArray[np.float64], normals: NDArray[np.float64], areas: NDArray[np.float64]
) -> float | None:
    """An estimate in the unit of ``corners`` ``(m, 3, 3)``; None where nothing lies behind the surface.

    All but the thinnest half per cent of the surface has at least so much behind it.
    """
    scene = EmbreeScene()
    TriangleMesh(scene, corners.astype(np.float32))
    inside = corners.mean(axis=1) - normals * (_INSIDE * np.ptp(corners[..., 2]))
    hit = scene.run(inside.astype(np.float32), (-normals).astype(np.float32), output=1)
    other = hit["primID"]
    across = (other >= 0) & (areas > 0)
    across[across] = np.einsum("ij,ij->i", normals[across], normals[other[across]]) < _OPPOSITE
    if not across.any():
        return None
    order = np.argsort(hit["tfar"][across], kind="stable")
    covered = np.cumsum(areas[across][order])
    first = np.searchsorted(covered, _IGNORED * covered[-1])
    return float(hit["tfar"][across][order][first])


def overhang(corners: NDArray[np.float64], normals: NDArray[np.float64], areas: NDArray[np.float64]) -> float:
    """The share of the surface that hangs over, with nothing but air under it; 0..1."""
    hanging = normals[:, 2] < -np.sin(np.radians(STEEPEST_OVERHANG))
    hanging &= corners[..., 2].max(axis=1) > FIRST_LAYER_MM
    return float(areas[hanging].sum() / areas.sum())
