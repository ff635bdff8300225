"""The surface of a Field: a closed body of triangles, or a few of them, small enough to handle."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import fast_simplification
import numpy as np
import pymeshfix
import torch
from numpy.typing import NDArray

from gpu_container import marching, printing, topology
from gpu_container.field import RADIUS, SURFACE_RAW, Field
from infra.errors import EmptySurface

log = logging.getLogger(__name__)

#: which bodies stay: the one that encloses most, or every one that is not a speck beside it
Parts = Literal["largest", "all"]
#: a body is a speck if it has a smaller share of the largest one's faces, and a smaller one of its length:
#: an antenna is thin, and yet missed
_SPECK_FACES, _SPECK_LENGTH = 0.02, 1 / 8
#: share of the volume that mending may change
_MENDING_LOSS = 0.02
#: how far each round of decimation may go; the next is taken when the one before ends with too many faces
_EAGERNESS = (5.0, 7.0, 9.0)
#: faces over the target that still count as hitting it
_TOLERANCE = 1.01

#: faces that a body gets, whatever its share
_FEWEST = 32

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
    *,
    parts: Parts = "largest",
) -> Mesh:
    """The surface at ``SURFACE_RAW``, with at most ``target_faces`` (+ 1 %), every body of it closed.

    Marching cubes (``marching.py``), then edge collapse by quadric errors (Garland & Heckbert 1997). Objects
    that touch the cube's faces are closed half a sample's width outside it. Hollows are filled, bodies that
    ``parts`` does not ask for are dropped; a notice tells of large ones.

    Args:
        field: what the grid was made of.
        grid: raw density ``(r, r, r)``, see :meth:`Field.density_grid`.
        progress: called with the share that is done, rising to 1.
        parts: which bodies stay.

    Raises:
        EmptySurface: the field never reaches the surface's level.
    """
    progress = progress or (lambda done: None)
    dense = solid_bodies(*isosurface(grid), parts)
    progress(0.3)
    vertices, faces = closed(dense, target_faces, lambda done: progress(0.3 + 0.6 * done))
    result = uncrossed((to_field(vertices, len(grid)), faces))
    progress(1.0)
    return Mesh(*result)


def fewer_faces(mesh: Mesh, target_faces: int) -> Mesh:
    """``mesh`` with at most ``target_faces`` (+ 1 %), its bodies closed if that can be had."""
    scale = mesh.vertices.dtype.type(_TYPICAL_SPACING)
    vertices, faces = closed(_split(mesh.vertices / scale, mesh.faces), target_faces)
    return Mesh(*uncrossed((vertices * scale, faces)))


def isosurface(grid: torch.Tensor) -> Triangles:
    """All of the surface at ``SURFACE_RAW``, closed, in units of the grid's samples.

    Raises:
        EmptySurface: no sample lies above the level.
    """
    vertices, faces = marching.surface(grid.detach().cpu().numpy(), SURFACE_RAW)
    if len(faces) == 0:
        raise EmptySurface("No solid object came of this photo. Try one with a plainer background.")
    return vertices, faces


def to_field(vertices: NDArray[np.float32], resolution: int) -> NDArray[np.float32]:
    """Units of the grid's samples to the Field's coordinates: samples lie on both faces of the cube."""
    return (vertices.astype(np.float64) * (2 * RADIUS / (resolution - 1)) - RADIUS).astype(np.float32)


def solid_bodies(vertices: NDArray[np.float32], faces: NDArray[np.int32], parts: Parts) -> list[Triangles]:
    """The bodies to keep, the one of the largest volume first. Hollows have negative volume and are none.

    Raises:
        EmptySurface: no body encloses anything.
    """
    count, labels = topology.vertex_bodies(faces, len(vertices))
    volumes = np.bincount(labels, topology.signed_volumes(vertices, faces), minlength=count)
    if len(volumes) == 0 or volumes.max() <= 0:
        raise EmptySurface("The object came out without any volume. Try a clearer photo.")
    largest = int(volumes.argmax())
    sizes, lengths = np.bincount(labels, minlength=count), _lengths(vertices, faces, labels, count)
    speck = (sizes < _SPECK_FACES * sizes[largest]) & (lengths < _SPECK_LENGTH * lengths[largest])
    others = np.flatnonzero((volumes > 0) & ~speck & (np.arange(count) != largest))
    if parts == "largest" and len(others):
        log.warning(
            "The model falls apart: only its largest part is in the mesh. Left out: %d more, the longest "
            "%.0f %% as long; parts=all keeps them.",
            len(others), 100 * lengths[others].max() / lengths[largest],
        )  # fmt: skip
        others = others[:0]
    chosen = [largest, *others[np.argsort(-volumes[others], kind="stable")].tolist()]
    if count == 1:
        return [(vertices, faces)]
    return _outermost([topology.compact(vertices, faces[labels == body]) for body in chosen])


def _lengths(
    vertices: NDArray[np.float32], faces: NDArray[np.int32], labels: NDArray[np.int32], count: int
) -> NDArray[np.float32]:
    """Of each body ``(count,)``: the longest side of the box around it."""
    low, high = np.full((count, 3), np.inf, np.float32), np.full((count, 3), -np.inf, np.float32)
    corners = vertices[faces[:, 0]]  # of each body's faces some corner or other: all are near its outermost
    np.minimum.at(low, labels, corners)
    np.maximum.at(high, labels, corners)
    return np.asarray((high - low).max(axis=1))


def largest_body(vertices: NDArray[np.float32], faces: NDArray[np.int32]) -> Triangles:
    """The body of the largest volume, by itself; see :func:`solid_bodies`."""
    return solid_bodies(vertices, faces, "largest")[0]


def _outermost(bodies: list[Triangles]) -> list[Triangles]:
    """Those of ``bodies``, the largest first, that lie in none before them: in a hollow, which is filled."""
    kept: list[Triangles] = []
    for body in bodies:
        if not any(topology.encloses(*outer, body[0][0]) for outer in kept):
            kept.append(body)
    return kept


def _split(vertices: NDArray[np.float32], faces: NDArray[np.int32]) -> list[Triangles]:
    """The bodies, each by itself."""
    count, labels = topology.bodies(faces)
    return [topology.compact(vertices, faces[labels == body]) for body in range(count)]


def closed(
    dense: list[Triangles], target_faces: int, progress: Callable[[float], None] | None = None
) -> Triangles:
    """The bodies ``dense`` with at most ``target_faces`` (+ 1 %) together, each of them closed.

    Each gets its share of the faces. Collapsing edges can tear what is thin or full of holes. Such a body is
    mended, and if mending takes too much away it gets more faces than asked; a notice says so. Closed comes
    before small.
    """
    total, done = sum(len(faces) for _, faces in dense), 0
    bodies = []
    for body in dense:
        bodies.append(_closed_body(body, max(_FEWEST, target_faces * len(body[1]) // total)))
        done += len(body[1])
        if progress:
            progress(done / total)
    result = topology.together(bodies)
    if len(result[1]) > target_faces * _TOLERANCE:
        log.warning("The shape is intricate: it takes %d faces to keep the mesh closed.", len(result[1]))
    return result


def _closed_body(dense: Triangles, allowed: int) -> Triangles:
    while True:
        result = decimate(dense, allowed)
        if is_sound(result):
            return result
        mended = repair(result)
        if is_sound(mended) and _same_volume(mended, dense):
            return mended
        if allowed >= len(dense[1]):
            return _closed_at_last(dense, mended)
        allowed *= 2


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


def uncrossed(mesh: Triangles) -> Triangles:
    """``mesh`` with no face across another of its body, if that can be had without changing its shape.

    Decimation leaves a few that only rounding folds over each other: coordinates have to be the final ones.
    """
    if printing.crossing_faces(*mesh) == 0:
        return mesh
    bodies = []
    for body in _split(*mesh):
        mended = repair(body)
        better = is_sound(mended) and _same_volume(mended, body)
        bodies.append(mended if better and printing.crossing_faces(*mended) == 0 else body)
    return topology.together(bodies)


def repair(mesh: Triangles) -> Triangles:
    """The largest part with its holes filled and its crossings removed (Attene 2010)."""
    fixer = pymeshfix.MeshFix(mesh[0].astype(np.float64), mesh[1])
    fixer.repair()
    return np.asarray(fixer.points, np.float32), np.asarray(fixer.faces, np.int32)
