"""TripoSR at its published size against the plain formulas: network, density grid, views, whole job.

The checkpoints have the published shapes and seeded weights: one that makes noise, to compare numbers, and one
that sees a known scene in every photo (tests/checkpoints.py), so that grid, views, mesh and texture have a real
object's work. They are written to ``build/weights`` once, 1.7 GB each.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console

from gpu_container import pipeline, render
from gpu_container.engines import triposr
from gpu_container.field import SURFACE_RAW, grid_axis
from gpu_container.tsr import openvino_backend
from gpu_container.tsr.config import TSRConfig
from gpu_container.tsr.decoder import Decoder
from gpu_container.tsr.kernel import PointKernel
from gpu_container.tsr.model import TSR
from gpu_container.tsr.triplane import TriplaneField
from infra.options import Options
from tests import checkpoints, reference, scene
from tests.bench import work
from tests.bench.stages import sample_photos

WEIGHTS = Path(__file__).parents[2] / "build" / "weights"
RESOLUTION, VIEWS, SIZE, TEXTURE = 256, 30, 256, 1024
#: the plain formulas draw this many of the views; their seconds are scaled
PLAIN_VIEWS = 3
#: points that the plain formulas ask for at once
PLAIN_CHUNK = 1 << 15


@dataclass
class Part:
    """One part of the work, by the plain formulas and by ours."""

    plain: float  # seconds
    ours: float
    #: floating-point operations that ours does
    flops: float
    #: how the two results agree
    agreement: str

    @property
    def ratio(self) -> float:
        return self.plain / self.ours


@dataclass
class Measured:
    """Everything, in seconds, bytes and FLOP/s."""

    peaks: dict[str, float]
    parts: dict[str, Part]
    #: 30 views at 512²
    large_views: float
    large_decibels: float
    #: medians per stage of the whole job, and of its sum
    stages: dict[str, float]
    job: float
    #: the same by the plain formulas: network, grid, views and every texel; mesh, unwrap and files left out
    plain_job: float
    #: peak memory of a process that does one job, by resolution
    memory: dict[int, int] = field(default_factory=dict)

    def as_dict(self) -> dict[str, object]:
        """For bench.json."""
        told = asdict(self)
        for name, part in self.parts.items():
            told["parts"][name]["ratio"] = part.ratio
        return told


def measure(runs: int, console: Console) -> Measured:
    """Both ways, side by side in this process."""
    noise, of_scene = _weights("full", console), _weights("full-scene", console)
    with console.status("matrix products"):
        kinds = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
        peaks = {name: work.matmul_peak(kind) for name, kind in kinds.items()}
    triplane, plain = _scene()
    parts = {}
    with console.status("network"), torch.inference_mode():
        parts |= _network(noise, runs)
    with console.status("density grid"), torch.inference_mode():
        parts["density grid 256³"], grid = _grid(triplane, plain, runs)
    with console.status("views"), torch.inference_mode():
        parts["30 views at 256²"] = _views(triplane, grid, plain, runs)
        large = _median(runs, lambda: render.orbit(triplane, grid, VIEWS, 512))
        drawn = torch.from_numpy(render.orbit(triplane, grid, VIEWS, 512)[7]) / 255
        large_decibels = reference.psnr(drawn, _plain_view(plain, 7, 512))
    with console.status("every texel"), torch.inference_mode():
        texels = torch.rand(TEXTURE**2, 3) * 2 * 0.5 - 0.5
        texel_seconds = _median(1, lambda: plain(texels))
    with console.status("whole job"):
        stages, job = _job(of_scene, runs)
    with console.status("memory"):
        memory = {resolution: _peak_memory(of_scene, resolution) for resolution in (256, 512)}
    once = [parts[name].plain for name in ("network", "density grid 256³", "30 views at 256²")]
    plain_job = sum(once) + texel_seconds
    return Measured(
        peaks=peaks, parts=parts, large_views=large, large_decibels=large_decibels, stages=stages, job=job,
        plain_job=plain_job, memory=memory,
    )  # fmt: skip


def _scene() -> tuple[TriplaneField, Callable[[torch.Tensor], torch.Tensor]]:
    """The known scene, and what the plain formulas say of points in it: raw density and colours ``(n, 4)``."""
    planes = scene.triplane()
    decoder = Decoder.from_state_dict(scene.decoder_weights()).requires_grad_(False)

    def plain(points: torch.Tensor) -> torch.Tensor:
        return torch.cat([reference.triplane_query(planes, decoder, p) for p in points.split(PLAIN_CHUNK)])

    return TriplaneField(planes, decoder), plain


def scene_field() -> tuple[TriplaneField, Callable[..., torch.Tensor], Callable[..., torch.Tensor]]:
    """The known scene, its plain raw density and its plain colours."""
    triplane, plain = _scene()
    return triplane, lambda points: plain(points)[:, 0], lambda points: plain(points)[:, 1:]


_TELL_PEAK = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def _weights(kind: str, console: Console) -> Path:
    directory = WEIGHTS / kind
    if not (directory / "model.safetensors").is_file():
        with console.status(f"writing {directory}, 1.7 GB"):
            checkpoints.MAKERS[kind](directory)
    return directory


def _network(weights: Path, runs: int) -> dict[str, Part]:
    """In torch as it is written; as an engine runs it here; and in bfloat16, whether that pays here or not."""
    picture = torch.rand(512, 512, 3, generator=torch.Generator().manual_seed(1))
    network = TSR.load(weights)
    expected = network.encode(picture)
    plain = _median(runs, lambda: network.encode(picture))
    flops = work.network_flops(network.config)

    def part(encode: Callable[[], torch.Tensor]) -> Part:
        code = encode()
        error = ((code - expected).pow(2).mean() / expected.pow(2).mean()).sqrt()
        return Part(plain, _median(runs, encode), flops, f"relative RMS {error:.1e}")

    engine = triposr.load(weights, torch.device("cpu"))
    parts = {"network": part(lambda: engine.encode(picture.numpy()))}
    openvino_backend.accelerate(network, torch.bfloat16)
    return parts | {"network in bfloat16": part(lambda: network.encode(picture))}


def _grid(
    triplane: TriplaneField, plain: Callable[[torch.Tensor], torch.Tensor], runs: int
) -> tuple[Part, torch.Tensor]:
    axis = grid_axis(RESOLUTION)
    dense = torch.empty(RESOLUTION, RESOLUTION, RESOLUTION)

    def fill() -> None:
        y, z = torch.meshgrid(axis, axis, indexing="ij")
        for k, x in enumerate(axis):
            points = torch.stack([x.expand_as(y), y, z], dim=-1).reshape(-1, 3)
            dense[k] = plain(points)[:, 0].reshape(RESOLUTION, RESOLUTION)

    seconds = _median(1, fill)
    grid = triplane.density_grid(RESOLUTION)
    ours = _median(runs, lambda: triplane.density_grid(RESOLUTION))
    asked = _points_asked(lambda: triplane.density_grid(RESOLUTION))
    flips = int(((grid > SURFACE_RAW) != (dense > SURFACE_RAW)).sum())
    flops = asked * work.point_flops(TSRConfig(), projected=True)
    return Part(seconds, ours, flops, f"{flips} signs differ; {asked / RESOLUTION**3:.1%} asked"), grid


def _views(
    triplane: TriplaneField, grid: torch.Tensor, plain: Callable[[torch.Tensor], torch.Tensor], runs: int
) -> Part:
    chosen = [VIEWS * k // PLAIN_VIEWS + 2 for k in range(PLAIN_VIEWS)]
    start = time.perf_counter()
    expected = [_plain_view(plain, k, SIZE) for k in chosen]
    seconds = (time.perf_counter() - start) * VIEWS / PLAIN_VIEWS
    pictures = render.orbit(triplane, grid, VIEWS, SIZE)
    ours = _median(runs, lambda: render.orbit(triplane, grid, VIEWS, SIZE))
    decibels = min(
        reference.psnr(torch.from_numpy(pictures[k]) / 255, view)
        for k, view in zip(chosen, expected, strict=True)
    )
    asked = _points_asked(lambda: render.orbit(triplane, grid, VIEWS, SIZE))
    flops = asked * work.point_flops(TSRConfig(), projected=True)
    told = f"{decibels:.1f} dB, the worst of {PLAIN_VIEWS}; {asked / (VIEWS * SIZE**2):.2f} points a pixel"
    return Part(seconds, ours, flops, told)


def _points_asked(action: Callable[[], object]) -> int:
    """How many points go through the point network."""
    counts: list[int] = []

    def counting(asked: Callable[..., None]) -> Callable[..., None]:
        def call(kernel: PointKernel, points: NDArray[np.float32], *rest: object) -> None:
            counts.append(len(points))
            asked(kernel, points, *rest)

        return call

    with (
        mock.patch.object(PointKernel, "points", counting(PointKernel.points)),
        mock.patch.object(PointKernel, "raw_density", counting(PointKernel.raw_density)),
    ):
        action()
    return sum(counts)


def _plain_view(plain: Callable[[torch.Tensor], torch.Tensor], view: int, size: int) -> torch.Tensor:
    origin, directions = reference.look_at_rays(360 * view / VIEWS, size)
    rows = [reference.render_rays(plain, origin.expand_as(row), row, 128) for row in directions]
    return torch.stack(rows)


def _job(weights: Path, runs: int) -> tuple[dict[str, float], float]:
    photo = sample_photos()[0]
    data, models = photo.read_bytes(), pipeline.Models(weights=weights)
    every_run = []
    with tempfile.TemporaryDirectory() as folder:
        for k in range(runs + 1):
            start = time.perf_counter()
            result = pipeline.run(data, photo.name, Options(engine="triposr"), Path(folder), models=models)
            if k > 0:  # the first one loads and compiles
                every_run.append(dict(result.timings) | {"all": time.perf_counter() - start})
    medians = {name: statistics.median(run[name] for run in every_run) for name in every_run[0]}
    return medians, medians.pop("all")


def _peak_memory(weights: Path, resolution: int) -> int:
    """Bytes that ``maquette run`` needs at most, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "gpu_container", str(sample_photos()[0]), "--out", folder]
        command += ["--engine", "triposr", "--weights", str(weights), "--resolution", str(resolution)]
        # by way of a small process: a child starts with the peak of the one that it was forked from
        told = subprocess.run([sys.executable, "-c", _TELL_PEAK, *command], stdout=subprocess.PIPE, check=True)
    return int(told.stdout) * 1024


def _median(runs: int, action: Callable[[], object]) -> float:
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)
