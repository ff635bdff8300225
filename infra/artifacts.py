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
STL = "mesh.stl"
GLB = "mesh.glb"
USDZ = "mesh.usdz"
THREEMF = "mesh.3mf"
PLY = "mesh.ply"
VIDEO = "render.mp4"
POSTER = "poster.webp"
#: written last: a folder with a manifest is whole
MANIFEST = "manifest.json"

#: artifacts of every job, whatever its options; the views of the orbit come on top
FIXED = (INPUT, OBJ, MTL, TEXTURE, NORMAL_MAP, STL, GLB, USDZ, THREEMF, PLY, VIDEO, POSTER, MANIFEST)

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


def expected_names(views: int) -> tuple[str, ...]:
    """Every file that a job with so many views leaves behind; the manifest is the last."""
    return (*FIXED[:-1], *(view_name(index) for index in range(views)), MANIFEST)


def content_type(name: str) -> str:
    """The Content-Type of an artifact, told from its name.

    Raises:
        KeyError: no artifact has such an extension. Types are an allow-list: nothing is ever served as HTML.
    """
    return CONTENT_TYPES[PurePosixPath(name).suffix.lower()]
