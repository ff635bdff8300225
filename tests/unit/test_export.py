"""The files, read back by a library that had no hand in them."""

from __future__ import annotations

import hashlib
import json
import struct
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
import trimesh

from gpu_container import export, manifest, mesh, shading, texture
from gpu_container.photo import Frame
from gpu_container.texture import TexturedMesh
from infra import artifacts
from tests.fields import Ball


class Egg(Ball):
    """Taller than wide, with a bump on the photo's right; red on the right, green on top, blue in front."""

    def signed_distance(self, points: torch.Tensor) -> torch.Tensor:
        body = (1 - (points / torch.tensor([0.4, 0.4, 0.6])).norm(dim=-1)) * 0.4
        bump = 0.15 - (points - torch.tensor([0.0, 0.45, 0.2])).norm(dim=-1)
        return torch.maximum(body, bump)

    def color(self, points: torch.Tensor) -> torch.Tensor:
        return (points[:, [1, 2, 0]] / 1.74 + 0.5).clamp(0, 1)


@pytest.fixture(scope="module")
def textured() -> TexturedMesh:
    egg = Egg()
    grid = egg.density_grid(64)
    return texture.bake(mesh.extract(egg, grid, 2000), egg, grid, 256)


@pytest.fixture(scope="module")
def folder(textured: TexturedMesh, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("models")
    export.write_models(textured, place, 80.0)
    return place


def only_mesh(path: Path) -> trimesh.Trimesh:
    scene = trimesh.load_scene(path, process=False)
    (geometry,) = scene.geometry.values()
    return geometry


def gltf_document(path: Path) -> dict[str, Any]:
    data = path.read_bytes()
    magic, container_version, length, text_length, kind = struct.unpack("<4sIII4s", data[:20])
    assert (magic, container_version, length, kind) == (b"glTF", 2, len(data), b"JSON")
    return dict(json.loads(data[20 : 20 + text_length]))


def test_the_models_come_with_all_that_they_refer_to(folder: Path, textured: TexturedMesh) -> None:
    names = [artifacts.OBJ, artifacts.MTL, artifacts.TEXTURE, artifacts.STL, artifacts.GLB]
    names += [artifacts.NORMAL_MAP, artifacts.USDZ, artifacts.THREEMF, artifacts.PLY, artifacts.SMALL_GLB]
    assert sorted(path.name for path in folder.iterdir()) == sorted(names)
    assert "mtllib mesh.mtl" in (folder / "mesh.obj").read_text()
    assert "map_Kd mesh_texture.png" in (folder / "mesh.mtl").read_text()
    picture = cv2.imread(str(folder / "mesh_texture.png"), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(picture[..., ::-1], textured.texture)


@pytest.mark.parametrize("name", [artifacts.OBJ, artifacts.GLB])
def test_models_stand_upright_face_the_viewer_and_keep_their_right_side(folder: Path, name: str) -> None:
    model = only_mesh(folder / name)
    low, high = model.bounds
    assert np.ptp(model.bounds, axis=0).argmax() == 1  # y up: the egg is tallest
    np.testing.assert_allclose(high[1], 0.6, atol=0.01)
    np.testing.assert_allclose((low[0], high[0]), (-0.4, 0.6), atol=0.01)  # the bump stays on the right
    assert model.volume > 0  # faces outward: nothing was mirrored
    front = model.vertices[:, 2].argmax()
    assert model.vertex_normals[front] @ (0, 0, 1) > 0.98


def test_the_obj_is_closed_although_its_texture_is_cut(folder: Path, textured: TexturedMesh) -> None:
    lines = (folder / "mesh.obj").read_text().splitlines()
    places = np.array([line.split()[1:] for line in lines if line.startswith("v ")], float)
    corners = np.array(
        [[c.split("/") for c in line.split()[1:]] for line in lines if line.startswith("f ")], int
    )
    assert trimesh.Trimesh(places, corners[..., 0] - 1, process=False).is_watertight
    assert corners[..., 1].max() == sum(line.startswith("vt ") for line in lines) == len(textured.source)
    assert corners[..., 2].max() == sum(line.startswith("vn ") for line in lines) == len(places)


def test_the_glb_says_everything_a_viewer_needs(folder: Path, textured: TexturedMesh) -> None:
    document = gltf_document(folder / "mesh.glb")
    assert document["asset"] == {"version": "2.0", "generator": f"Maquette {export.version('maquette')}"}
    (primitive,) = document["meshes"][0]["primitives"]
    assert sorted(primitive["attributes"]) == [
        "NORMAL",
        "POSITION",
        "TANGENT",
        "TEXCOORD_0",
    ]  # no vertex colours
    (material,) = document["materials"]
    assert material["doubleSided"] is False
    assert material["pbrMetallicRoughness"]["metallicFactor"] == 0
    assert material["pbrMetallicRoughness"]["roughnessFactor"] == pytest.approx(0.9)
    assert document["samplers"][document["textures"][0]["sampler"]]["minFilter"] == 9987
    for view in document["bufferViews"]:
        assert view["byteOffset"] % 4 == 0
    places = document["accessors"][primitive["attributes"]["POSITION"]]
    upright = export.y_up(textured.vertices)
    np.testing.assert_allclose(places["min"], upright.min(axis=0))
    np.testing.assert_allclose(places["max"], upright.max(axis=0))
    for name in ("mesh_texture.png", "mesh_normal.png"):
        assert (folder / name).read_bytes() in (folder / "mesh.glb").read_bytes()


def test_normals_are_unit_long_smooth_and_outward(textured: TexturedMesh) -> None:
    ball = mesh.extract(Ball(0.5), Ball(0.5).density_grid(64), 2000)
    normals = shading.vertex_normals(ball.vertices, ball.faces)
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-6)
    along = np.einsum("ij,ij->i", normals, ball.vertices / np.linalg.norm(ball.vertices, axis=1, keepdims=True))
    assert along.min() > 0.995


def test_normals_of_vertices_without_area_are_still_unit_long() -> None:
    vertices = np.array([[0, 0, 0], [1, 0, 0], [2, 0, 0]], np.float32)
    normals = shading.vertex_normals(vertices, np.array([[0, 1, 2]], np.int32))
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1)


@pytest.mark.parametrize("height", [5.0, 80.0, 2000.0])
def test_the_stl_stands_on_the_bed_in_millimetres(
    textured: TexturedMesh, tmp_path: Path, height: float
) -> None:
    export.write_models(textured, tmp_path, height)
    data = (tmp_path / "mesh.stl").read_bytes()
    assert not data.startswith(b"solid")  # or readers take it for text
    assert len(data) == 84 + 50 * len(textured.faces)
    model = trimesh.load_mesh(tmp_path / "mesh.stl")  # merges equal corners
    assert model.is_watertight
    assert model.volume > 0
    low, high = model.bounds
    np.testing.assert_allclose((low[2], high[2]), (0, height), atol=1e-4 * height)
    np.testing.assert_allclose(low[:2] + high[:2], 0, atol=1e-4 * height)
    bump = model.vertices[model.vertices[:, 0].argmax()]
    assert bump[2] == pytest.approx(height * 0.8 / 1.2, rel=0.05)  # on the right, and up
    stored = np.frombuffer(data[84:], export._FACET)["normal"]
    np.testing.assert_allclose(np.linalg.norm(stored, axis=1), 1, atol=1e-5)


def test_the_same_mesh_gives_the_same_bytes(folder: Path, textured: TexturedMesh, tmp_path: Path) -> None:
    for path in export.write_models(textured, tmp_path, 80.0):
        assert path.read_bytes() == (folder / path.name).read_bytes()


def test_the_input_picture_is_what_the_engine_saw(tmp_path: Path) -> None:
    rgb = np.random.default_rng(0).random((32, 32, 3)).astype(np.float32)
    path = export.write_input(Frame(rgb, np.ones((32, 32), np.float32), frozenset()), tmp_path)
    assert path.name == artifacts.INPUT
    assert np.abs(cv2.imread(str(path))[..., ::-1] / 255 - rgb).max() <= 0.5 / 255 + 1e-6


def write_manifest(folder: Path, textured: TexturedMesh) -> dict[str, Any]:
    files = [folder / name for name in (artifacts.OBJ, artifacts.STL, artifacts.GLB)]
    path = manifest.write(
        folder,
        files,
        mesh=manifest.mesh_facts(textured.mesh, 80.0),
        options={"engine": "auto"},
        source={"name": "Fußgänger.png"},
        engine="inflate",
        matte="alpha",
        device="cpu",
        timings={"mesh": 0.123456},
        notices=["Something to know."],
    )
    assert path == folder / artifacts.MANIFEST
    return dict(json.loads(path.read_text("utf-8")))


def test_the_manifest_hashes_what_lies_on_the_disk(folder: Path, textured: TexturedMesh) -> None:
    content = write_manifest(folder, textured)
    assert [entry["name"] for entry in content["files"]] == ["mesh.obj", "mesh.stl", "mesh.glb"]
    for entry in content["files"]:
        data = (folder / entry["name"]).read_bytes()
        assert entry["bytes"] == len(data)
        assert entry["sha256"] == hashlib.sha256(data).hexdigest()
        assert entry["type"] == artifacts.content_type(entry["name"])
    assert content["input"]["name"] == "Fußgänger.png"
    assert content["timings"] == {"mesh": 0.1235}
    assert not list(folder.glob("*.part"))


def test_the_manifest_tells_the_truth_about_the_mesh(folder: Path, textured: TexturedMesh) -> None:
    facts = write_manifest(folder, textured)["mesh"]
    model = trimesh.Trimesh(textured.mesh.vertices, textured.mesh.faces, process=False)
    assert facts["faces"] == len(model.faces)
    assert facts["vertices"] == len(model.vertices)
    assert facts["watertight"] is facts["manifold"] is model.is_watertight is True
    assert (facts["bodies"], facts["genus"], facts["euler"]) == (1, 0, model.euler_number)
    assert facts["volume"] == pytest.approx(model.volume, rel=1e-4)
    assert facts["area"] == pytest.approx(model.area, rel=1e-4)
    np.testing.assert_allclose(facts["bounds"], model.bounds, atol=1e-6)
    printed = trimesh.load_mesh(folder / "mesh.stl")
    np.testing.assert_allclose(facts["print"]["size_mm"], np.ptp(printed.bounds, axis=0), atol=1e-3)
    assert facts["print"]["volume_cm3"] == pytest.approx(printed.volume / 1000, rel=1e-3)


def test_the_manifest_admits_a_mesh_with_holes(textured: TexturedMesh) -> None:
    torn = mesh.Mesh(textured.mesh.vertices, textured.mesh.faces[1:])
    facts = manifest.mesh_facts(torn, 100.0)
    assert facts["watertight"] is facts["manifold"] is False
    assert facts["genus"] is None


def test_every_artifact_has_a_type_and_pages_are_none_of_them() -> None:
    names = artifacts.expected_names(30)
    assert len(names) == len(set(names)) == 44
    assert artifacts.expected_names(30, 2, True)[-32:-30] == ("mesh_occlusion.png", "render_000.png")
    assert names[-1] == artifacts.MANIFEST
    assert all(artifacts.content_type(name) for name in names)
    with pytest.raises(KeyError):
        artifacts.content_type("index.html")
