"""The files a job leaves behind: their names, what each is for, and the type each is served as."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from types import MappingProxyType

INPUT = "input.png"
OBJ = "mesh.obj"
MTL = "mesh.mtl"
TEXTURE = "mesh_texture.png"
NORMAL_MAP = "mesh_normal.png"
#: only where it was asked for
OCCLUSION = "mesh_occlusion.png"
STL = "mesh.stl"
GLB = "mesh.glb"
#: the same, for a page that shows it: a quarter of the bytes, and extensions that not every program knows
SMALL_GLB = "mesh_small.glb"
USDZ = "mesh.usdz"
THREEMF = "mesh.3mf"
PLY = "mesh.ply"
VIDEO = "render.mp4"
POSTER = "poster.webp"
#: written last: a folder with a manifest is whole
MANIFEST = "manifest.json"

#: artifacts of every job, whatever its options; the views of the orbit come on top
FIXED = (INPUT, OBJ, MTL, TEXTURE, NORMAL_MAP, STL, GLB, SMALL_GLB, USDZ, THREEMF, PLY, VIDEO, POSTER, MANIFEST)

#: file name extension -> Content-Type (IANA registry; ``video/mp4`` for H.264 in MP4)
CONTENT_TYPES: Mapping[str, str] = MappingProxyType(
    {
        ".png": "image/png",
        ".webp": "image/webp",
        ".mp4": "video/mp4",
        ".obj": "model/obj",
        ".mtl": "model/mtl",
        ".stl": "model/stl",
        ".glb": "model/gltf-binary",
        ".usdz": "model/vnd.usdz+zip",
        ".3mf": "model/3mf",
        ".ply": "application/octet-stream",  # nobody has registered a type for it
        ".json": "application/json",
    }
)


def view_name(index: int) -> str:
    """The name of one picture of the orbit, ``render_000.png`` for the first."""
    return f"render_{index:03d}.png"


def lod_name(number: int) -> str:
    """The name of a further level of detail, ``mesh_lod1.glb`` for the first that was asked for."""
    return f"mesh_lod{number}.glb"


def expected_names(views: int, lods: int = 0, ambient_occlusion: bool = False) -> tuple[str, ...]:
    """Every file that a job leaves behind, the manifest last; ``lods`` counts further levels of detail."""
    on_request = [lod_name(number) for number in range(1, lods + 1)] + [OCCLUSION] * ambient_occlusion
    return (*FIXED[:-1], *on_request, *(view_name(index) for index in range(views)), MANIFEST)


def content_type(name: str) -> str:
    """The Content-Type of an artifact, told from its name.

    Raises:
        KeyError: no artifact has such an extension. Types are an allow-list: nothing is ever served as HTML.
    """
    return CONTENT_TYPES[PurePosixPath(name).suffix.lower()]
