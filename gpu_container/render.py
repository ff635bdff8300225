"""Pictures of a Field from all sides: emission and absorption on white, with TripoSR's cameras."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from gpu_container import march, march_exact, render_torch
from gpu_container.camera import Camera, orbit_cameras, pixel_offsets, pixel_window
from gpu_container.device import evaluate
from gpu_container.field import RADIUS, Field, RadianceField

#: rays of a strip, about: enough to keep tensor calls busy, few enough to stay in a core's cache
STRIP_RAYS = 16_384


def orbit(
    field: Field,
    grid: torch.Tensor,
    views: int = 30,
    size: int = 512,
    progress: Callable[[float], None] | None = None,
) -> NDArray[np.uint8]:
    """``(views, size, size, 3)`` sRGB pictures from the cameras of :func:`gpu_container.camera.orbit_cameras`.

    Picture 0 shows the photo's side. Rays are marched by all of the CPU's threads; the field is asked where its
    tensors live.

    Args:
        field: asked for a few colours of each ray, or, if it is a :class:`RadianceField`, for what is there
            wherever that matters.
        grid: its raw density, ``(r, r, r) float32``, as :meth:`Field.density_grid` gives it.
        progress: called from this thread with the share that is done, rising to 1.

    Raises:
        torch.OutOfMemoryError: the device's memory is too small even for small chunks.
    """
    progress = progress or (lambda done: None)
    if field.device.type == "cuda":
        return render_torch.orbit(field, grid, views, size, progress)
    pictures = np.full((views, size, size, 3), 255, np.uint8)
    raw = np.ascontiguousarray(grid.detach().cpu().numpy(), dtype=np.float32)
    cameras = orbit_cameras(views)
    draw: Callable[[Strip], None]
    if isinstance(field, RadianceField):
        nothing, draw = march_exact.NOTHING_RAW, partial(_draw_exactly, field)
    else:
        nothing, draw = march.NOTHING_RAW, partial(_draw_from_grid, field, march.steps_for(field.ray_samples))
    threads = torch.get_num_threads()
    # Strips run side by side, each on one thread: tensor calls on a strip are too short to be shared out.
    with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        try:
            volume = Volume(raw, nothing, pool)
            strips = [strip for k, camera in enumerate(cameras) for strip in volume.strips(camera, pictures[k])]
            drawn = [pool.submit(draw, strip) for strip in strips]
            for count, strip_done in enumerate(as_completed(drawn), start=1):
                strip_done.result()
                progress(count / len(drawn))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
        finally:
            torch.set_num_threads(threads)
    if not strips:
        progress(1.0)
    return pictures


class Volume:
    """A density grid and what is known of its empty parts."""

    def __init__(self, raw: NDArray[np.float32], nothing: float, pool: ThreadPoolExecutor) -> None:
        """No part of ``raw`` ``(r, r, r)`` where it exceeds ``nothing`` counts as empty."""
        self.raw = raw
        blocks = -(-(len(raw) - 1) // march.BLOCK)
        occupied = np.empty((blocks,) * 3, np.bool_)
        list(pool.map(lambda i: march.occupied_blocks(raw, nothing, occupied, i), range(blocks)))
        self.bounds = _bounds(occupied, len(raw))
        #: blocks to the next occupied one, (b, b, b) uint8
        self.empty = np.zeros(occupied.shape, np.uint8)
        if self.bounds:
            distance = ndimage.distance_transform_cdt(~occupied, metric="chessboard")
            self.empty = np.minimum(distance, 255).astype(np.uint8)

    def strips(self, camera: Camera, picture: NDArray[np.uint8]) -> list[Strip]:
        """The part of ``picture`` ``(s, s, 3)`` in which ``camera`` can see something, cut into strips."""
        if self.bounds is None:
            return []
        size = len(picture)
        columns, rows = pixel_window(camera, size, *self.bounds)
        offsets = pixel_offsets(size)
        width = max(1, STRIP_RAYS // max(1, rows.stop - rows.start))
        return [
            Strip(self, camera, offsets[first:last], -offsets[rows], picture[rows, first:last])
            for first in range(columns.start, columns.stop, width)
            for last in [min(first + width, columns.stop)]
        ]


@dataclass(frozen=True)
class Strip:
    """Some columns of one picture."""

    volume: Volume
    camera: Camera
    columns: NDArray[np.float64]  # (c,) offsets at depth 1, to the right
    rows: NDArray[np.float64]  # (h,) upwards
    picture: NDArray[np.uint8]  # (h, c, 3), a view of the whole

    @property
    def rays(self) -> int:
        """How many there are: a pixel each."""
        return len(self.columns) * len(self.rows)

    @property
    def axes(self) -> NDArray[np.float64]:
        """The camera's right, up and forward, ``(3, 3)``."""
        return np.stack([self.camera.right, self.camera.up, self.camera.forward])


def _draw_from_grid(field: Field, steps: march.Steps, strip: Strip) -> None:
    """March, ask ``field`` for the colours that matter, and sum them up."""
    counts = np.empty(strip.rays, np.uint8)
    background = np.empty(strip.rays, np.float32)
    weights = np.empty(strip.rays * march.MOST_LAYERS, np.float32)
    points = np.empty((strip.rays * march.MOST_LAYERS, 3), np.float32)
    layers = march.march_strip(
        strip.volume.raw, strip.volume.empty, steps,
        strip.camera.position, strip.axes, strip.columns, strip.rows,
        counts, background, weights, points,
    )  # fmt: skip
    if layers > 0:
        colors = _asked(field.color, points[:layers], field.device)
        march.composite_strip(counts, background, weights, colors, strip.picture)


def _draw_exactly(field: RadianceField, strip: Strip) -> None:
    """List where ``field`` matters, ask what is there, sum it up; and again, until no ray has light left."""
    samples = field.ray_samples
    next_sample = np.zeros(strip.rays, np.int32)
    lights = np.ones(strip.rays)
    sums = np.zeros((strip.rays, 3))
    counts = np.empty(strip.rays, np.uint8)
    depths = np.empty(strip.rays * march_exact.MOST_LAYERS, np.float32)
    points = np.empty((strip.rays * march_exact.MOST_LAYERS, 3), np.float32)
    while layers := march_exact.list_layers(
        strip.volume.raw, strip.volume.empty, samples,
        strip.camera.position, strip.axes, strip.columns, strip.rows,
        next_sample, lights, counts, depths, points,
    ):  # fmt: skip
        radiance = _asked(field.radiance, points[:layers], field.device)
        march_exact.sum_layers(samples, counts, depths, radiance, next_sample, lights, sums)
    march_exact.draw_strip(lights, sums, strip.picture)


def _asked(
    function: Callable[[torch.Tensor], torch.Tensor], points: NDArray[np.float32], device: torch.device
) -> NDArray[np.float32]:
    """``function`` of ``points`` ``(n, 3)``, worked out on ``device``."""
    with torch.inference_mode():
        return evaluate(function, torch.from_numpy(points).to(device)).cpu().numpy()


def _bounds(
    occupied: NDArray[np.bool_], resolution: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Low and high corner ``(3,)`` of the box around all occupied blocks; None if there are none."""
    if not occupied.any():
        return None
    edge = 2 * RADIUS / (resolution - 1) * march.BLOCK
    filled = [np.flatnonzero(occupied.any(axis=others)) for others in ((1, 2), (0, 2), (0, 1))]
    low = np.array([axis[0] for axis in filled]) * edge - RADIUS
    high = np.array([axis[-1] + 1 for axis in filled]) * edge - RADIUS
    return low, np.minimum(high, RADIUS)
