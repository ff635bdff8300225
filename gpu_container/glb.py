"""Binary glTF 2.0 (Khronos 3D Formats Working Group, 2021): one mesh, one material, its pictures.

Written here rather than by a library because the pictures go in as the very bytes of the PNG files beside it,
every property is stated, and the same model gives the same bytes.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

_MAGIC, _JSON_CHUNK, _BINARY_CHUNK = 0x46546C67, 0x4E4F534A, 0x004E4942
_COMPONENT = {"<f4": 5126, "<i2": 5122, "|i1": 5120, "<u2": 5123, "<u4": 5125}
_VERTICES, _INDICES = 34962, 34963
_LINEAR, _LINEAR_MIPMAP_LINEAR, _CLAMP_TO_EDGE = 9729, 9987, 33071
#: nothing in a photo says how shiny a thing is: matt looks right in any light
ROUGHNESS = 0.9


@dataclass(frozen=True)
class Geometry:
    """Triangles with all that shading asks of their corners; y up, the front towards +z."""

    positions: NDArray[np.float32]  # (k, 3)
    normals: NDArray[np.float32]  # (k, 3) of length 1
    #: (k, 4) of length 1, w = 1 or -1; given, so that every viewer bends normals alike
    tangents: NDArray[np.float32]
    uv: NDArray[np.float32]  # (k, 2), v down from the picture's upper edge, as glTF has it
    faces: NDArray[np.int32]  # (m, 3), counter-clockwise seen from outside


@dataclass(frozen=True)
class Pictures:
    """Encoded pictures, all of one type."""

    color: bytes  # sRGB
    normal: bytes  # tangent space, green up the picture
    occlusion: bytes | None = (
        None  # its red channel: 0 where light from the sky does not reach, 255 where all does
    )
    mime: str = field(default="image/png", kw_only=True)


def encode(geometry: Geometry, pictures: Pictures, name: str = "model") -> bytes:
    """The bytes of a ``.glb`` that takes no extension to read; ``name`` is that of node, mesh and material."""
    attributes = {
        "POSITION": geometry.positions.astype("<f4"),
        "NORMAL": geometry.normals.astype("<f4"),
        "TANGENT": geometry.tangents.astype("<f4"),
        "TEXCOORD_0": geometry.uv.astype("<f4"),
    }
    return package(attributes, geometry.faces.astype("<u4"), pictures, {"name": name})


def package(
    attributes: Mapping[str, NDArray[Any]],
    faces: NDArray[Any],
    pictures: Pictures,
    node: Mapping[str, Any],
    extensions: Sequence[str] = (),
) -> bytes:
    """The bytes of a ``.glb`` of arrays that are numbers as the file shall have them.

    Args:
        attributes: ``(k, 2..4)`` each; bytes stand for -1..1, other whole numbers for themselves.
        faces: ``(m, 3)``.
        node: its name, and its place if it has one.
        extensions: those without which the file cannot be read.
    """
    buffer = _Buffer()
    numbered = {key: buffer.attribute(values, bounds=key == "POSITION") for key, values in attributes.items()}
    indices = buffer.indices(faces)
    name = node["name"]
    images = [
        {"name": f"{name}_{what}", "mimeType": pictures.mime, "bufferView": buffer.view(content)}
        for what, content in (
            ("texture", pictures.color),
            ("normal", pictures.normal),
            ("occlusion", pictures.occlusion),
        )
        if content is not None
    ]
    material = {
        "name": name,
        "pbrMetallicRoughness": {
            "baseColorTexture": {"index": 0},
            "metallicFactor": 0.0,
            "roughnessFactor": ROUGHNESS,
        },
        "normalTexture": {"index": 1},
        "doubleSided": False,
    }
    if pictures.occlusion is not None:
        material["occlusionTexture"] = {"index": 2}
    document = {
        "asset": {"version": "2.0", "generator": f"Maquette {version('maquette')}"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{**node, "mesh": 0}],
        "meshes": [{"name": name, "primitives": [{"attributes": numbered, "indices": indices, "material": 0}]}],
        "materials": [material],
        "textures": [_texture(index, pictures.mime) for index in range(len(images))],
        "samplers": [
            {
                "magFilter": _LINEAR,
                "minFilter": _LINEAR_MIPMAP_LINEAR,
                "wrapS": _CLAMP_TO_EDGE,
                "wrapT": _CLAMP_TO_EDGE,
            }
        ],
        "images": images,
        "accessors": buffer.accessors,
        "bufferViews": buffer.views,
        "buffers": [{"byteLength": len(buffer.data)}],
    }
    if extensions:
        document |= {"extensionsUsed": list(extensions), "extensionsRequired": list(extensions)}
    text = json.dumps(document, separators=(",", ":")).encode()
    chunks = _chunk(_JSON_CHUNK, text, b" ") + _chunk(_BINARY_CHUNK, bytes(buffer.data), b"\0")
    return struct.pack("<III", _MAGIC, 2, 12 + len(chunks)) + chunks


def _texture(source: int, mime: str) -> dict[str, Any]:
    if mime == "image/webp":
        return {"sampler": 0, "extensions": {"EXT_texture_webp": {"source": source}}}
    return {"sampler": 0, "source": source}


class _Buffer:
    """The binary chunk as it grows, and what the document says of it."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.views: list[dict[str, Any]] = []
        self.accessors: list[dict[str, Any]] = []

    def view(self, content: bytes, **more: int) -> int:
        """Append ``content`` at a multiple of four bytes, as accessors need it; the index of its view."""
        self.data += b"\0" * (-len(self.data) % 4)
        self.views.append({"buffer": 0, "byteOffset": len(self.data), "byteLength": len(content), **more})
        self.data += content
        return len(self.views) - 1

    def attribute(self, values: NDArray[Any], bounds: bool) -> int:
        """Append an array, its rows at multiples of four bytes; the index of its accessor."""
        count, width = values.shape
        gap = -(width * values.itemsize) % 4 // values.itemsize
        stride = {"byteStride": (width + gap) * values.itemsize} if gap else {}
        rows = np.pad(values, ((0, 0), (0, gap)))
        entry: dict[str, Any] = {
            "bufferView": self.view(rows.tobytes(), **stride, target=_VERTICES),
            "componentType": _COMPONENT[values.dtype.str],
            "count": count,
            "type": f"VEC{width}",
        }
        if values.dtype == np.int8:
            entry["normalized"] = True
        if bounds:  # POSITION must state them
            entry |= {"min": values.min(axis=0).tolist(), "max": values.max(axis=0).tolist()}
        self.accessors.append(entry)
        return len(self.accessors) - 1

    def indices(self, faces: NDArray[Any]) -> int:
        """Append the corners of faces ``(m, 3)``; the index of their accessor."""
        self.accessors.append(
            {
                "bufferView": self.view(faces.tobytes(), target=_INDICES),
                "componentType": _COMPONENT[faces.dtype.str],
                "count": faces.size,
                "type": "SCALAR",
            }
        )
        return len(self.accessors) - 1


def _chunk(kind: int, content: bytes, filler: bytes) -> bytes:
    content += filler * (-len(content) % 4)
    return struct.pack("<II", len(content), kind) + content
