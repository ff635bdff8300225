"""USDZ, 3MF, PLY and GLB, as the programs that define them see them."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import lib3mf
import numpy as np
import pytest
import trimesh
from numpy.typing import NDArray
from PIL import Image
from pxr import Usd, UsdGeom, UsdShade, UsdValidation

from gpu_container import export, glb, mesh, small_glb, texture
from gpu_container.texture import TexturedMesh
from infra import artifacts
from tests.unit.test_export import Egg, gltf_document

ROOT = Path(__file__).parents[2]
HEIGHT_MM = 80.0


@pytest.fixture(scope="module")
def textured() -> TexturedMesh:
    egg = Egg()
    grid = egg.density_grid(64)
    return texture.bake(mesh.extract(egg, grid, 2000), egg, grid, 256)


@pytest.fixture(scope="module")
def folder(textured: TexturedMesh, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("models")
    export.write_models(textured, place, HEIGHT_MM)
    return place


# --- GLB ---


@pytest.mark.parametrize("name", [artifacts.GLB, artifacts.SMALL_GLB])
def test_the_validator_of_khronos_finds_nothing_in_the_glb(folder: Path, name: str) -> None:
    report = validate_gltf(folder / name)
    assert report["issues"]["messages"] == []
    assert report["info"]["totalVertexCount"] > 0


def test_the_validator_of_khronos_would_have_found_something(folder: Path, tmp_path: Path) -> None:
    spoilt = tmp_path / "spoilt.glb"
    spoilt.write_bytes((folder / artifacts.GLB).read_bytes().replace(b'"VEC2"', b'"VEC4"'))
    assert validate_gltf(spoilt)["issues"]["numErrors"] > 0


def test_the_small_glb_is_the_large_one_in_fewer_bytes(folder: Path) -> None:
    large, small = [trimesh.load_scene(folder / name) for name in (artifacts.GLB, artifacts.SMALL_GLB)]
    step = np.ptp(large.bounds, axis=0).max() / 65534
    np.testing.assert_allclose(small.bounds, large.bounds, atol=step)
    places, fewer = large.to_mesh(), small.to_mesh()
    np.testing.assert_array_equal(places.faces, fewer.faces)
    np.testing.assert_allclose(fewer.vertices, places.vertices, atol=step)
    turned = np.einsum("ij,ij->i", places.vertex_normals, fewer.vertex_normals)
    assert np.degrees(np.arccos(turned.clip(-1, 1))).max() < 0.5
    fewer.merge_vertices(merge_tex=True, merge_norm=True)
    assert fewer.is_watertight, "places that were the same are the same"
    assert (folder / artifacts.SMALL_GLB).stat().st_size < 0.4 * (folder / artifacts.GLB).stat().st_size


@pytest.mark.parametrize(("count", "component"), [(65535, 5123), (65536, 5125)])
def test_vertices_of_the_small_glb_are_numbered_in_two_bytes_as_long_as_they_last(
    tmp_path: Path, count: int, component: int
) -> None:
    angles = np.linspace(0, 2 * np.pi, count, endpoint=False, dtype=np.float32)
    around = np.stack([np.cos(angles), np.sin(angles), np.zeros_like(angles)], axis=-1)
    forward = np.tile(np.array([0, 0, 1], np.float32), (count, 1))
    tangents = np.tile(np.array([1, 0, 0, 1], np.float32), (count, 1))
    corners = np.array([[0, count // 3, count - 1]], np.int32)
    drawn = small_glb.webp(np.zeros((4, 4, 3), np.uint8))
    fan = glb.Geometry(around, forward, tangents, around[:, :2] / 2 + 0.5, corners)
    path = tmp_path / "fan.glb"
    path.write_bytes(small_glb.encode(fan, glb.Pictures(drawn, drawn, mime="image/webp")))
    indices = gltf_document(path)["accessors"][-1]
    assert (indices["componentType"], indices["count"]) == (component, 3)
    np.testing.assert_array_equal(trimesh.load_scene(path).to_mesh().faces, corners)


def validate_gltf(path: Path) -> dict[str, Any]:
    """The report of glTF-Validator, from the packages that the site is checked with."""
    if not (ROOT / "web" / "node_modules" / "gltf-validator").is_dir():
        pytest.skip("glTF-Validator is not installed: make web")
    script = (
        'const { readFileSync } = require("fs"); const { validateBytes } = require("gltf-validator");'
        "validateBytes(new Uint8Array(readFileSync(process.argv[1])))"
        ".then((report) => console.log(JSON.stringify(report)));"
    )
    node = shutil.which("node", path=str(ROOT / ".venv" / "bin")) or shutil.which("node")
    assert node, "Node.js is not installed: make setup"
    done = subprocess.run(
        [node, "-e", script, str(path)],
        cwd=ROOT / "web",
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return dict(json.loads(done.stdout))


# --- USDZ ---


def test_every_validator_of_usd_is_content_with_the_package(folder: Path) -> None:
    assert validate_usd(folder / artifacts.USDZ) == []


def test_the_validators_of_usd_would_have_found_something(folder: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(folder / artifacts.USDZ) as package, zipfile.ZipFile(tmp_path / "x.usdz", "w") as torn:
        torn.writestr("model.usdc", package.read("model.usdc"))  # its picture left behind
    assert validate_usd(tmp_path / "x.usdz")


def validate_usd(path: Path) -> list[str]:
    validators = UsdValidation.ValidationRegistry().GetOrLoadAllValidators()
    assert len(validators) > 20
    found = UsdValidation.ValidationContext(validators).Validate(Usd.Stage.Open(str(path)))
    return [error.GetErrorAsString() for error in found]


def test_the_package_is_what_quick_look_takes(folder: Path) -> None:
    with zipfile.ZipFile(folder / artifacts.USDZ) as package:
        members = package.infolist()
        assert [member.filename for member in members] == ["model.usdc", "color.png", "normal.png"]
        for member in members:
            assert member.compress_type == zipfile.ZIP_STORED
            with package.open(member) as opened:
                assert opened._orig_compress_start % 64 == 0, "each file begins at a multiple of 64 bytes"  # type: ignore[attr-defined]


def test_in_a_room_the_model_is_as_high_as_its_print_and_stands_on_the_floor(
    folder: Path, textured: TexturedMesh
) -> None:
    stage = Usd.Stage.Open(str(folder / artifacts.USDZ))
    assert UsdGeom.GetStageUpAxis(stage) == "Y"
    assert UsdGeom.GetStageMetersPerUnit(stage) == 1.0
    geometry = UsdGeom.Mesh(stage.GetPrimAtPath("/model/mesh"))
    points = np.array(geometry.GetPointsAttr().Get())
    faces = np.array(geometry.GetFaceVertexIndicesAttr().Get()).reshape(-1, 3)
    np.testing.assert_allclose((points[:, 1].min(), points[:, 1].max()), (0, HEIGHT_MM / 1000), atol=1e-6)
    np.testing.assert_allclose(points[:, [0, 2]].min(0), -points[:, [0, 2]].max(0), atol=1e-6)
    solid = trimesh.Trimesh(points, faces, process=False)
    assert solid.is_watertight
    assert solid.volume > 0
    np.testing.assert_allclose(np.array(geometry.GetExtentAttr().Get()), solid.bounds, atol=1e-7)
    assert geometry.GetSubdivisionSchemeAttr().Get() == "none"
    bound = UsdShade.MaterialBindingAPI(geometry).ComputeBoundMaterial()[0]
    assert bound.GetPath() == "/model/material"


# --- 3MF ---


def read_3mf(path: Path) -> tuple[Any, Any]:
    model = lib3mf.get_wrapper().CreateModel()
    reader = model.QueryReader("3mf")
    reader.SetStrictModeActive(True)
    reader.ReadFromFile(str(path))
    assert reader.GetWarningCount() == 0
    meshes = model.GetMeshObjects()
    assert meshes.MoveNext()
    return model, meshes.GetCurrentMeshObject()


def test_a_strict_reader_takes_the_3mf_without_a_warning(folder: Path, textured: TexturedMesh) -> None:
    model, solid = read_3mf(folder / artifacts.THREEMF)
    assert model.GetUnit() == lib3mf.ModelUnit.MilliMeter
    assert solid.IsManifoldAndOriented()
    assert solid.IsValid()
    assert solid.GetTriangleCount() == len(textured.mesh.faces)
    places = np.array([tuple(position.Coordinates) for position in solid.GetVertices()])
    expected = export.print_coordinates(textured.mesh, HEIGHT_MM)
    np.testing.assert_allclose(places, expected, atol=1e-3)
    assert places[:, 2].min() == pytest.approx(0, abs=1e-4)
    assert places[:, 2].max() == pytest.approx(HEIGHT_MM, abs=1e-3)


def test_every_corner_of_the_3mf_has_the_colour_that_the_field_has_there(
    folder: Path, textured: TexturedMesh
) -> None:
    model, solid = read_3mf(folder / artifacts.THREEMF)
    groups = model.GetColorGroups()
    assert groups.MoveNext()
    group = groups.GetCurrentColorGroup()
    palette = {number: group.GetColor(number) for number in group.GetAllPropertyIDs()}
    seen = np.zeros((len(textured.mesh.vertices), 3))
    for face, given in zip(textured.mesh.faces, solid.GetAllTriangleProperties(), strict=True):
        assert given.ResourceID == group.GetResourceID()
        for corner, number in zip(face, given.PropertyIDs, strict=True):
            color = palette[number]
            assert color.Alpha == 255
            seen[corner] = color.Red, color.Green, color.Blue
    assert_colors_of_the_field(seen, textured)


# --- PLY ---


def test_the_ply_is_closed_upright_and_coloured(folder: Path, textured: TexturedMesh) -> None:
    model = trimesh.load_mesh(folder / artifacts.PLY, process=False)
    assert model.is_watertight
    assert model.volume > 0
    np.testing.assert_allclose(model.vertices, export.z_up(textured.mesh.vertices), atol=1e-6)
    low, high = model.bounds
    assert np.ptp(model.bounds, axis=0).argmax() == 2  # z up
    np.testing.assert_allclose((low[0], high[0]), (-0.4, 0.6), atol=0.01)  # the bump stays on the right
    assert_colors_of_the_field(np.asarray(model.visual.vertex_colors)[:, :3], textured)


def assert_colors_of_the_field(colors: NDArray[Any], textured: TexturedMesh) -> None:
    expected = Egg().color(textured_points(textured)).numpy() * 255
    assert np.abs(colors - expected).max() < 4, "a texel may lie half its size beside the corner"


def textured_points(textured: TexturedMesh) -> Any:
    import torch

    return torch.from_numpy(textured.mesh.vertices)


# --- ambient occlusion ---


@pytest.fixture(scope="module")
def shaded(textured: TexturedMesh, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of a model that comes with a map of ambient occlusion."""
    place = tmp_path_factory.mktemp("shaded")
    steps = np.arange(256, dtype=np.uint8)
    export.write_models(replace(textured, occlusion=np.minimum.outer(steps, steps)), place, HEIGHT_MM)
    return place


def test_ambient_occlusion_is_a_file_of_its_own_and_told_to_whoever_can_use_it(shaded: Path) -> None:
    picture = Image.open(shaded / artifacts.OCCLUSION)
    assert picture.mode == "L"
    np.testing.assert_array_equal(np.diag(np.asarray(picture)), np.arange(256))
    for name in (artifacts.GLB, artifacts.SMALL_GLB):
        document = gltf_document(shaded / name)
        (material,) = document["materials"]
        told = document["textures"][material["occlusionTexture"]["index"]]
        source = told.get("source", told.get("extensions", {}).get("EXT_texture_webp", {}).get("source"))
        assert document["images"][source]["name"] == "model_occlusion"
        assert validate_gltf(shaded / name)["issues"]["messages"] == []
    stage = Usd.Stage.Open(str(shaded / artifacts.USDZ))
    surface = UsdShade.Shader(stage.GetPrimAtPath("/model/material/surface"))
    source, channel, _ = surface.GetInput("occlusion").GetConnectedSource()
    assert channel == "r"
    assert UsdShade.Shader(source).GetInput("file").Get().path == "./occlusion.png"
    assert validate_usd(shaded / artifacts.USDZ) == []


def test_without_it_no_file_speaks_of_it(folder: Path) -> None:
    assert not (folder / artifacts.OCCLUSION).exists()
    assert "occlusionTexture" not in gltf_document(folder / artifacts.GLB)["materials"][0]


# --- all ---


def test_the_same_model_gives_the_same_bytes_on_another_day(
    folder: Path, textured: TexturedMesh, tmp_path: Path
) -> None:
    time.sleep(2.1)  # ZIP files tell the time in steps of two seconds
    for path in export.write_models(textured, tmp_path, HEIGHT_MM):
        assert path.read_bytes() == (folder / path.name).read_bytes(), path.name
