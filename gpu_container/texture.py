"""The Field's colours on the mesh: charts, and a picture that is painted from the Field where charts lie."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from gpu_container import raster
from gpu_container.device import evaluate
from gpu_container.field import Field
from gpu_container.mesh import Mesh, fewer_faces
from gpu_container.unwrap import Charts, unwrap
from infra.errors import UnwrapFailed

log = logging.getLogger(__name__)

#: seconds that the packer may take: a constant, and so much more for each face
DEADLINE, DEADLINE_PER_FACE = 20.0, 0.002
#: texels kept free between charts in the finished texture, about
PADDING = 4
#: the packer's own texels; its time grows with their number, and what it packs is scaled to the asked size
PACKING_SIZE = 1024


@dataclass(frozen=True)
class TexturedMesh:
    """A mesh and its colours; vertices are doubled where charts are cut."""

    mesh: Mesh  # before the cuts: closed, if anything could close it
    source: NDArray[np.int32]  # (k,) which of mesh.vertices each vertex is
    faces: NDArray[np.int32]  # (m, 3) into the k vertices, in the order of mesh.faces
    uv: NDArray[np.float32]  # (k, 2) 0..1, u to the right, v down from the texture's upper edge
    texture: NDArray[np.uint8]  # (s, s, 3) sRGB; every texel has a colour

    @property
    def vertices(self) -> NDArray[np.float32]:
        """Places ``(k, 3)`` in the Field's coordinates."""
        return self.mesh.vertices[self.source]


def bake(
    mesh: Mesh,
    field: Field,
    size: int,
    progress: Callable[[float], None] | None = None,
) -> TexturedMesh:
    """``mesh`` with a texture of ``size`` by ``size`` texels.

    The field is asked for colours inside charts and up to ``raster.REACH`` texels around them; gutters take the
    nearest chart's colour, so that mip-maps mix in nothing foreign. The same input gives the same bytes.

    Args:
        field: where colours come from.
        progress: called with the share that is done, rising to 1.

    Raises:
        UnwrapFailed: the packer failed, and failed again on half as many faces.
    """
    progress = progress or (lambda done: None)
    try:
        charts = _charts(mesh, size)
    except UnwrapFailed as error:
        log.warning("%s Trying again with half the faces.", error.message)
        mesh = fewer_faces(mesh, len(mesh.faces) // 2)
        charts = _charts(mesh, size)
    progress(0.7)
    texture = paint(mesh, charts, field, size)
    progress(1.0)
    return TexturedMesh(mesh, charts.source, charts.faces, charts.uv, texture)


def _charts(mesh: Mesh, size: int) -> Charts:
    packing = min(size, PACKING_SIZE)
    return unwrap(
        mesh.vertices,
        mesh.faces,
        packing,
        max(2.0, 1.25 * PADDING * packing / size),
        DEADLINE + DEADLINE_PER_FACE * len(mesh.faces),
    )


def paint(mesh: Mesh, charts: Charts, field: Field, size: int) -> NDArray[np.uint8]:
    """The texture ``(size, size, 3)`` sRGB of ``charts``."""
    face_of = np.empty((size, size), np.int32)
    weights = np.zeros((size, size, 3), np.float32)
    raster.texel_surface(
        charts.uv, charts.faces, face_of, weights, np.empty((size, size), np.float32), raster.REACH
    )
    covered = face_of >= 0
    corners = mesh.vertices[mesh.faces[face_of[covered]]]  # (t, 3, 3)
    points = np.einsum("tc,tcx->tx", weights[covered], corners)
    colors = evaluate(field.color, torch.from_numpy(points).to(field.device)).cpu().numpy()
    texture = np.zeros((size, size, 3), np.uint8)
    texture[covered] = np.round(np.clip(colors, 0, 1) * 255)
    return fill_gutters(texture, covered)


def fill_gutters(texture: NDArray[np.uint8], covered: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """``texture`` with the colour of the nearest covered texel wherever none is covered."""
    if covered.all() or not covered.any():
        return texture
    _, nearest = cv2.distanceTransformWithLabels(
        (~covered).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    color_of = np.zeros((int(nearest.max()) + 1, 3), np.uint8)
    color_of[nearest[covered]] = texture[covered]
    return np.asarray(color_of[nearest], np.uint8)
