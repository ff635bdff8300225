"""``maquette up`` as a process, and what tests want to know of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import boto3
import numpy as np
from PIL import Image, ImageDraw

from infra.dynamodb import from_dynamodb
from infra.errors import NotRunning
from infra.job import TERMINAL, Job
from infra.local.state import DataFolder, Running

T = TypeVar("T")

#: options with which a job takes a second or two
QUICK = {"resolution": 64, "views": 4, "view_size": 64, "target_faces": 2000, "texture_size": 256}
QUICK_FLAGS = [text for name, value in QUICK.items() for text in (f"--{name.replace('_', '-')}", str(value))]
#: seconds that anything may take on a busy machine
PATIENCE = 100.0


def wait_for(look: Callable[[], T | None], what: str, seconds: float = PATIENCE) -> T:
    """What ``look`` answers once that is neither None nor empty."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"{what}: not in {seconds:.0f} s")


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "infra.cli", *map(str, arguments)]


def clean_environment(**more: str) -> dict[str, str]:
    """This process's environment without anything that other tests may have left in it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MAQUETTE_", "AWS_"))}
    return {**kept, "COLUMNS": "120", **more}


def maquette(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command line to its end."""
    return subprocess.run(
        command(*arguments),
        capture_output=True,
        text=True,
        env=clean_environment(**environment),
        timeout=PATIENCE,
    )


@dataclass
class Machine:
    """A running ``maquette up``."""

    process: subprocess.Popen[bytes]
    data: Path
    output: Path

    @property
    def running(self) -> Running:
        return DataFolder(self.data).running()

    def client(self, service: str, **options: Any) -> Any:
        given = self.running.environment
        options.setdefault("endpoint_url", given["AWS_ENDPOINT_URL"])
        return boto3.client(
            service,
            region_name=given["AWS_REGION"],
            aws_access_key_id=given["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=given["AWS_SECRET_ACCESS_KEY"],
            **options,
        )

    def drop(self, key: str, body: bytes, **options: object) -> str:
        """Put an object into the upload bucket with plain boto3; its key."""
        metadata = {name: str(value) for name, value in options.items()}
        bucket = self.running.environment["MAQUETTE_UPLOAD_BUCKET"]
        self.client("s3").put_object(Bucket=bucket, Key=key, Body=body, Metadata=metadata)
        return key

    def jobs(self, key: str) -> list[Job]:
        """Every job of the object at ``key``."""
        items = self.client("dynamodb").scan(TableName=self.running.environment["MAQUETTE_JOBS_TABLE"])["Items"]
        jobs = [Job.from_item(from_dynamodb(item)) for item in items]
        return [job for job in jobs if job.source.key == key]

    def job(self, key: str) -> Job:
        """The one job of the object at ``key``, once it is there."""
        (found,) = wait_for(lambda: self.jobs(key), f"a job of {key}")
        return found

    def ended_job(self, key: str) -> Job:
        """The one job of the object at ``key``, once it has ended."""

        def look() -> Job | None:
            job = self.job(key)
            return job if job.status in TERMINAL else None

        return wait_for(look, f"the end of the job of {key}\n{self.logs()}")

    def logs(self) -> str:
        return "\n".join(
            f"--- {path.name}\n{path.read_text(errors='replace')[-3000:]}"
            for path in sorted((self.data / "logs").iterdir())
            if path.name != "moto.log"
        )

    def descendants(self) -> set[int]:
        """Process ids of everything that it has started, directly or not."""
        return descendants(self.process.pid)

    def interrupt(self) -> int:
        """Ctrl-C, and the exit status."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(30)


@contextmanager
def machine(data: Path, *flags: str, program: list[str] | None = None, **environment: str) -> Iterator[Machine]:
    """Start ``maquette up`` on a free port, or a ``program`` like it, and wait until it says where it is."""
    data.mkdir(parents=True, exist_ok=True)
    output = data / "output"
    with output.open("wb") as file:
        process = subprocess.Popen(
            program or command("up", "--port", "0", "--data", data, *flags),
            stdin=subprocess.PIPE if program else None,
            stdout=file,
            stderr=subprocess.STDOUT,
            env=clean_environment(**environment),
        )
    started = Machine(process, data, output)
    try:
        wait_for(lambda: _is_up(started) or process.poll() is not None, "maquette up")
        assert process.poll() is None, output.read_text()
        yield started
    finally:
        if process.stdin is not None:
            process.stdin.close()
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _is_up(started: Machine) -> bool:
    try:
        return started.running.pid == started.process.pid
    except NotRunning:
        return False


def descendants(pid: int) -> set[int]:
    listing = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True
    ).stdout
    children: dict[int, list[int]] = {}
    for line in listing.splitlines():
        child, parent = map(int, line.split())
        children.setdefault(parent, []).append(child)
    found, pending = set(), [pid]
    while pending:
        for child in children.get(pending.pop(), []):
            found.add(child)
            pending.append(child)
    return found


def alive(pids: set[int]) -> set[int]:
    """Those that still run; a zombie does not."""
    listing = subprocess.run(
        ["ps", "-A", "-o", "pid=,stat="], capture_output=True, text=True, check=True
    ).stdout
    states = dict(line.split(maxsplit=1) for line in listing.splitlines())
    return {pid for pid in pids if not states.get(str(pid), "Z").startswith("Z")}


def photo_of_a_vase(path: Path) -> Path:
    """A picture of a simple object before a plain backdrop, (320, 320) RGB PNG."""
    picture = Image.new("RGB", (320, 320), (214, 210, 204))
    draw = ImageDraw.Draw(picture)
    draw.ellipse((90, 120, 230, 290), fill=(40, 110, 160))
    draw.rectangle((135, 60, 185, 140), fill=(40, 110, 160))
    draw.ellipse((115, 45, 205, 80), fill=(190, 80, 50))
    grain = np.random.default_rng(1).normal(0, 3, (320, 320, 1))
    noisy = np.clip(np.asarray(picture, dtype=np.float64) + grain, 0, 255).astype(np.uint8)
    Image.fromarray(noisy).save(path)
    return path
