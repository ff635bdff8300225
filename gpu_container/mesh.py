"""The surface of a Field: one closed body of triangles, few enough to handle."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

import fast_simplification
import numpy as np
import pymeshfix
import torch
from numpy.typing import NDArray
from skimage.measure import marching_cubes

from gpu_container import topology
from gpu_container.field import RADIUS, SURFACE_RAW, Field
from infra.errors import EmptySurface

log = logging.getLogger(__name__)

#: raw density closer than this to the surface's is moved away from it: no triangle shrinks to a point
_NUDGE = 1e-3
#: raw density further than this from the surface's says no more about where it lies
_REACH = 30.0
#: parts dropped that make up this share of the largest one are worth a notice
_WORTH_MENTIONING = 0.02
#: share of the volume that mending may change
_MENDING_LOSS = 0.02
#: how far each round of decimation may go; the next is taken when the one before ends with too many faces
_EAGERNESS = (5.0, 7.0, 9.0)
#: faces over the target that still count as hitting it
_TOLERANCE = 1.01

#: the default grid's spacing: decimation is tuned to lengths of about one
_TYPICAL_SPACING = 2 * RADIUS / 255

Triangles = tuple[NDArray[np.float32], NDArray[np.int32]]


@dataclass(frozen=True)
class Mesh:
    """Triangles in the Field's coordinates, counter-clockwise seen from outside."""

    vertices: NDArray[np.float32]  # (n, 3): x to the viewer, y to the photo's right, z up
    faces: NDArray[np.int32]  # (m, 3)


def extract(
    field: Field,
    grid: torch.Tensor,
    target_faces: int,
    progress: Callable[[float], None] | None = None,
) -> Mesh:
    """The largest body of the surface at ``SURFACE_RAW``, with at most ``target_faces`` (+ 1 %).

    Marching cubes (Lewiner et al. 2003), then edge collapse by quadric errors (Garland & Heckbert 1997).
    Objects that touch the cube's faces are closed half a sample's width outside it. Bodies beside the largest
    one, and hollows inside it, are dropped; a notice tells of large ones.

    Args:
        field: what the grid was made of.
        grid: raw density ``(r, r, r)``, see :meth:`Field.density_grid`.
        progress: called with the share that is done, rising to 1.

    Raises:
        EmptySurface: the field never reaches the surface's level.
    """
    progress = progress or (lambda done: None)
    dense = largest_body(*isosurface(grid))
    progress(0.5)
    vertices, faces = closed(dense, target_faces)
    progress(1.0)
    return Mesh(to_field(vertices, len(grid)), faces)


def fewer_faces(mesh: Mesh, target_faces: int) -> Mesh:
    """``mesh`` with at most ``target_faces`` (+ 1 %), as one closed body if that can be had."""
    scale = mesh.vertices.dtype.type(_TYPICAL_SPACING)
    vertices, faces = closed((mesh.vertices / scale, mesh.faces), target_faces)
    return Mesh(vertices * scale, faces)


def isosurface(grid: torch.Tensor) -> Triangles:
    """All of the surface at ``SURFACE_RAW``, closed, in units of the grid's samples.

    Raises:
        EmptySurface: no sample lies above the level.
    """
    solid = grid > SURFACE_RAW
    spans = [_span(solid.flatten(1).any(1)), _span(solid.any(2).any(0)), _span(solid.flatten(0, 1).any(0))]
    box = grid[tuple(slice(*span) for span in spans)].detach().cpu().numpy()
    # fmax lets numbers win over NaN: what is unknown is empty
    raw = np.minimum(np.fmax(box, SURFACE_RAW - _REACH), SURFACE_RAW + _REACH)
    raw[np.abs(raw - SURFACE_RAW) < _NUDGE] = SURFACE_RAW - _NUDGE
    # Around the box goes its mirror image about the level: whatever touches the cube is cut flat there.
    padded = np.pad(raw, 1, mode="edge")
    for axis in range(3):
        for side in (0, -1):
            shell = np.moveaxis(padded, axis, 0)[side]
            np.minimum(shell, 2 * SURFACE_RAW - shell, out=shell)
    vertices, faces, _, _ = marching_cubes(  # type: ignore[no-untyped-call]
        padded, SURFACE_RAW, gradient_direction="ascent"
    )
    origin = np.array([span[0] - 1 for span in spans], np.float32)
    return (vertices + origin).astype(np.float32), faces.astype(np.int32)


def _span(occupied: torch.Tensor) -> tuple[int, int]:
    """Start and stop of a box around ``occupied`` ``(r,)``, one sample wider where there is one."""
    where = occupied.nonzero()
    if len(where) == 0:
        raise EmptySurface("No solid object came of this photo. Try one with a plainer background.")
    return max(int(where[0]) - 1, 0), min(int(where[-1]) + 2, len(occupied))


def to_field(vertices: NDArray[np.float32], resolution: int) -> NDArray[np.float32]:
    """Units of the grid's samples to the Field's coordinates: samples lie on both faces of the cube."""
    return (vertices.astype(np.float64) * (2 * RADIUS / (resolution - 1)) - RADIUS).astype(np.float32)


def largest_body(vertices: NDArray[np.float32], faces: NDArray[np.int32]) -> Triangles:
    """The body of the largest volume, by itself; hollows have negative volume and never win.

    Raises:
        EmptySurface: no body encloses anything.
    """
    count, labels = topology.vertex_bodies(faces, len(vertices))
    volumes = np.bincount(labels, topology.signed_volumes(vertices, faces), minlength=count)
    if len(volumes) == 0 or volumes.max() <= 0:
        raise EmptySurface("The object came out without any volume. Try a clearer photo.")
    if count == 1:
        return vertices, faces
    lost = (volumes.clip(0).sum() - volumes.max()) / volumes.max()
    if lost > _WORTH_MENTIONING:
        log.warning(
            "The model falls apart: only its largest part is in the mesh; the others would add %.0f %%.",
            100 * lost,
        )
    return topology.compact(vertices, faces[labels == volumes.argmax()])


def closed(dense: Triangles, target_faces: int) -> Triangles:
    """``dense`` with at most ``target_faces`` (+ 1 %) as one closed body.

    Collapsing edges can tear what is thin or full of holes. Such a mesh is mended, and if mending takes too
    much away it gets more faces than asked; a notice says so. Closed comes before small.
    """
    allowed = target_faces
    while True:
        result = decimate(dense, allowed)
        if is_sound(result):
            break
        mended = repair(result)
        if is_sound(mended) and _same_volume(mended, dense):
            result = mended
            break
        if allowed >= len(dense[1]):
            return _closed_at_last(dense, mended)
        allowed *= 2
    if len(result[1]) > target_faces * _TOLERANCE:
        log.warning("The shape is intricate: it takes %d faces to keep the mesh closed.", len(result[1]))
    return result


def _closed_at_last(dense: Triangles, mended: Triangles) -> Triangles:
    """What is left when ``dense`` itself is torn beyond mending."""
    if is_sound(mended):
        log.warning("The surface was torn; mending it has changed its shape.")
        return mended
    log.warning("The mesh has holes that could not be closed; a slicer may refuse it.")
    return dense


def _same_volume(mesh: Triangles, reference: Triangles) -> bool:
    volume, expected = (float(topology.signed_volumes(*it).sum()) for it in (mesh, reference))
    return abs(volume - expected) <= _MENDING_LOSS * abs(expected)


def is_sound(mesh: Triangles) -> bool:
    """Whether it is one closed body that faces outward."""
    vertices, faces = mesh
    return (
        topology.is_watertight(faces)
        and topology.bodies(faces)[0] == 1
        and bool(topology.signed_volumes(vertices, faces).sum() > 0)
    )


def decimate(mesh: Triangles, target_faces: int) -> Triangles:
    """At most ``target_faces`` (+ 1 %) faces, placed where they keep the shape best.

    Vertices are in units of grid samples: the collapse's thresholds are absolute, and tuned to that scale.
    """
    vertices, faces = mesh
    for eagerness in _EAGERNESS:
        if len(faces) <= target_faces * _TOLERANCE:
            break
        vertices, faces = fast_simplification.simplify(
            vertices, faces, target_count=target_faces, agg=eagerness
        )
    return topology.compact(np.asarray(vertices, np.float32), np.asarray(faces, np.int32))


def repair(mesh: Triangles) -> Triangles:
    """The largest part with its holes filled and its crossings removed (Attene 2010)."""
    fixer = pymeshfix.MeshFix(mesh[0].astype(np.float64), mesh[1])
    fixer.repair()
    return np.asarray(fixer.points, np.float32), np.asarray(fixer.faces, np.int32)
