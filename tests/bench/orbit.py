"""The orbit against the plain formulas, and where its time goes."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from rich.console import Console

from gpu_container import march, render, video
from gpu_container.field import Field
from tests import reference

VIEWS, SIZE = 30, 512
#: the plain formulas are asked for this many views of this side, and their seconds scaled by the rays; smaller
#: pictures would measure the overhead of short tensor calls, and flatter the orbit
PLAIN_VIEWS, PLAIN_SIZE = 4, 256


@dataclass(frozen=True)
class Measured:
    """Medians in seconds, counts, and ratios of the same run of this program."""

    views: int
    size: int
    runs: int
    orbit: float
    png: float
    video: float
    #: the plain formulas' seconds for ``PLAIN_VIEWS`` of ``PLAIN_SIZE``², and scaled to the orbit's rays
    plain_measured: float
    plain: float
    #: agreement of those views with the orbit's, decibels, the worst of them
    decibels: float
    rays: int  # marched: the rest are seen to miss beforehand
    color_points: int
    #: thread seconds of one orbit, by part
    parts: dict[str, float]

    @property
    def ratio(self) -> float:
        """How much faster the orbit is than the plain formulas."""
        return self.plain / self.orbit

    def as_dict(self) -> dict[str, object]:
        """For bench.json."""
        return {**asdict(self), "ratio": self.ratio}

    def rows(self) -> list[tuple[str, str]]:
        """What is measured, and the number."""
        return [
            ("orbit, seconds", f"{self.orbit:.2f}"),
            ("PNG files, seconds", f"{self.png:.2f}"),
            ("video, seconds", f"{self.video:.2f}"),
            (f"plain formulas, scaled from {PLAIN_VIEWS} views at {PLAIN_SIZE}², seconds", f"{self.plain:.0f}"),
            ("times faster than those", f"{self.ratio:.0f}"),
            ("agreement with them, decibels", f"{self.decibels:.1f}"),
            ("rays marched, millions", f"{self.rays / 1e6:.2f} of {self.views * self.size**2 / 1e6:.2f}"),
            ("colours asked, a ray", f"{self.color_points / self.rays:.2f}"),
            *((f"thread seconds: {part}", f"{seconds:.2f}") for part, seconds in self.parts.items()),
        ]


def measure(field: Field, grid: torch.Tensor, runs: int, console: Console) -> Measured:
    """Draw ``field`` by both ways, several times."""
    with console.status("orbit"):
        pictures = render.orbit(field, grid, VIEWS, SIZE)
        orbit = _median(runs, lambda: render.orbit(field, grid, VIEWS, SIZE))
    with console.status("files"), tempfile.TemporaryDirectory() as folder:
        png = _median(runs, lambda: video.write_views(pictures, Path(folder)))
        encoding = _median(runs, lambda: video.write_video(pictures, Path(folder) / "render.mp4"))
    with console.status("plain formulas"):
        plain = _median(3, lambda: _plain_views(field))
        decibels = _agreement(field, grid)
    with console.status("counting"):
        parts, rays, points = _parts(field, grid)
    return Measured(
        views=VIEWS, size=SIZE, runs=runs, orbit=orbit, png=png, video=encoding,
        plain_measured=plain, plain=plain * VIEWS * SIZE**2 / (PLAIN_VIEWS * PLAIN_SIZE**2),
        decibels=decibels, rays=rays, color_points=points,
        parts=parts,
    )  # fmt: skip


def _median(runs: int, work: Callable[[], object]) -> float:
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def _plain_views(field: Field) -> list[torch.Tensor]:
    """Side by side, one thread each: faster than one after another on all threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            azimuths = [360 * k / PLAIN_VIEWS for k in range(PLAIN_VIEWS)]
            return list(pool.map(lambda azimuth: reference.render(field, azimuth, PLAIN_SIZE), azimuths))
    finally:
        torch.set_num_threads(threads)


def _agreement(field: Field, grid: torch.Tensor) -> float:
    drawn = torch.from_numpy(render.orbit(field, grid, PLAIN_VIEWS, PLAIN_SIZE)) / 255
    return min(reference.psnr(one, other) for one, other in zip(drawn, _plain_views(field), strict=True))


def _parts(field: Field, grid: torch.Tensor) -> tuple[dict[str, float], int, int]:
    """Thread seconds of one orbit on one thread: marching, colours, summing; rays and colours."""
    seconds = {"march": 0.0, "colour": 0.0, "sum up": 0.0}
    counts = {"rays": 0, "points": 0}

    def timed(part: str, work: Callable[..., object]) -> Callable[..., object]:
        def run(*arguments: object) -> object:
            start = time.thread_time()
            done = work(*arguments)
            seconds[part] += time.thread_time() - start
            if isinstance(done, int):
                ray_counts = arguments[7]
                assert isinstance(ray_counts, np.ndarray)
                counts["rays"] += len(ray_counts)
                counts["points"] += done
            return done

        return run

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with (
            mock.patch.object(march, "march_strip", timed("march", march.march_strip)),
            mock.patch.object(render, "evaluate", timed("colour", render.evaluate)),
            mock.patch.object(march, "composite_strip", timed("sum up", march.composite_strip)),
        ):
            render.orbit(field, grid, VIEWS, SIZE)
    finally:
        torch.set_num_threads(threads)
    return seconds, counts["rays"], counts["points"]
