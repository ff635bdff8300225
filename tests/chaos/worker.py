"""A worker process like any other, but that its calls meet with trouble and some photos are its end.

python -m tests.chaos.worker SEED light|real
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import sys
import time
from pathlib import Path

from gpu_container.worker import serve
from infra import telemetry
from infra.attempt import Pipeline, PipelineResult, Progress
from infra.options import Options
from infra.settings import settings
from tests.chaos.trouble import Trouble
from tests.cloud.stand_in import Result

#: bytes of the stand-in's largest file; above the limit of a full disk
LARGE = 300_000


def light(photo: bytes, filename: str, options: Options, folder: Path, progress: Progress) -> Result:
    """Half a second of stages, then five files that no other run makes alike."""
    folder.mkdir(parents=True, exist_ok=True)
    for stage in ("decode", "reconstruct", "render", "mesh", "texture", "export"):
        progress(stage, 0.0)
        time.sleep(random.uniform(0.03, 0.15))
        progress(stage, 1.0)
    files = []
    for name in ("mesh.obj", "mesh.glb", "mesh.stl", "render.mp4", "poster.webp"):
        path = folder / name
        path.write_bytes(os.urandom(LARGE if name == "mesh.glb" else 1000))
        files.append(path)
    entries = [{"name": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()} for path in files]
    manifest = folder / "manifest.json"
    manifest.write_text(json.dumps({"files": entries}))
    return Result([*files, manifest], manifest, {"decode": 0.1})


def moody(pipeline: Pipeline) -> Pipeline:
    """``pipeline``, but that a photo's name may be the end of its run, or of the process."""

    def run(photo: bytes, filename: str, options: Options, folder: Path, progress: Progress) -> PipelineResult:
        if filename.startswith("poison"):
            progress("mesh", 0.5)
            os.kill(os.getpid(), signal.SIGKILL)
        hoard = []
        while filename.startswith("hungry"):
            progress("mesh", 0.5)
            hoard.append(bytearray(os.urandom(1 << 20) * 16))
        return pipeline(photo, filename, options, folder, progress)

    return run


def main(seed: str, kind: str) -> None:
    """Serve until told to go."""
    given = settings()
    telemetry.start(given)
    if kind == "real":
        from gpu_container.readiness import ready_pipeline

        pipeline = ready_pipeline(given)
    else:
        pipeline = light
    Trouble(seed).install()
    serve(moody(pipeline))


if __name__ == "__main__":
    main(*sys.argv[1:])
