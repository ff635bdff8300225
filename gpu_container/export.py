"""The textured mesh as files that others open: OBJ with MTL and PNG, GLB, USDZ; STL, 3MF and PLY.

Axes: a Field has x towards the viewer, y to the photo's right, z up. OBJ, GLB and USDZ are y up and face +z;
STL, 3MF and PLY are z up, as slicers and scanners have it, and their front faces -y, where they put theirs.
All are right-handed, and so are the turns between them.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from gpu_container import glb, ply, small_glb, threemf, usdz
from gpu_container.mesh import Mesh
from gpu_container.photo import Frame
from gpu_container.texture import TexturedMesh
from infra import artifacts
from infra.errors import EncodingFailed

#: zlib's effort: more than this costs seconds and gains a few percent
_PNG_LEVEL = 4
#: one record of a binary STL
_FACET = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attributes", "<u2")])


def write_input(frame: Frame, folder: Path) -> Path:
    """``input.png``: the framed photo as the engine saw it."""
    path = folder / artifacts.INPUT
    path.write_bytes(_png(np.round(np.clip(frame.rgb, 0, 1) * 255).astype(np.uint8)))
    return path


def write_models(textured: TexturedMesh, folder: Path, print_height_mm: float) -> list[Path]:
    """Every form of the model in ``folder``; the same mesh gives the same bytes.

    Raises:
        OSError: ``folder`` cannot be written to.
    """
    maps = _maps(textured)
    mesh, normals = textured.mesh, textured.normals
    colors = corner_colors(textured)
    printed = print_coordinates(mesh, print_height_mm)
    contents: dict[str, Callable[[], bytes]] = {
        artifacts.OBJ: lambda: _obj(textured),
        artifacts.MTL: _mtl,
        artifacts.STL: lambda: _stl(printed, mesh.faces),
        artifacts.THREEMF: lambda: threemf.encode(printable),
        artifacts.PLY: lambda: ply.encode(z_up(mesh.vertices), z_up(normals), mesh.faces, colors),
        artifacts.GLB: lambda: glb.encode(_geometry(textured), glb.Pictures(*encoded())),
        artifacts.SMALL_GLB: lambda: _small_glb(textured),
        artifacts.USDZ: lambda: usdz.encode(
            standing(printed),
            y_up(normals),
            mesh.faces,
            textured.uv,
            textured.faces,
            usdz.named(*encoded()),
        ),
    }
    # a thread for each: those that hold pictures wait for them
    with ThreadPoolExecutor(len(maps) + len(contents)) as pool:
        pngs = [pool.submit(_png, picture) for picture in maps.values()]
        # each of its many short calls lets go of the interpreter's lock: nobody else may want that yet
        printable = threemf.build(printed, mesh.faces, colors)

        def encoded() -> list[bytes]:
            return [png.result() for png in pngs]

        models = pool.map(lambda name: _write(folder / name, contents[name]()), contents)
        pictures = pool.map(lambda name, png: _write(folder / name, png.result()), maps, pngs)
        return [*models, *pictures]


def write_lods(levels: Sequence[TexturedMesh], folder: Path) -> list[Path]:
    """``mesh_lod1.glb`` and on, in the order given; each with pictures of its own.

    Raises:
        OSError: ``folder`` cannot be written to.
    """
    return [
        _write(
            folder / artifacts.lod_name(number),
            glb.encode(_geometry(level), glb.Pictures(*map(_png, _maps(level).values()))),
        )
        for number, level in enumerate(levels, start=1)
    ]


def _maps(textured: TexturedMesh) -> dict[str, NDArray[np.uint8]]:
    """Colour, relief, and ambient occlusion if there is any, by the names they have beside the model."""
    maps = {artifacts.TEXTURE: textured.texture, artifacts.NORMAL_MAP: textured.normal_map}
    return maps if textured.occlusion is None else {**maps, artifacts.OCCLUSION: textured.occlusion}


def _write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def y_up(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Field coordinates ``(n, 3)`` to those of OBJ and glTF: x right, y up, z towards the viewer."""
    return np.ascontiguousarray(vectors[:, [1, 2, 0]])


def z_up(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Field coordinates ``(n, 3)`` to those of printers and scanners: x right, the front towards -y, z up."""
    return np.ascontiguousarray(vectors[:, [1, 0, 2]] * np.array([1, -1, 1], np.float32))


def standing(printed: NDArray[np.float32]) -> NDArray[np.float32]:
    """Print coordinates ``(n, 3)`` to those of a room: metres, y up from the floor, the front towards +z."""
    return np.ascontiguousarray(printed[:, [0, 2, 1]] * np.array([1e-3, 1e-3, -1e-3], np.float32))


def corner_colors(textured: TexturedMesh) -> NDArray[np.uint8]:
    """sRGB ``(n, 3)`` of each of the mesh's vertices, read from the texture where the vertex lies in it."""
    size = len(textured.texture)
    column, row = np.clip(np.floor(textured.uv.T * size).astype(np.int64), 0, size - 1)
    colors = np.zeros((len(textured.mesh.vertices), 3), np.uint8)
    colors[textured.source] = textured.texture[row, column]  # of several places the last; all show the same
    return colors


def print_coordinates(mesh: Mesh, height_mm: float) -> NDArray[np.float32]:
    """Vertices ``(n, 3)`` in millimetres: z up from the bed, the front towards -y, centred on the bed."""
    turned = z_up(mesh.vertices).astype(np.float64)
    low, high = turned.min(axis=0), turned.max(axis=0)
    origin = np.array([(low[0] + high[0]) / 2, (low[1] + high[1]) / 2, low[2]])
    return np.asarray((turned - origin) * (height_mm / (high[2] - low[2])), np.float32)


def _png(picture: NDArray[np.uint8]) -> bytes:
    stored = picture if picture.ndim == 2 else cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    done, data = cv2.imencode(".png", stored, [cv2.IMWRITE_PNG_COMPRESSION, _PNG_LEVEL])
    if not done:
        raise EncodingFailed("The texture could not be written as PNG. Please try again.")
    return bytes(data)


def _geometry(textured: TexturedMesh) -> glb.Geometry:
    tangents = textured.tangents
    return glb.Geometry(
        y_up(textured.vertices),
        y_up(textured.normals[textured.source]),
        np.concatenate([y_up(tangents[:, :3]), tangents[:, 3:]], axis=1),
        textured.uv,
        textured.faces,
    )


def _small_glb(textured: TexturedMesh) -> bytes:
    maps = _maps(textured)
    with ThreadPoolExecutor(len(maps)) as pool:
        pictures = glb.Pictures(*pool.map(small_glb.webp, maps.values()), mime="image/webp")
    return small_glb.encode(_geometry(textured), pictures)


def _obj(textured: TexturedMesh) -> bytes:
    """Wavefront OBJ. Places and texture coordinates are numbered apart: cuts leave the surface closed."""
    mesh = textured.mesh
    flipped = textured.uv * (1, -1) + (0, 1)  # v runs upwards here
    # place/texture coordinate/normal of each corner, counted from 1
    corners = np.stack([mesh.faces, textured.faces, mesh.faces], axis=-1) + 1
    return "".join(
        [
            f"# Maquette {version('maquette')}; y up, front towards +z\nmtllib {artifacts.MTL}\no model\n",
            _lines("v %.6f %.6f %.6f\n", y_up(mesh.vertices)),
            _lines("vt %.6f %.6f\n", flipped),
            _lines("vn %.4f %.4f %.4f\n", y_up(textured.normals)),
            "usemtl model\ns 1\n",
            _lines("f %d/%d/%d %d/%d/%d %d/%d/%d\n", corners.reshape(-1, 9)),
        ]
    ).encode()


def _lines(form: str, rows: NDArray[Any]) -> str:
    return (form * len(rows)) % tuple(rows.ravel().tolist())


def _mtl() -> bytes:
    return (
        f"# Maquette {version('maquette')}\nnewmtl model\nKa 0 0 0\nKd 1 1 1\nKs 0 0 0\nd 1\nillum 1\n"
        f"Pr {glb.ROUGHNESS:g}\nPm 0\nmap_Kd {artifacts.TEXTURE}\nnorm {artifacts.NORMAL_MAP}\n"
    ).encode()


def _stl(printed: NDArray[np.float32], faces: NDArray[np.int32]) -> bytes:
    """Binary STL. The format knows no unit: millimetres, which is what slicers take it for."""
    corners = printed[faces]
    facets = np.zeros(len(corners), _FACET)
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    facets["normal"] = np.divide(normals, lengths, out=np.zeros_like(normals), where=lengths > 0)
    facets["corners"] = corners
    header = f"Maquette {version('maquette')}, millimetres, z up".encode().ljust(80)
    return header + struct.pack("<I", len(facets)) + facets.tobytes()
