"""The whole way of one photo, without any cloud."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import trimesh
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from gpu_container import pipeline
from infra import artifacts
from infra.errors import MaquetteError, NoClearObject, UnsupportedImage, WeightsMissing
from infra.options import Options
from infra.stages import STAGES, overall_progress

SMALL = Options(
    resolution=96,
    texture_size=256,
    target_faces=3000,
    views=8,
    view_size=128,
    lods=(500,),
    ambient_occlusion=True,
)
NAMES = artifacts.expected_names(SMALL.views, len(SMALL.lods), SMALL.ambient_occlusion)


def png(picture: Image.Image) -> bytes:
    data = io.BytesIO()
    picture.save(data, "PNG")
    return data.getvalue()


def figure() -> Image.Image:
    """A red head on a blue body with green arms, the left one raised, on nothing."""
    picture = Image.new("RGBA", (400, 400))
    draw = ImageDraw.Draw(picture)
    draw.rounded_rectangle((140, 180, 260, 350), 40, fill=(40, 60, 200))
    draw.line((150, 230, 70, 130), fill=(30, 160, 60), width=34)
    draw.line((250, 230, 330, 300), fill=(30, 160, 60), width=34)
    draw.ellipse((135, 50, 265, 200), fill=(210, 40, 40))
    return picture


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of one small run, shared by the tests that only look."""
    out = tmp_path_factory.mktemp("pipeline")
    pipeline.run(png(figure()), "figure.png", SMALL, out)
    return out


def picture(path: Path) -> NDArray[np.uint8]:
    return np.asarray(Image.open(path).convert("RGB"))


def test_every_artifact_is_there_and_nothing_else(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == sorted(NAMES)


def test_the_manifest_lists_each_file_with_its_own_hash(folder: Path) -> None:
    listed = json.loads((folder / "manifest.json").read_text())["files"]

    assert {entry["name"] for entry in listed} == {p.name for p in folder.iterdir()} - {"manifest.json"}
    for entry in listed:
        data = (folder / entry["name"]).read_bytes()
        assert (entry["bytes"], entry["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())


def test_the_manifest_tells_what_was_done_and_how_long_it_took(folder: Path) -> None:
    told = json.loads((folder / "manifest.json").read_text())

    assert told["engine"] == "inflate"
    assert told["matte"] == "alpha"
    assert told["options"]["resolution"] == 96
    assert told["input"]["sha256"] == hashlib.sha256(png(figure())).hexdigest()
    assert list(told["timings"]) == list(STAGES[:-1])
    assert all(seconds > 0 for seconds in told["timings"].values())


@pytest.mark.parametrize("name", ["mesh.obj", "mesh.stl", "mesh.glb", "mesh_small.glb", "mesh_lod1.glb"])
def test_each_model_is_one_closed_body_that_faces_outward(folder: Path, name: str) -> None:
    mesh = trimesh.load_mesh(folder / name)
    mesh.merge_vertices(merge_tex=True, merge_norm=True)

    assert mesh.is_watertight
    assert mesh.is_winding_consistent
    assert mesh.volume > 0
    assert mesh.body_count == 1
    assert len(mesh.faces) <= SMALL.target_faces * 1.01


def test_the_first_picture_shows_the_photo_s_side(folder: Path) -> None:
    """GIVEN a figure with one arm raised, WHEN seen from where the photo was taken, THEN it is the photo."""
    seen = picture(folder / "render_000.png")
    given = cv2.resize(picture(folder / "input.png"), seen.shape[:2], interpolation=cv2.INTER_AREA)
    drawn = (seen < 245).any(axis=-1)
    framed = (np.abs(given.astype(int) - 128) > 24).any(axis=-1)

    assert (drawn & framed).sum() / (drawn | framed).sum() > 0.9
    inside = cv2.erode((drawn & framed).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    assert np.abs(seen[inside].astype(int) - given[inside]).mean() < 12


def test_the_last_stage_follows_the_first_and_progress_never_falls(tmp_path: Path) -> None:
    told: list[tuple[str, float]] = []

    pipeline.run(png(figure()), "figure.png", SMALL, tmp_path, lambda stage, done: told.append((stage, done)))

    overall = [overall_progress(stage, done) for stage, done in told]
    assert overall == sorted(overall)
    assert list(dict.fromkeys(stage for stage, _ in told)) == list(STAGES[:-1])
    assert overall[0] == 0.0
    assert 0.9 < overall[-1] < 1.0  # the upload is the worker's


def test_the_same_photo_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    pipeline.run(png(figure()), "figure.png", SMALL, tmp_path)

    for name in set(NAMES) - {"manifest.json"}:
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes(), name


@pytest.mark.parametrize(
    ("data", "options", "error"),
    [
        (b"not a picture at all, whatever its name says", SMALL, UnsupportedImage),
        (png(Image.new("RGB", (300, 300), (90, 120, 90))), SMALL, NoClearObject),
        (png(figure()), Options(engine="triposr"), WeightsMissing),
    ],
)
def test_what_cannot_be_done_is_a_typed_error_and_leaves_no_manifest(
    tmp_path: Path, data: bytes, options: Options, error: type[MaquetteError]
) -> None:
    (tmp_path / "manifest.json").write_text("of an earlier run")

    with pytest.raises(error):
        pipeline.run(data, "photo.png", options, tmp_path)

    assert not (tmp_path / "manifest.json").exists()
