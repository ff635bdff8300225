"""The same binary glTF at a quarter of the size: numbers of one or two bytes, pictures as WebP.

Nothing has to be unpacked: graphics cards read such numbers as they are (``KHR_mesh_quantization``), browsers
such pictures (``EXT_texture_webp``), and so three.js, Babylon.js and their like need no decoder. What it was
chosen over, and what is lost: docs/decisions/0011-small-glb.md.
"""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gpu_container import glb

_EXTENSIONS = ("KHR_mesh_quantization", "EXT_texture_webp")
#: steps from the middle of the model to its furthest side
_STEPS = 32767
#: of WebP, 0..100, and how hard its encoder tries, 0..6: twice the time would gain two per cent
QUALITY, EFFORT = 90, 2


def encode(geometry: glb.Geometry, pictures: glb.Pictures, name: str = "model") -> bytes:
    """The bytes of a ``.glb``; the same model gives the same bytes.

    Args:
        pictures: WebP, see :func:`webp`.
    """
    low, high = geometry.positions.min(axis=0), geometry.positions.max(axis=0)
    middle = (low.astype(np.float64) + high) / 2
    step = float((high - low).max()) / 2 / _STEPS  # the same along all axes, else normals would lean
    attributes = {
        "POSITION": np.round((geometry.positions - middle) / step).clip(-_STEPS, _STEPS).astype("<i2"),
        "NORMAL": _bytes(geometry.normals),
        "TANGENT": _bytes(geometry.tangents),
        # Two bytes each would do, but not every reader knows that they stand for 0..1.
        "TEXCOORD_0": geometry.uv.astype("<f4"),
    }
    few = len(geometry.positions) < 2**16  # the last number means no vertex
    faces = geometry.faces.astype("<u2" if few else "<u4")
    node = {"name": name, "translation": middle.tolist(), "scale": [step] * 3}
    return glb.package(attributes, faces, pictures, node, _EXTENSIONS)


def _bytes(directions: NDArray[np.float32]) -> NDArray[np.int8]:
    return np.asarray(np.round(directions * 127), np.int8)


def webp(picture: NDArray[np.uint8]) -> bytes:
    """A picture ``(s, s)`` or ``(s, s, 3)`` as a lossy WebP file."""
    data = io.BytesIO()
    Image.fromarray(picture).convert("RGB").save(data, "WEBP", quality=QUALITY, method=EFFORT)
    return data.getvalue()
