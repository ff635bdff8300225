"""Seconds of each stage, through the real pipeline."""

from __future__ import annotations

import io
import statistics
import tempfile
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import torch
from PIL import Image, ImageDraw
from rich.console import Console

from gpu_container import pipeline, render
from gpu_container.field import Field
from infra.options import Options

SAMPLES = Path(__file__).parents[2] / "infra" / "local" / "samples"


@dataclass(frozen=True)
class Measured:
    """One photo's medians, and the field they led to."""

    name: str
    engine: str
    medians: dict[str, float]  # seconds per stage
    every_run: list[dict[str, float]]
    #: median of the runs' sums, which is not the sum of the medians
    total: float
    field: Field
    grid: torch.Tensor  # (r, r, r) raw density

    def as_dict(self) -> dict[str, object]:
        """For bench.json."""
        return {
            "engine": self.engine,
            "total": self.total,
            "medians": self.medians,
            "every_run": self.every_run,
        }


def sample_photos() -> list[Path]:
    """The project's sample photos, or a drawn figure where there are none."""
    found = (
        sorted(path for path in SAMPLES.iterdir() if path.suffix in (".jpg", ".png"))
        if SAMPLES.exists()
        else []
    )
    return found or [_drawn_figure()]


def measure(photo: Path, runs: int, console: Console) -> Measured:
    """Run ``photo`` once to warm up, then ``runs`` times."""
    seen: list[tuple[Field, torch.Tensor]] = []
    orbit = render.orbit

    def remember(field: Field, grid: torch.Tensor, *rest: object) -> object:
        seen[:] = [(field, grid)]
        return orbit(field, grid, *rest)  # type: ignore[arg-type]

    data = photo.read_bytes()
    every_run = []
    with tempfile.TemporaryDirectory() as folder, mock.patch.object(render, "orbit", remember):
        for k in range(runs + 1):
            with console.status(f"{photo.name}: {'warming up' if k == 0 else f'run {k} of {runs}'}"):
                result = pipeline.run(data, photo.name, Options(), Path(folder))
            if k > 0:
                every_run.append(dict(result.timings))
    field, grid = seen[0]
    return Measured(
        name=photo.stem,
        engine=result.engine,
        medians={stage: statistics.median(run[stage] for run in every_run) for stage in every_run[0]},
        every_run=every_run,
        total=statistics.median(sum(run.values()) for run in every_run),
        field=field,
        grid=grid,
    )


def _drawn_figure() -> Path:
    """A red head on a blue body, on nothing."""
    picture = Image.new("RGBA", (800, 800))
    draw = ImageDraw.Draw(picture)
    draw.rounded_rectangle((280, 360, 520, 700), 80, fill=(40, 60, 200))
    draw.ellipse((270, 100, 530, 400), fill=(210, 40, 40))
    data = io.BytesIO()
    picture.save(data, "PNG")
    path = Path(tempfile.mkdtemp()) / "figure.png"
    path.write_bytes(data.getvalue())
    return path
