"""Real photos all the way to files, each of which its own validator takes; skipped where there are none."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import trimesh

from gpu_container import pipeline
from infra import artifacts
from infra.options import Options
from tests.unit.test_formats import read_3mf, validate_gltf, validate_usd

PHOTOS = Path(__file__).parents[3] / "shared" / "photos"
MODEST = Options(
    engine="inflate",
    resolution=96,
    texture_size=256,
    target_faces=3000,
    lods=(1000,),
    views=4,
    view_size=64,
)

pytestmark = pytest.mark.skipif(not PHOTOS.is_dir(), reason="there are no photos beside this checkout")


@pytest.fixture(scope="module", params=sorted(path.name for path in PHOTOS.glob("*")))
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of files of one photo."""
    folder = tmp_path_factory.mktemp("photos")
    pipeline.run((PHOTOS / request.param).read_bytes(), request.param, MODEST, folder)
    return folder


def test_the_manifest_says_one_closed_body(
    model: Path, record_property: Callable[[str, object], None], capsys: pytest.CaptureFixture[str]
) -> None:
    told = json.loads((model / artifacts.MANIFEST).read_text())
    mesh = told["mesh"]
    record_property("euler", mesh["euler"])
    with capsys.disabled():
        print(f" {told['input']['name']}: Euler number {mesh['euler']}, {mesh['faces']} faces", end=" ")
    assert mesh["watertight"] is mesh["manifold"] is True
    assert (mesh["bodies"], mesh["genus"]) == (1, 1 - mesh["euler"] // 2)
    assert mesh["genus"] >= 0
    assert mesh["faces"] <= MODEST.target_faces * 1.01
    assert mesh["volume"] > 0
    assert mesh["print"]["self_intersections"] <= 0.005 * mesh["faces"]
    assert all(level["watertight"] for level in mesh["lods"])


@pytest.mark.parametrize("name", [artifacts.GLB, artifacts.SMALL_GLB, artifacts.lod_name(1)])
def test_the_validator_of_khronos_finds_nothing(model: Path, name: str) -> None:
    assert validate_gltf(model / name)["issues"]["messages"] == []


def test_the_validators_of_usd_find_nothing(model: Path) -> None:
    assert validate_usd(model / artifacts.USDZ) == []


def test_a_strict_reader_of_3mf_finds_nothing(model: Path) -> None:
    _, solid = read_3mf(model / artifacts.THREEMF)
    assert solid.IsValid()
    assert solid.IsManifoldAndOriented()


@pytest.mark.parametrize("name", [artifacts.OBJ, artifacts.GLB, artifacts.STL, artifacts.PLY])
def test_every_file_is_the_same_closed_body_that_faces_outward(model: Path, name: str) -> None:
    seen = trimesh.load_scene(model / name, process=False).to_mesh()
    seen.merge_vertices(merge_tex=True, merge_norm=True)
    assert seen.is_watertight
    assert seen.is_winding_consistent
    assert seen.body_count == 1
    mesh = json.loads((model / artifacts.MANIFEST).read_text())["mesh"]
    scale = np.ptp(seen.bounds, axis=0).max() / max(np.subtract(*mesh["bounds"][::-1]))
    assert seen.volume == pytest.approx(mesh["volume"] * scale**3, rel=1e-3)
    assert seen.euler_number == mesh["euler"]
