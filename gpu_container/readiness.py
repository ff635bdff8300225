"""What a worker does before its first job, so that no photo waits for it: load, compile, warm up."""

from __future__ import annotations

import io
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from infra.attempt import Pipeline, PipelineResult, Progress
from infra.options import Options
from infra.settings import Settings


def ready_pipeline(given: Settings) -> Pipeline:
    """The real pipeline, warmed up, its weights in place. Takes seconds, on a slow machine minutes.

    All of it happens in a thread of its own: signal handlers run in the main thread alone and between two steps
    of Python, and a library that loads or compiles takes none for a long time. What a handler raises ends the
    wait and tidies up; the thread is left to the end of the process.
    """
    with tempfile.TemporaryDirectory(prefix="maquette-", ignore_cleanup_errors=True) as folder:
        return ThreadPoolExecutor(1, "readiness").submit(_prepare, given, Path(folder)).result()


def _prepare(given: Settings, folder: Path) -> Pipeline:
    # Late, since torch takes seconds: nothing else that imports this module should pay for it.
    from gpu_container import device, engines, pipeline

    models = pipeline.Models(weights=given.weights, matte=given.matte_model)

    def run(photo: bytes, filename: str, options: Options, folder: Path, progress: Progress) -> PipelineResult:
        device.set_threads(given.threads)  # here, since the number belongs to the thread that sets it
        return pipeline.run(photo, filename, options, folder, progress, models)

    _warm_up(run, folder)
    engines.preload(models.weights, device.pick_device())
    return run


def _warm_up(pipeline: Pipeline, folder: Path) -> None:
    """One tiny run, so that kernels are compiled and libraries loaded before anyone waits for them."""
    from PIL import Image, ImageDraw

    picture = Image.new("RGBA", (96, 96), (0, 0, 0, 0))
    ImageDraw.Draw(picture).ellipse((16, 16, 80, 80), fill=(180, 90, 40, 255))
    photo = io.BytesIO()
    picture.save(photo, "PNG")
    small = Options(engine="inflate", resolution=32, texture_size=256, target_faces=500, views=4, view_size=64)
    pipeline(photo.getvalue(), "warm-up.png", small, folder, lambda stage, fraction: None)
