"""Contact sheets of finished models, to be looked at: `python -m tests.bench.sheet FOLDER OUT.png [FILE]`.

FOLDER is what `maquette run --out` has written. Each model gets two rows, from six sides: as its GLB file has
it, and as plaster, so that its shape and its normal map are seen. The first picture is what the engine saw.
"""

from __future__ import annotations

import io
import json
import struct
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests import viewer

SIDE = 288
HALF = 0.7
#: degrees about the upright axis, then about the one to the right
SIDES = {
    "front": (0, 0),
    "right": (90, 0),
    "back": (180, 0),
    "left": (270, 0),
    "above": (0, 80),
    "below": (0, -80),
}
LIGHT = np.array([-0.45, 0.6, 0.66])
PAPER, PLASTER = (246, 244, 240), (224, 218, 208)
#: share of the light that comes from everywhere
AMBIENT = 0.42
_DTYPES = {5126: np.float32, 5125: np.uint32}


def main(folder: Path, out: Path, file: str = "mesh.glb") -> None:
    rows = [row for path in sorted(folder.glob(f"*/{file}")) for row in rows_of(path)]
    Image.fromarray(np.concatenate(rows)).save(out)


def rows_of(path: Path) -> list[NDArray[np.uint8]]:
    seen = cv2.resize(
        cv2.imread(str(path.parent / "input.png"))[..., ::-1], (SIDE, SIDE), interpolation=cv2.INTER_AREA
    )
    model = arrays_of(path)
    painted, plaster = zip(*(pictures(model, *angles) for angles in SIDES.values()), strict=True)
    title = np.full((SIDE, SIDE, 3), PAPER, np.uint8)
    cv2.putText(
        title, path.parent.name, (12, SIDE // 2), cv2.FONT_HERSHEY_SIMPLEX, 0.8, (40, 40, 40), 2, cv2.LINE_AA
    )
    return [np.concatenate([seen, *painted], axis=1), np.concatenate([title, *plaster], axis=1)]


def pictures(model: dict[str, Any], around: float, over: float) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The model painted and as plaster, ``(s, s, 3)`` each."""
    turned = viewer.turn(around) @ tilt(over)
    seen = viewer.look(model["POSITION"] @ turned, model["faces"], 2 * SIDE, HALF)
    uv, normal, tangent = (seen.of(model[name]) for name in ("TEXCOORD_0", "NORMAL", "TANGENT"))
    color = viewer.sample(model["pictures"][0], uv)
    bent = viewer.sample(model["pictures"][1], uv) * 2 - 1
    across = np.cross(normal, tangent[:, :3]) * np.sign(tangent[:, 3:])
    facing = (bent[:, :1] * tangent[:, :3] + bent[:, 1:2] * across + bent[:, 2:] * normal) @ turned
    facing /= np.linalg.norm(facing, axis=1, keepdims=True)
    light = (facing @ (LIGHT / np.linalg.norm(LIGHT))).clip(0)[:, None]
    return (
        drawn(seen, color * (0.8 + 0.25 * light)),
        drawn(seen, np.array(PLASTER) / 255 * (AMBIENT + (1.1 - AMBIENT) * light)),
    )


def tilt(degrees: float) -> NDArray[np.float64]:
    """A matrix for row vectors that shows more of the model's top for more degrees."""
    angle = np.radians(degrees)
    return np.array([[1, 0, 0], [0, np.cos(angle), np.sin(angle)], [0, -np.sin(angle), np.cos(angle)]])


def drawn(seen: viewer.Seen, colors: NDArray[np.float64]) -> NDArray[np.uint8]:
    """On paper, each pixel the mean of four."""
    picture = seen.picture(colors.clip(0, 1) * 255)
    picture = np.where(np.isnan(picture), np.array(PAPER, float), picture)
    return np.asarray(picture.reshape(SIDE, 2, SIDE, 2, 3).mean(axis=(1, 3)).round(), np.uint8)


def arrays_of(path: Path) -> dict[str, Any]:
    """Attributes, faces and pictures of a GLB file of one mesh without extensions."""
    data = path.read_bytes()
    (length,) = struct.unpack("<I", data[12:16])
    document, binary = json.loads(data[20 : 20 + length]), data[28 + length :]

    def view(index: int) -> bytes:
        told = document["bufferViews"][index]
        return binary[told["byteOffset"] :][: told["byteLength"]]

    def accessor(index: int) -> NDArray[Any]:
        told = document["accessors"][index]
        values = np.frombuffer(view(told["bufferView"]), _DTYPES[told["componentType"]])
        return values if told["type"] == "SCALAR" else values.reshape(-1, int(told["type"][-1])).astype(float)

    (primitive,) = document["meshes"][0]["primitives"]
    images = [Image.open(io.BytesIO(view(image["bufferView"]))) for image in document["images"]]
    return {
        **{name: accessor(index) for name, index in primitive["attributes"].items()},
        "faces": accessor(primitive["indices"]).reshape(-1, 3).astype(np.int64),
        "pictures": [np.asarray(image.convert("RGB")) for image in images],
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])
