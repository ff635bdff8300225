"""Each file, read by a library that did not write it, looks from all sides like the Field it was made of."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import lib3mf
import meshio
import numpy as np
import pytest
import trimesh
from numpy.typing import NDArray
from PIL import Image
from pxr import Usd, UsdGeom

from gpu_container import export
from gpu_container.texture import TexturedMesh
from infra import artifacts
from tests import viewer
from tests.unit.test_export import Egg, folder, textured

__all__ = ["folder", "textured"]  # fixtures

SIZE = 128
#: degrees about the upright axis
SIDES = [0, 90, 180, 270]
#: what a reader gave: places with y up, faces, and how to look at them
Body = tuple[NDArray[np.float64], NDArray[np.int64], Callable[..., viewer.Picture]]


def with_picture(path: Path) -> Body:
    """OBJ and GLB."""
    model = trimesh.load_scene(path, process=False).to_mesh()
    material = model.visual.material
    image = getattr(material, "baseColorTexture", None) or material.image
    uv = model.visual.uv * (1, -1) + (0, 1)  # trimesh has v upwards whatever the format
    texture = np.asarray(image.convert("RGB"))
    return model.vertices, model.faces, lambda *seen: viewer.look_at_mesh(*seen[:2], uv, texture, *seen[2:])


def usdz(path: Path) -> Body:
    stage = Usd.Stage.Open(str(path))
    geometry = UsdGeom.Mesh(stage.GetPrimAtPath("/model/mesh"))
    points = np.array(geometry.GetPointsAttr().Get(), float)
    faces = np.array(geometry.GetFaceVertexIndicesAttr().Get())
    place = UsdGeom.PrimvarsAPI(geometry).GetPrimvar("st")
    uv = np.array(place.Get())[np.array(place.GetIndices())] * (1, -1) + (0, 1)
    with zipfile.ZipFile(path) as package:
        texture = np.asarray(Image.open(io.BytesIO(package.read("color.png"))))
    corners = np.arange(faces.size).reshape(-1, 3)  # each has a place in the picture of its own
    return points[faces], corners, lambda *seen: viewer.look_at_mesh(*seen[:2], uv, texture, *seen[2:])


def ply(path: Path) -> Body:
    model = meshio.read(path)
    # It takes bytes for signed ones.
    colors = np.stack([model.point_data[name].view(np.uint8) for name in ("red", "green", "blue")], axis=-1)
    return upright(model.points), model.cells_dict["triangle"], in_colors(colors / 255)


def threemf(path: Path) -> Body:
    model = lib3mf.get_wrapper().CreateModel()
    model.QueryReader("3mf").ReadFromFile(str(path))
    meshes = model.GetMeshObjects()
    assert meshes.MoveNext()
    solid = meshes.GetCurrentMeshObject()
    groups = model.GetColorGroups()
    assert groups.MoveNext()
    group = groups.GetCurrentColorGroup()
    palette = {number: group.GetColor(number) for number in group.GetAllPropertyIDs()}
    colors = np.array(
        [
            (palette[number].Red, palette[number].Green, palette[number].Blue)
            for face in solid.GetAllTriangleProperties()
            for number in face.PropertyIDs
        ]
    )
    places = np.array([tuple(position.Coordinates) for position in solid.GetVertices()])
    faces = np.array([tuple(face.Indices) for face in solid.GetTriangleIndices()])
    corners = np.arange(faces.size).reshape(-1, 3)
    return upright(places[faces.ravel()]), corners, in_colors(colors / 255)


def stl(path: Path) -> Body:
    model = meshio.read(path)
    return upright(model.points), model.cells_dict["triangle"], viewer.look_at_shape


def upright(z_up: NDArray[np.float64]) -> NDArray[np.float64]:
    """From z up with the front towards -y to y up with the front towards +z."""
    return z_up[:, [0, 2, 1]] * (1, 1, -1)


def in_colors(colors: NDArray[np.float64]) -> Callable[..., viewer.Picture]:
    return lambda *seen: viewer.look_at_corners(*seen[:2], colors, *seen[2:])


def in_place(places: NDArray[np.float64], textured: TexturedMesh) -> NDArray[np.float64]:
    """Prints and rooms have their own size and origin: back to the Field's."""
    expected = export.y_up(textured.mesh.vertices)
    scale = np.ptp(expected[:, 1]) / np.ptp(places[:, 1])
    middles = [(them.min(axis=0) + them.max(axis=0)) / 2 for them in (expected, places)]
    return (places - middles[1]) * scale + middles[0]


@cache
def field_seen(degrees: float, shape: bool) -> viewer.Picture:
    return viewer.look_at_field(Egg(), SIZE, degrees, shape=shape)


@pytest.mark.parametrize("degrees", SIDES)
@pytest.mark.parametrize(
    ("name", "read", "decibels"),
    [
        (artifacts.OBJ, with_picture, 50),
        (artifacts.GLB, with_picture, 50),
        (artifacts.SMALL_GLB, with_picture, 42),
        (artifacts.USDZ, usdz, 50),
        (artifacts.PLY, ply, 50),
        (artifacts.THREEMF, threemf, 50),
        (artifacts.STL, stl, 30),
    ],
)
def test_a_reader_shows_what_the_field_shows(
    folder: Path,
    textured: TexturedMesh,
    name: str,
    read: Callable[[Path], Body],
    decibels: float,
    degrees: float,
) -> None:
    places, faces, look = read(folder / name)
    seen = look(in_place(places, textured) @ viewer.turn(degrees), faces, SIZE)
    expected = field_seen(degrees, read is stl)
    assert viewer.overlap(seen, expected) > 0.98
    assert viewer.psnr(seen, expected) > decibels


@pytest.mark.parametrize("degrees", SIDES)
def test_the_small_glb_looks_like_the_large_one(folder: Path, degrees: float) -> None:
    large, small = [
        look(places @ viewer.turn(degrees), faces, 2 * SIZE)
        for places, faces, look in map(with_picture, (folder / artifacts.GLB, folder / artifacts.SMALL_GLB))
    ]
    assert viewer.overlap(large, small) > 0.995
    assert viewer.psnr(large, small) > 42
