"""The Field on the mesh: charts, and pictures of colour and relief that are painted where charts lie."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from gpu_container import occlusion, packing, projection, relief, tangent_space
from gpu_container.device import evaluate
from gpu_container.field import RADIUS, Field
from gpu_container.mesh import Mesh, fewer_faces
from gpu_container.projection import View
from gpu_container.shading import vertex_normals
from gpu_container.texels import Texels, texels_of
from gpu_container.unwrap import Charts, unwrap
from infra.errors import UnwrapFailed

log = logging.getLogger(__name__)

#: texels kept free between charts in the finished texture, about
PADDING = 4
#: the packer's own texels; its time grows with their number, and what it packs is scaled to the asked size
PACKING_SIZE = 768
#: side of the texture at which ambient occlusion, which is smooth, is worked out, texels
OCCLUSION_SIZE = 256


@dataclass(frozen=True)
class TexturedMesh:
    """A mesh and its colours; vertices are doubled where charts are cut."""

    mesh: Mesh  # before the cuts: closed, if anything could close it
    source: NDArray[np.int32]  # (k,) which of mesh.vertices each vertex is
    faces: NDArray[np.int32]  # (m, 3) into the k vertices, in the order of mesh.faces
    uv: NDArray[np.float32]  # (k, 2) 0..1, u to the right, v down from the texture's upper edge
    texture: NDArray[np.uint8]  # (s, s, 3) sRGB; every texel has a colour
    normals: NDArray[np.float32]  # (n, 3) of length 1, one for each of mesh.vertices
    tangents: NDArray[np.float32]  # (k, 4) see tangent_space.tangents
    normal_map: NDArray[np.uint8]  # (s, s, 3) tangent space: what the dense surface has and the mesh has not
    #: (s, s) how much of the sky each texel sees, 255 for all of it; None unless it was asked for
    occlusion: NDArray[np.uint8] | None = None

    @property
    def vertices(self) -> NDArray[np.float32]:
        """Places ``(k, 3)`` in the Field's coordinates."""
        return self.mesh.vertices[self.source]


def bake(
    mesh: Mesh,
    field: Field,
    grid: torch.Tensor,
    size: int,
    progress: Callable[[float], None] | None = None,
    *,
    view: View | None = None,
    ambient_occlusion: bool = False,
) -> TexturedMesh:
    """``mesh`` with a texture and a normal map of ``size`` by ``size`` texels.

    Both are asked for on the dense surface, inside charts and up to ``raster.REACH`` texels around them;
    gutters take the nearest chart's texel, so that mip-maps mix in nothing foreign. The same input gives the
    same bytes.

    Args:
        field: where colours come from.
        grid: raw density ``(r, r, r)``, see :meth:`Field.density_grid`: where the dense surface lies.
        progress: called with the share that is done, rising to 1.
        view: the photo, if it is to be seen itself.
        ambient_occlusion: whether a map of it is wanted too.

    Raises:
        UnwrapFailed: the texture cannot hold the charts, nor those of half as many faces.
    """
    progress = progress or (lambda done: None)
    try:
        charts = _charts(mesh, size)
    except UnwrapFailed as error:
        log.warning("%s Trying again with half the faces.", error.message)
        mesh = fewer_faces(mesh, len(mesh.faces) // 2)
        charts = _charts(mesh, size)
    progress(0.7)
    normals = vertex_normals(mesh.vertices, mesh.faces)
    turned = tangent_space.tangents(
        mesh.vertices[charts.source], normals[charts.source], charts.uv, charts.faces
    )
    texels = texels_of(charts, size)
    progress(0.75)
    own = texels.of(normals[mesh.faces])
    points = texels.of(mesh.vertices[mesh.faces])
    otherwise = own
    if np.abs(mesh.vertices).max() > RADIUS:
        # where the cube has cut the object the mesh is flat, whatever is smoothed across its edges
        cut = (np.abs(points) > RADIUS).any(axis=1, keepdims=True)
        otherwise = np.where(cut, texels.face_normals(mesh), own)
    points, facing = relief.under(grid, points, otherwise)
    colors = evaluate(field.color, torch.from_numpy(points).to(field.device)).cpu().numpy()
    if view is not None:
        colors = projection.painted(view, mesh, points, facing, colors)
    progress(0.9)
    bent = tangent_space.local(facing, own, texels.of(turned[charts.faces]))
    texture = texels.picture(np.round(np.clip(colors, 0, 1) * 255).astype(np.uint8))
    normal_map = texels.picture(tangent_space.as_texels(bent))
    open_sky = _openness(mesh, normals, charts, texels) if ambient_occlusion else None
    progress(1.0)
    return TexturedMesh(
        mesh, charts.source, charts.faces, charts.uv, texture, normals, turned, normal_map, open_sky
    )


def _charts(mesh: Mesh, size: int) -> Charts:
    cells = min(size, PACKING_SIZE)
    charts = unwrap(mesh.vertices, mesh.faces)
    # where too many charts leave no room for gaps, colours may run over a little: better than none at all
    for padding in (max(2.0, PADDING * cells / size), 2.0, 1.0):
        uv = packing.packed(charts.uv, charts.faces, cells, padding)
        if uv is not None:
            return replace(charts, uv=uv)
    raise UnwrapFailed(
        f"The surface falls into more pieces than a texture of {size} texels holds. "
        "Ask for fewer target_faces, or for a larger texture."
    )


def _openness(mesh: Mesh, normals: NDArray[np.float32], charts: Charts, texels: Texels) -> NDArray[np.uint8]:
    """Ambient occlusion ``(s, s)``: traced at a few texels and spread to all, or traced where that fails."""

    def traced(some: Texels, where: NDArray[np.bool_] | slice) -> NDArray[np.float32]:
        own = some.of(normals[mesh.faces])
        own /= np.maximum(np.linalg.norm(own, axis=1, keepdims=True), 1e-12)
        points = some.of(mesh.vertices[mesh.faces])
        return occlusion.openness(mesh, points[where], own[where], some.face_normals(mesh)[where])

    size = len(texels.covered)
    if size <= OCCLUSION_SIZE:
        return texels.picture(np.round(traced(texels, slice(None)) * 255).astype(np.uint8))
    few = texels_of(charts, OCCLUSION_SIZE)
    values = occlusion.spread_out(few, traced(few, slice(None)), texels, mesh)
    missed = values < 0
    values[missed] = traced(texels, missed)
    return texels.picture(np.round(values * 255).astype(np.uint8))
