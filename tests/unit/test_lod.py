"""Further levels of detail: fewer faces and texels, the same look."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import trimesh

from gpu_container import lod, pipeline
from gpu_container.mesh import Mesh
from gpu_container.texture import TexturedMesh
from infra import artifacts
from infra.options import Options
from tests import viewer
from tests.unit.test_formats import validate_gltf
from tests.unit.test_pipeline import figure, png

LEVELS = (1200, 300)
OPTIONS = Options(
    resolution=96,
    texture_size=512,
    target_faces=5000,
    views=4,
    view_size=64,
    lods=LEVELS,
    ambient_occlusion=True,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("lods")
    pipeline.run(png(figure()), "figure.png", OPTIONS, out)
    return out


def model(path: Path) -> trimesh.Trimesh:
    return trimesh.load_scene(path, process=False).to_mesh()


def test_there_is_a_file_for_each_level_and_for_ambient_occlusion(folder: Path) -> None:
    expected = artifacts.expected_names(OPTIONS.views, len(LEVELS), ambient_occlusion=True)
    assert sorted(path.name for path in folder.iterdir()) == sorted(expected)


def test_the_manifest_says_of_each_level_what_is_in_its_file(folder: Path) -> None:
    told = json.loads((folder / artifacts.MANIFEST).read_text())["mesh"]["lods"]
    assert [level["name"] for level in told] == ["mesh_lod1.glb", "mesh_lod2.glb"]
    for level, asked in zip(told, LEVELS, strict=True):
        seen = model(folder / level["name"])
        assert level["texture_size"] == seen.visual.material.baseColorTexture.width
        seen.merge_vertices(merge_tex=True, merge_norm=True)
        assert len(seen.faces) == level["faces"] <= asked * 1.01
        assert len(seen.vertices) == level["vertices"]
        assert seen.is_watertight is level["watertight"] is True
        assert seen.volume > 0
        assert seen.body_count == 1


@pytest.mark.parametrize("number", [1, 2])
def test_no_validator_finds_anything_in_a_level(folder: Path, number: int) -> None:
    report = validate_gltf(folder / artifacts.lod_name(number))
    assert report["issues"]["messages"] == []
    assert [image["image"]["format"] for image in report["info"]["resources"] if "image" in image] == [
        "rgb",
        "rgb",
        "luminance",
    ]


@pytest.mark.parametrize("degrees", [0, 90, 180])
@pytest.mark.parametrize(("number", "overlap", "decibels"), [(1, 0.985, 34), (2, 0.975, 27)])
def test_a_level_looks_like_the_whole_from_afar(
    folder: Path, number: int, overlap: float, decibels: float, degrees: float
) -> None:
    def picture(name: str) -> viewer.Picture:
        seen = model(folder / name)
        uv = seen.visual.uv * (1, -1) + (0, 1)
        texture = np.asarray(seen.visual.material.baseColorTexture.convert("RGB"))
        return viewer.look_at_mesh(seen.vertices @ viewer.turn(degrees), seen.faces, uv, texture, 96)

    whole, level = picture(artifacts.GLB), picture(artifacts.lod_name(number))
    assert viewer.overlap(whole, level) > overlap
    assert viewer.psnr(whole, level) > decibels


@pytest.mark.parametrize(
    ("size", "faces", "side"),
    [(1024, 20000, 1024), (1024, 5000, 512), (1024, 1000, 256), (4096, 1250, 1024), (300, 100, 256)],
)
def test_each_face_covers_as_many_texels_on_every_level(size: int, faces: int, side: int) -> None:
    assert lod.texture_side(size, faces, of=20000) == side


def test_progress_rises_to_the_end_and_a_level_finer_than_the_surface_is_the_surface() -> None:
    ball = trimesh.creation.icosphere(3)
    surface = Mesh(ball.vertices.astype(np.float32), ball.faces.astype(np.int32))
    told: list[float] = []
    made: list[tuple[int, int]] = []

    def paint(mesh: Mesh, side: int, progress: object) -> TexturedMesh:
        made.append((len(mesh.faces), side))
        for part in (0.5, 1.0):
            progress(part)  # type: ignore[operator]
        return None  # type: ignore[return-value]

    lod.painted(surface, (200_000, 320), 1024, paint, told.append)
    assert made == [(1280, 1024), (1280, 1024), (320, 512)]
    assert told == sorted(told)
    assert told[-1] == 1.0
