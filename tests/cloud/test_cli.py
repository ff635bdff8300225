"""The command line, as somebody at a terminal meets it."""

from __future__ import annotations

import hashlib
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import httpx
import pytest

from infra.artifacts import expected_names
from infra.commands.demo import check_sound
from infra.errors import InternalError
from tests.cloud.machine import (
    QUICK,
    QUICK_FLAGS,
    Machine,
    clean_environment,
    machine,
    maquette,
    photo_of_a_vase,
)

#: what somebody who works with AWS has in their shell; a local cloud must not follow it
ELSEWHERE = {
    "AWS_PROFILE": "a-profile-that-does-not-exist",
    "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9",
    "AWS_SESSION_TOKEN": "of a real account",
}


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with machine(tmp_path_factory.mktemp("cloud"), **ELSEWHERE) as running:
        yield running


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return photo_of_a_vase(tmp_path_factory.mktemp("photo") / "vase.png")


def assert_sound(folder: Path) -> None:
    """Every artifact is there and has the hash that the manifest gives it."""
    manifest = json.loads((folder / "manifest.json").read_text())
    hashes = {entry["name"]: entry["sha256"] for entry in manifest["files"]}
    for name in set(expected_names(QUICK["views"])) - {"manifest.json"}:
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == hashes[name], name
    assert manifest["mesh"]["watertight"] is True
    assert {name: manifest["options"][name] for name in QUICK} == QUICK


@pytest.mark.parametrize("via", ["inbox", "rest"])
def test_submit_brings_back_a_sound_model(cloud: Machine, photo: Path, tmp_path: Path, via: str) -> None:
    flags = ["--data", cloud.data, "--via", via, "--out", tmp_path, *QUICK_FLAGS]
    answer = maquette("submit", *flags, photo, **ELSEWHERE)
    assert answer.returncode == 0, answer.stderr + cloud.logs()
    assert_sound(tmp_path / "vase")
    assert "inflate" in answer.stdout  # the closing table
    for stage in ("reconstruct", "mesh", "succeeded"):
        assert f"vase.png: {stage}" in answer.stderr


def test_photos_of_the_same_name_get_folders_of_their_own_and_one_failure_fails_no_other(
    cloud: Machine, photo: Path, tmp_path: Path
) -> None:
    twin = photo_of_a_vase(tmp_path / "vase.png")
    text = tmp_path / "letter.png"
    text.write_text("Dear reader")
    out = tmp_path / "models"
    answer = maquette("submit", "--data", cloud.data, "--out", out, *QUICK_FLAGS, photo, twin, text)
    assert answer.returncode == 1
    assert_sound(out / "vase")
    assert_sound(out / "vase-2")
    assert not (out / "letter").exists()
    assert "letter.png failed: unsupported_image:" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_without_watching_submit_prints_the_job_and_returns(cloud: Machine, photo: Path) -> None:
    answer = maquette("submit", "--no-watch", "--data", cloud.data, *QUICK_FLAGS, photo)
    assert answer.returncode == 0, answer.stderr
    job_id, name = answer.stdout.split()
    assert name == "vase.png"
    items = cloud.client("dynamodb").get_item(
        TableName=cloud.running.environment["MAQUETTE_JOBS_TABLE"], Key={"job_id": {"S": job_id}}
    )
    assert items["Item"]["owner"] == {"S": "operator"}


def test_the_exports_of_env_give_a_shell_and_plain_boto3_all_they_need(cloud: Machine) -> None:
    script = (
        "import boto3, os\n"
        "bucket = os.environ['MAQUETTE_UPLOAD_BUCKET']\n"
        "boto3.client('s3').put_object(Bucket=bucket, Key='elsewhere/hello', Body=b'hello')\n"
        "print(boto3.client('s3').get_object(Bucket=bucket, Key='elsewhere/hello')['Body'].read().decode())\n"
        "print(boto3.client('sqs').get_queue_attributes(QueueUrl=os.environ['MAQUETTE_JOB_QUEUE_URL'],\n"
        "    AttributeNames=['QueueArn'])['Attributes']['QueueArn'])\n"
    )
    shell = (
        f'eval "$({sys.executable} -m infra.cli env --data "$1")" && test -z "$MAQUETTE_SESSION_SECRET" '
        f'&& {sys.executable} -c "$2"'
    )
    answer = subprocess.run(
        ["/bin/sh", "-c", shell, "sh", str(cloud.data), script],
        capture_output=True,
        text=True,
        env=clean_environment(**ELSEWHERE),
    )
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.splitlines()[0] == "hello"
    assert ":sqs:" in answer.stdout.splitlines()[1]


def test_the_demo_ends_well_only_with_every_artifact_sound(tmp_path: Path) -> None:
    with socket.socket() as other:  # a taken port is no reason not to show anything
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        answer = maquette("demo", "--once", "--port", str(port), "--out", tmp_path / "models")
    assert answer.returncode == 0, answer.stderr
    (folder, *_) = sorted((tmp_path / "models").iterdir())
    for name in expected_names(30):
        assert (folder / name).stat().st_size > 0, name
        assert name in answer.stdout or name.startswith("render_0"), name
    assert "render_000.png … render_029.png" in answer.stdout
    assert json.loads((folder / "manifest.json").read_text())["mesh"]["watertight"] is True


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A folder of artifacts that is sound as far as the demo can tell."""
    bodies = {
        ".png": b"\x89PNG\r\n\x1a\n-",
        ".glb": b"glTF-",
        ".mp4": b"\0\0\0\x18ftypisom",
        ".webp": b"RIFF----WEBP",
    }
    names = [name for name in expected_names(4) if name != "manifest.json"]
    for name in names:
        (tmp_path / name).write_bytes(bodies.get(Path(name).suffix, b"-"))
    write_manifest(tmp_path, names)
    return tmp_path


def write_manifest(folder: Path, names: list[str], *, watertight: bool = True) -> None:
    files = [
        {"name": name, "sha256": hashlib.sha256((folder / name).read_bytes()).hexdigest()} for name in names
    ]
    manifest = {"options": {"views": 4}, "mesh": {"watertight": watertight}, "files": files}
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_the_demo_looks_at_every_artifact(model: Path) -> None:
    check_sound(model)
    for name in expected_names(4)[:-1]:
        whole = (model / name).read_bytes()
        (model / name).write_bytes(whole + b"!")
        with pytest.raises(InternalError, match=rf"{name} is not the file that the manifest describes"):
            check_sound(model)
        (model / name).unlink()
        with pytest.raises(InternalError, match=rf"{name} is missing or empty"):
            check_sound(model)
        (model / name).write_bytes(whole)
    check_sound(model)


def test_the_demo_is_not_fooled_by_a_name_or_an_open_mesh(model: Path) -> None:
    names = list(expected_names(4)[:-1])
    write_manifest(model, names, watertight=False)
    with pytest.raises(InternalError, match="not watertight"):
        check_sound(model)
    (model / "mesh.glb").write_bytes(b"# an OBJ by another name")
    write_manifest(model, names)
    with pytest.raises(InternalError, match="no GLB file"):
        check_sound(model)


def test_without_a_running_cloud_submit_and_env_say_how_to_start_one(photo: Path, tmp_path: Path) -> None:
    for arguments in (["submit", photo], ["env"]):
        answer = maquette(*arguments, "--data", tmp_path / "nothing")
        assert answer.returncode == 2
        assert answer.stderr.startswith("not_running:")
        assert "maquette up" in answer.stderr
        assert answer.stdout == ""


def test_an_option_out_of_bounds_is_told_before_anything_is_sent(photo: Path, tmp_path: Path) -> None:
    answer = maquette("submit", "--views", "1", "--data", tmp_path / "nothing", photo)
    assert answer.returncode == 2
    assert answer.stderr.startswith("invalid_option: views must lie between 4 and 120")


def test_run_passes_every_argument_on_to_the_pipeline(photo: Path, tmp_path: Path) -> None:
    answer = maquette("run", photo, "--out", tmp_path, *QUICK_FLAGS)
    assert answer.returncode == 0, answer.stderr
    assert_sound(tmp_path / "vase")


def test_run_help_is_that_of_the_pipeline() -> None:
    answer = maquette("run", "--help")
    assert answer.returncode == 0
    assert "--matte-model" in answer.stdout


def test_version_is_that_of_the_package() -> None:
    assert maquette("--version").stdout.strip() == f"maquette {version('maquette')}"


def test_help_names_every_command() -> None:
    answer = maquette("--help")
    assert answer.returncode == 0
    for name in ("up", "submit", "demo", "env", "run"):
        assert f" {name} " in answer.stdout


def test_a_cloud_with_an_access_key_knows_its_own_users_commands(photo: Path, tmp_path: Path) -> None:
    with machine(tmp_path, "--workers", "0", MAQUETTE_ACCESS_KEY="plaster") as running:
        stranger = httpx.post(f"{running.running.url}/sessions")
        assert (stranger.status_code, stranger.json()["error"]["code"]) == (401, "access_key_required")
        done = maquette("submit", photo, "--no-watch", "--via", "rest", "--data", tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
