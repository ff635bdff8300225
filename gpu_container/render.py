"""Pictures of a Field from all sides: emission and absorption on white, with TripoSR's cameras."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from gpu_container import march, render_torch
from gpu_container.camera import Camera, orbit_cameras, pixel_offsets, pixel_window
from gpu_container.device import evaluate
from gpu_container.field import RADIUS, Field

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

    Picture 0 shows the photo's side. Rays are marched by all of the CPU's threads; colours are asked where the
    field's tensors live.

    Args:
        field: asked for colours only.
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
    threads = torch.get_num_threads()
    # Strips run side by side, each on one thread: tensor calls on a strip are too short to be shared out.
    with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        try:
            volume = Volume(raw, field.ray_samples, pool)
            strips = [strip for k, camera in enumerate(cameras) for strip in volume.strips(camera, pictures[k])]
            drawn = [pool.submit(strip.draw, field) for strip in strips]
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

    def __init__(self, raw: NDArray[np.float32], samples: int, pool: ThreadPoolExecutor) -> None:
        self.raw = raw
        self.steps = march.steps_for(samples)
        blocks = -(-(len(raw) - 1) // march.BLOCK)
        occupied = np.empty((blocks,) * 3, np.bool_)
        list(pool.map(lambda i: march.occupied_blocks(raw, march.NOTHING_RAW, occupied, i), range(blocks)))
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


class Strip:
    """Some columns of one picture."""

    def __init__(
        self,
        volume: Volume,
        camera: Camera,
        columns: NDArray[np.float64],
        rows: NDArray[np.float64],
        picture: NDArray[np.uint8],
    ) -> None:
        self.volume = volume
        self.camera = camera
        self.columns = columns  # (c,) offsets at depth 1, to the right
        self.rows = rows  # (h,) upwards
        self.picture = picture  # (h, c, 3), a view of the whole

    def draw(self, field: Field) -> None:
        """March, ask ``field`` for the colours that matter, and sum them up."""
        rays = len(self.columns) * len(self.rows)
        counts = np.empty(rays, np.uint8)
        background = np.empty(rays, np.float32)
        weights = np.empty(rays * march.MOST_LAYERS, np.float32)
        points = np.empty((rays * march.MOST_LAYERS, 3), np.float32)
        camera = self.camera
        axes = np.stack([camera.right, camera.up, camera.forward])
        layers = march.march_strip(
            self.volume.raw, self.volume.empty, self.volume.steps,
            camera.position, axes, self.columns, self.rows,
            counts, background, weights, points,
        )  # fmt: skip
        if layers == 0:
            return
        with torch.inference_mode():
            colors = evaluate(field.color, torch.from_numpy(points[:layers]).to(field.device)).cpu().numpy()
        march.composite_strip(counts, background, weights, colors, self.picture)


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
