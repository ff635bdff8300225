"""Binary glTF 2.0 (Khronos 3D Formats Working Group, 2021): one mesh, one material, its pictures.

Written here rather than by a library because the pictures go in as the very bytes of the PNG files beside it,
every property is stated, and the same model gives the same bytes.
"""

from __future__ import annotations

import json
import struct
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

_MAGIC, _JSON_CHUNK, _BINARY_CHUNK = 0x46546C67, 0x4E4F534A, 0x004E4942
_FLOAT, _UNSIGNED_INT = 5126, 5125
_VERTICES, _INDICES = 34962, 34963
_LINEAR, _LINEAR_MIPMAP_LINEAR, _CLAMP_TO_EDGE = 9729, 9987, 33071
#: nothing in a photo says how shiny a thing is: matt looks right in any light
ROUGHNESS = 0.9


def encode(
    positions: NDArray[np.float32],
    normals: NDArray[np.float32],
    tangents: NDArray[np.float32],
    uv: NDArray[np.float32],
    faces: NDArray[np.int32],
    texture_png: bytes,
    normal_map_png: bytes,
    name: str = "model",
) -> bytes:
    """The bytes of a ``.glb``.

    Args:
        positions: ``(k, 3)``, y up, the front towards +z.
        normals: ``(k, 3)``, of length 1.
        tangents: ``(k, 4)``, of length 1, w = 1 or -1; given, so that every viewer bends normals alike.
        uv: ``(k, 2)``, v down from the picture's upper edge, as glTF has it.
        faces: ``(m, 3)``, counter-clockwise seen from outside.
        texture_png: the base colour, sRGB.
        normal_map_png: tangent space, green up the picture.
        name: of node, mesh and material.
    """
    buffer = _Buffer()
    attributes = {
        "POSITION": buffer.accessor(positions.astype("<f4"), "VEC3", _FLOAT, _VERTICES, bounds=True),
        "NORMAL": buffer.accessor(normals.astype("<f4"), "VEC3", _FLOAT, _VERTICES),
        "TANGENT": buffer.accessor(tangents.astype("<f4"), "VEC4", _FLOAT, _VERTICES),
        "TEXCOORD_0": buffer.accessor(uv.astype("<f4"), "VEC2", _FLOAT, _VERTICES),
    }
    indices = buffer.accessor(faces.astype("<u4").reshape(-1), "SCALAR", _UNSIGNED_INT, _INDICES)
    pictures = {f"{name}_texture": buffer.view(texture_png), f"{name}_normal": buffer.view(normal_map_png)}
    document = {
        "asset": {"version": "2.0", "generator": f"Maquette {version('maquette')}"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"name": name, "mesh": 0}],
        "meshes": [
            {"name": name, "primitives": [{"attributes": attributes, "indices": indices, "material": 0}]}
        ],
        "materials": [
            {
                "name": name,
                "pbrMetallicRoughness": {
                    "baseColorTexture": {"index": 0},
                    "metallicFactor": 0.0,
                    "roughnessFactor": ROUGHNESS,
                },
                "normalTexture": {"index": 1},
                "doubleSided": False,
            }
        ],
        "textures": [{"sampler": 0, "source": index} for index in range(len(pictures))],
        "samplers": [
            {
                "magFilter": _LINEAR,
                "minFilter": _LINEAR_MIPMAP_LINEAR,
                "wrapS": _CLAMP_TO_EDGE,
                "wrapT": _CLAMP_TO_EDGE,
            }
        ],
        "images": [
            {"name": picture, "mimeType": "image/png", "bufferView": view} for picture, view in pictures.items()
        ],
        "accessors": buffer.accessors,
        "bufferViews": buffer.views,
        "buffers": [{"byteLength": len(buffer.data)}],
    }
    text = json.dumps(document, separators=(",", ":")).encode()
    chunks = _chunk(_JSON_CHUNK, text, b" ") + _chunk(_BINARY_CHUNK, bytes(buffer.data), b"\0")
    return struct.pack("<III", _MAGIC, 2, 12 + len(chunks)) + chunks


class _Buffer:
    """The binary chunk as it grows, and what the document says of it."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.views: list[dict[str, Any]] = []
        self.accessors: list[dict[str, Any]] = []

    def view(self, content: bytes, target: int | None = None) -> int:
        """Append ``content`` at a multiple of four bytes, as accessors need it; the index of its view."""
        self.data += b"\0" * (-len(self.data) % 4)
        view = {"buffer": 0, "byteOffset": len(self.data), "byteLength": len(content)}
        self.views.append(view if target is None else {**view, "target": target})
        self.data += content
        return len(self.views) - 1

    def accessor(
        self, values: NDArray[Any], kind: str, component: int, target: int, bounds: bool = False
    ) -> int:
        """Append an array; the index of its accessor. POSITION must state its bounds."""
        entry: dict[str, Any] = {
            "bufferView": self.view(values.tobytes(), target),
            "componentType": component,
            "count": len(values),
            "type": kind,
        }
        if bounds:
            entry |= {"min": values.min(axis=0).tolist(), "max": values.max(axis=0).tolist()}
        self.accessors.append(entry)
        return len(self.accessors) - 1


def _chunk(kind: int, content: bytes, filler: bytes) -> bytes:
    content += filler * (-len(content) % 4)
    return struct.pack("<II", len(content), kind) + content
