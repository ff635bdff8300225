"""A photo's way, with a worker that is started as its container starts it.

It is installed, as the image installs it, into a folder of its own; it runs from ``/`` with the variables of
the image and of the task definition, and no other: nothing leads from it back to this checkout.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from infra.artifacts import expected_names
from infra.local.template import TEMPLATE, load
from tests import dockerfile
from tests.cloud.machine import QUICK, Machine, machine, photo_of_a_vase, wait_for

ROOT = dockerfile.ROOT
#: the packages of other people that this Python uses
PACKAGES = Path(sysconfig.get_paths()["purelib"])
#: what leads boto3 to the local cloud; in ECS the task's role and the host say it
TO_THIS_CLOUD = ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")


@dataclass
class Installed:
    """The worker's Python, and its environment."""

    python: Path
    code: Path
    environment: dict[str, str]

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.python, *arguments], cwd="/", env=self.environment, capture_output=True, text=True, timeout=60
        )

    @property
    def healthy(self) -> bool:
        """What the image's health check would say."""
        return self.run("-m", "gpu_container.health").returncode == 0


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with machine(tmp_path_factory.mktemp("cloud"), "--workers", "0") as running:
        yield running


@pytest.fixture(scope="module")
def installed(cloud: Machine, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp("image")
    source, code, venv = folder / "source", folder / "code", folder / "maquette"
    source.mkdir()
    for instruction in dockerfile.read():
        if instruction.name == "COPY" and "--from=" not in instruction.text:
            for name in instruction.words[:-1]:
                _copy(ROOT / name, source)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    subprocess.run([*pip, "--no-build-isolation", "--target", code, source], check=True)
    (packages,) = venv.glob("lib/python3.*/site-packages")
    # Of a folder that such a file names, no .pth file is read: one of those leads to the checkout.
    (packages / "maquette.pth").write_text(f"{code}\n{PACKAGES}\n")
    return Installed(venv / "bin" / "python", code, _environment(cloud, folder))


def _copy(path: Path, folder: Path) -> None:
    if path.is_dir():
        ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
        shutil.copytree(path, folder / path.name, ignore=ignored, dirs_exist_ok=True)
    else:
        shutil.copy(path, folder)


def _environment(cloud: Machine, folder: Path) -> dict[str, str]:
    """The image's variables, with its volumes here; the task definition's; the way to the local cloud."""
    of_the_image = dockerfile.variables(dockerfile.read())
    of_the_image = {name: value for name, value in of_the_image.items() if "/opt/models" not in value}
    of_the_image |= {"PATH": str(folder / "maquette" / "bin"), "HOME": str(folder), "TMPDIR": str(folder)}
    resources = load(TEMPLATE, region="us-east-1")["Resources"]
    (container,) = resources["WorkerTask"]["Properties"]["ContainerDefinitions"]
    told = {"AWS_DEFAULT_REGION": "us-east-1", "MAQUETTE_DEPLOYMENT": "maquette"} | dict(
        cloud.running.environment
    )
    of_the_task = {
        entry["Name"]: entry["Value"] if isinstance(entry["Value"], str) else told[entry["Name"]]
        for entry in container["Environment"]
    }
    leading = {name: cloud.running.environment[name] for name in TO_THIS_CLOUD}
    here = {
        "MAQUETTE_HEALTH_FILE": str(folder / "alive"),
        "NUMBA_CACHE_DIR": str(folder / "kernels"),
    }
    return of_the_image | of_the_task | leading | here


@pytest.fixture(scope="module")
def worker(installed: Installed) -> Iterator[subprocess.Popen[str]]:
    log = installed.code.parent / "log"
    with log.open("w") as output:
        command = [installed.python, "-m", "gpu_container.worker"]
        process = subprocess.Popen(
            command, cwd="/", env=installed.environment, stdout=output, stderr=subprocess.STDOUT, text=True
        )
    yield process
    process.kill()
    process.wait()


def told(installed: Installed) -> list[dict[str, Any]]:
    """The worker's log; every line is a JSON object."""
    return [json.loads(line) for line in (installed.code.parent / "log").read_text().splitlines()]


def test_nothing_of_the_worker_comes_from_this_checkout(installed: Installed) -> None:
    names = ("gpu_container.worker", "gpu_container.pipeline", "infra.settings")
    origins = f"(util.find_spec(name).origin for name in {names})"
    program = f"import sys; from importlib import util; print(*sys.path, *{origins}, sep='\\n')"
    shown = installed.run("-c", program)
    assert shown.returncode == 0, shown.stderr
    *searched, first, second, third = (Path(line) for line in shown.stdout.splitlines())
    assert all(path.is_relative_to(installed.code) for path in (first, second, third)), shown.stdout
    assert [path for path in searched if path.is_relative_to(ROOT)] == [PACKAGES]


def test_a_photo_dropped_becomes_a_complete_model_and_the_worker_goes_when_told(
    cloud: Machine, installed: Installed, worker: subprocess.Popen[str], tmp_path: Path
) -> None:
    assert not installed.healthy, "it cannot be ready so soon"
    key = cloud.drop("inbox/vase.png", photo_of_a_vase(tmp_path / "vase.png").read_bytes(), **QUICK)
    job = cloud.ended_job(key)
    assert (job.status, job.attempt, job.error) == ("succeeded", 1, None), told(installed)

    s3, bucket = cloud.client("s3"), cloud.running.environment["MAQUETTE_ARTIFACT_BUCKET"]
    prefix = f"jobs/{job.job_id}/1/"
    assert job.manifest_key == f"{prefix}manifest.json"
    manifest = json.load(s3.get_object(Bucket=bucket, Key=job.manifest_key)["Body"])
    assert manifest["mesh"]["watertight"] is True
    described = {entry["name"]: entry["sha256"] for entry in manifest["files"]}
    assert set(expected_names(QUICK["views"])) <= {*described, "manifest.json"}
    for name, sha256 in described.items():
        body = s3.get_object(Bucket=bucket, Key=prefix + name)["Body"].read()
        assert hashlib.sha256(body).hexdigest() == sha256, name

    wait_for(lambda: installed.healthy, "a healthy worker")
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(20) == 0
    assert [line for line in told(installed) if line.get("job_id") == job.job_id]
