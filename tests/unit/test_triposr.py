"""The learned engine from a checkpoint directory to files, by way of a checkpoint that holds a known scene."""

from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from PIL import Image, ImageDraw

from gpu_container import engines, pipeline
from gpu_container.engines import triposr
from gpu_container.photo import Frame
from infra.errors import WeightsCorrupt, WeightsMissing
from infra.options import Options
from tests import checkpoints, scene

CPU = torch.device("cpu")
SMALL = Options(engine="triposr", resolution=96, texture_size=256, target_faces=3000, views=4, view_size=128)


def photo() -> bytes:
    picture = Image.new("RGBA", (300, 300))
    ImageDraw.Draw(picture).ellipse((60, 40, 240, 260), fill=(200, 60, 40))
    data = io.BytesIO()
    picture.save(data, "PNG")
    return data.getvalue()


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoints.write_scene(tmp_path_factory.mktemp("weights"))


@pytest.fixture(scope="module")
def folder(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ``maquette run --engine triposr --weights …`` leaves behind."""
    out = tmp_path_factory.mktemp("out")
    (out / "ball.png").write_bytes(photo())
    usual = Options().as_dict()
    flags = [
        f"--{name.replace('_', '-')}={value}" for name, value in SMALL.as_dict().items() if value != usual[name]
    ]
    command = [sys.executable, "-m", "infra.cli", "run", str(out / "ball.png"), "--out", str(out), *flags]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MAQUETTE_")}
    done = subprocess.run(
        [*command, "--weights", str(weights)], capture_output=True, text=True, env=kept, timeout=100
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return out / "ball"


def test_a_run_with_weights_says_so_in_the_manifest(folder: Path) -> None:
    told = json.loads((folder / "manifest.json").read_text())
    assert told["engine"] == told["options"]["engine"] == "triposr"


def test_the_mesh_is_the_scenes(folder: Path) -> None:
    mesh = trimesh.load(folder / "mesh.stl")
    assert mesh.is_watertight
    assert mesh.is_winding_consistent
    assert mesh.volume > 0
    # a chair stands: in each corner of its foot there is a leg, in between there is nothing
    low = mesh.vertices[mesh.vertices[:, 2] < 20]
    middle = (low.min(axis=0) + low.max(axis=0)) / 2
    corners = {tuple(np.sign(vertex[:2] - middle[:2])) for vertex in low}
    assert len(corners) == 4
    assert np.linalg.norm(low[:, :2] - middle[:2], axis=1).min() > 5


def test_the_pictures_show_the_chair_with_its_blue_teapot(folder: Path) -> None:
    views = [np.asarray(Image.open(folder / f"render_{k:03d}.png"), dtype=int) for k in range(4)]
    for view in views:
        red, green, blue = view[..., 0], view[..., 1], view[..., 2]
        assert ((blue > red + 60) & (blue > green)).mean() > 0.01
        assert 0.1 < (view.min(axis=-1) < 200).mean() < 0.5
    assert np.abs(views[0] - views[2]).mean() > 10


def test_a_process_loads_the_weights_for_its_first_job_only(
    weights: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "gpu_container.engines.triposr")
    triposr._load.cache_clear()
    for job in ("first", "second"):
        result = pipeline.run(
            photo(), "ball.png", SMALL, tmp_path / job, models=pipeline.Models(weights=weights)
        )
        assert result.engine == "triposr"
    assert sum("loaded" in record.message for record in caplog.records) == 1


def test_new_weights_in_the_same_folder_are_loaded_anew(tmp_path: Path) -> None:
    first = engines.choose("triposr", checkpoints.write_scene(tmp_path), CPU)
    second = engines.choose("triposr", checkpoints.write_tiny(tmp_path), CPU)
    assert (first.frame_size, second.frame_size) == (512, 64)


def test_auto_takes_the_weights_that_are_there_and_says_when_there_are_none(
    weights: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "gpu_container.engines")
    assert engines.choose("auto", weights, CPU).name == "triposr"
    assert engines.choose("inflate", weights, CPU).name == "inflate"
    for absent in (None, tmp_path, tmp_path / "nowhere"):
        caplog.clear()
        assert engines.choose("auto", absent, CPU).name == "inflate"
        (line,) = caplog.messages
        assert "there are no TripoSR weights" in line


@pytest.mark.parametrize("absent", [None, Path("nowhere")])
def test_triposr_without_weights_is_an_error_and_never_another_engine(absent: Path | None) -> None:
    with pytest.raises(WeightsMissing, match="maquette weights fetch"):
        engines.choose("triposr", absent, CPU)


def test_auto_does_not_pass_over_damaged_weights(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (checkpoints.write_scene(tmp_path) / "model.safetensors").write_bytes(b"nothing that can be read")
    with pytest.raises(WeightsCorrupt):
        engines.choose("auto", tmp_path, CPU)
    engines.preload(tmp_path, CPU)  # a worker with such weights still starts
    assert "will fail" in caplog.text


def test_the_field_is_the_scene_whatever_the_photo(weights: Path) -> None:
    engine = engines.choose("triposr", weights, CPU)
    noise = np.random.default_rng(1).random((512, 512, 3), dtype=np.float32)
    field = engine.reconstruct(Frame(noise, np.ones((512, 512), np.float32), frozenset()))
    assert torch.equal(field.planes, scene.triplane())
