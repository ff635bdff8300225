"""Pipelines that stand in for the real one, and a worker process that runs one of them.

python -m tests.cloud.stand_in NAME [SECONDS]    the worker, as its container starts it, but for the pipeline
                                                 and shorter waits, and with so many seconds to go in
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from infra import telemetry
from infra.attempt import Pipeline, Progress
from infra.errors import CorruptImage, EncodingFailed
from infra.options import Options
from infra.settings import settings

log = logging.getLogger("gpu_container.stand_in")


@dataclass(frozen=True)
class Result:
    files: list[Path]
    manifest: Path
    timings: dict[str, float]
    engine: str = "stand-in"


def quick(photo: bytes, filename: str, options: Options, folder: Path, progress: Progress) -> Result:
    """Three small files and a manifest that lists them."""
    folder.mkdir(parents=True, exist_ok=True)
    for stage in ("decode", "mesh", "export"):
        progress(stage, 0.0)
        progress(stage, 1.0)
    files = [folder / name for name in ("mesh.obj", "mesh.glb", "render.mp4")]
    for path in files:
        path.write_bytes(photo + path.name.encode())
    manifest = folder / "manifest.json"
    entries = [{"name": path.name, "bytes": path.stat().st_size} for path in files]
    manifest.write_text(json.dumps({"files": entries, "options": options.as_dict(), "source": filename}))
    return Result([*files, manifest], manifest, {"decode": 0.1, "mesh": 0.2})


def slow(photo: bytes, filename: str, options: Options, folder: Path, progress: Progress) -> Result:
    """Some seconds, with news of it."""
    for step in range(30):
        progress("render", step / 30)
        time.sleep(0.1)
    return quick(photo, filename, options, folder, progress)


def talkative(photo: bytes, filename: str, options: Options, folder: Path, progress: Progress) -> Result:
    """Says something in every stage."""

    def told(stage: str, fraction: float) -> None:
        progress(stage, fraction)
        log.info("working on it")

    return quick(photo, filename, options, folder, told)


def silent(photo: bytes, filename: str, options: Options, folder: Path, progress: Progress) -> Result:
    """As if inside compiled code: it reports nothing and hears nothing for a long time."""
    progress("reconstruct", 0.0)
    time.sleep(60)
    return quick(photo, filename, options, folder, progress)


def deadly(photo: bytes, filename: str, options: Options, folder: Path, progress: Progress) -> Result:
    """Takes its process with it, as running out of memory does."""
    progress("mesh", 0.5)
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def damaged(photo: bytes, filename: str, options: Options, folder: Path, progress: Progress) -> Result:
    """The photo's fault."""
    raise CorruptImage("This picture is damaged.")


def unlucky(photo: bytes, filename: str, options: Options, folder: Path, progress: Progress) -> Result:
    """The moment's fault: another attempt may do better."""
    raise EncodingFailed("The video could not be encoded.")


def defective(photo: bytes, filename: str, options: Options, folder: Path, progress: Progress) -> Result:
    """Ours."""
    raise ZeroDivisionError("secret detail of the trace")


def swelling(photo: bytes, filename: str, options: Options, folder: Path, progress: Progress) -> Result:
    """Takes more and more memory, and says how far it is."""
    taken = []
    for step in range(400):
        taken.append(bytearray(b"x") * 10_000_000)
        progress("mesh", step / 400)
        time.sleep(0.01)
    return quick(photo, filename, options, folder, progress)


def bursting(photo: bytes, filename: str, options: Options, folder: Path, progress: Progress) -> Result:
    """Takes a lot of memory at one stroke, in which nobody else gets to look."""
    progress("mesh", 0.0)
    taken = bytearray(b"x") * 4_000_000_000
    progress("mesh", len(taken))
    return quick(photo, filename, options, folder, progress)


_hoard: list[bytearray] = []


def hoarding(photo: bytes, filename: str, options: Options, folder: Path, progress: Progress) -> Result:
    """Takes what it can get, keeps it, and hears nothing."""
    while True:
        with contextlib.suppress(MemoryError):
            _hoard.append(bytearray(b"x") * 10_000_000)
        time.sleep(0.01)


def as_the_photo_says(
    photo: bytes, filename: str, options: Options, folder: Path, progress: Progress
) -> Result:
    """One of the others, by name."""
    return PIPELINES[photo.decode()](photo, filename, options, folder, progress)


PIPELINES: dict[str, Callable[..., Result]] = {
    pipeline.__name__: pipeline
    for pipeline in (
        quick,
        slow,
        talkative,
        silent,
        deadly,
        damaged,
        unlucky,
        defective,
        swelling,
        bursting,
        hoarding,
        as_the_photo_says,
    )
}


def main() -> None:
    from gpu_container import protection, worker

    worker.RECEIVE_SECONDS, worker.BACKOFF_SECONDS, worker.PATIENCE_SECONDS = 1, 0.5, 1.0
    protection.TIMEOUT_SECONDS = 2.0
    telemetry.start(settings())
    pipeline: Pipeline = PIPELINES[sys.argv[1]]
    worker.serve(pipeline, int(sys.argv[2]) if len(sys.argv) > 2 else worker.STOP_SECONDS)


if __name__ == "__main__":
    main()
