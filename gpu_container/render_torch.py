"""The orbit as tensor calls on the Field's own device: what :mod:`gpu_container.march` does, for CUDA.

Every sample of a chunk of rays is worked out at once, empty ones too: a GPU would rather look up too much than
branch. The sums are those of :mod:`gpu_container.march`; only the layers that share a colour are cut by light
and gaps alone.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from gpu_container.camera import Camera, orbit_cameras, pixel_offsets, pixel_window
from gpu_container.device import evaluate
from gpu_container.field import RADIUS, Field
from gpu_container.march import DARK, LAYER_GAP, MOST_LAYERS, NOTHING_RAW

#: rays of a chunk, to begin with; with 512 samples each some 3 GB
RAYS = 1 << 17


@torch.inference_mode()
def orbit(
    field: Field,
    grid: torch.Tensor,
    views: int,
    size: int,
    progress: Callable[[float], None],
) -> NDArray[np.uint8]:
    """As :func:`gpu_container.render.orbit`, with ``grid`` ``(r, r, r)`` on the field's device.

    The order of some sums is the device's own: on CUDA a value may differ by one from run to run.

    Raises:
        torch.OutOfMemoryError: even the smallest chunk of rays did not fit.
    """
    pictures = np.full((views, size, size, 3), 255, np.uint8)
    box = _occupied_box(grid)
    offsets = pixel_offsets(size)
    for k, camera in enumerate(orbit_cameras(views)):
        if box is not None:
            columns, rows = pixel_window(camera, size, box[0], box[1])
            directions = _directions(camera, offsets[columns], -offsets[rows])
            rays = torch.from_numpy(directions.reshape(-1, 3).astype(np.float32)).to(grid.device)
            colors = evaluate(partial(_ray_colors, field, grid, camera, box), rays, RAYS)
            bytes_ = (colors.clamp(0, 1) * 255 + 0.5).to(torch.uint8).cpu().numpy()
            pictures[k, rows, columns] = bytes_.reshape(directions.shape)
        progress((k + 1) / views)
    return pictures


def _occupied_box(grid: torch.Tensor) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Low and high corner ``(3,)`` of the cells that have density; None if there are none."""
    filled = grid > NOTHING_RAW
    low, high = np.empty(3), np.empty(3)
    for axis, others in enumerate(((1, 2), (0, 2), (0, 1))):
        found = filled.any(others[1]).any(others[0]).nonzero()
        if len(found) == 0:
            return None
        low[axis], high[axis] = int(found[0]) - 1, int(found[-1]) + 1
    edge = 2 * RADIUS / (len(grid) - 1)
    return np.maximum(low * edge - RADIUS, -RADIUS), np.minimum(high * edge - RADIUS, RADIUS)


def _directions(camera: Camera, columns: NDArray[np.float64], rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rays ``(h, c, 3)`` through the pixels at ``columns`` ``(c,)`` rightwards and ``rows`` ``(h,)`` up."""
    return camera.forward + columns[:, None] * camera.right + rows[:, None, None] * camera.up


def _ray_colors(
    field: Field,
    grid: torch.Tensor,
    camera: Camera,
    box: tuple[NDArray[np.float64], NDArray[np.float64]],
    rays: torch.Tensor,
) -> torch.Tensor:
    """sRGB over white ``(m, 3)`` of ``rays`` ``(m, 3)``; density outside ``box`` is not looked for."""
    samples = field.ray_samples
    position = rays.new_tensor(camera.position)
    cube = rays.new_full((3,), RADIUS)
    near, far = _clip(position, rays, -cube, cube)
    step = (far - near).clamp_min(0) / samples  # (m,)
    entry, leave = _clip(position, rays, rays.new_tensor(box[0]), rays.new_tensor(box[1]))
    crossing = leave > entry
    colors = torch.ones_like(rays)
    if not crossing.any():
        return colors
    # the samples, by number, that any of the rays has within the box
    numbers = torch.stack([(entry - near) / step - 1, (leave - near) / step + 1])[:, crossing]
    first, last = max(int(numbers[0].min()), 0), min(int(numbers[1].max()) + 1, samples)
    number = torch.arange(first, last, device=rays.device) + 0.5  # (n,)

    rays, near, step = rays[crossing], near[crossing], step[crossing]
    points = position + (near[:, None] + step[:, None] * number)[..., None] * rays[:, None]  # (m, n, 3)
    raw = F.grid_sample(
        grid[None, None], points.flip(-1)[None, None] / RADIUS, padding_mode="border", align_corners=True
    )[0, 0, 0]
    del points
    depth = torch.where(raw > NOTHING_RAW, (raw - 1).exp() / samples, 0)  # optical depth of each sample
    reaching = (depth - depth.cumsum(1)).exp()
    weights = torch.where(reaching >= DARK, reaching * -torch.expm1(-depth), 0)  # (m, n)
    light = (-depth.sum(1)).exp()
    light = torch.where(light >= DARK, light, 0)

    layer = _layers(reaching, depth > 0, max(1, round(samples * LAYER_GAP)))
    layer_weights = weights.new_zeros(len(rays), MOST_LAYERS).scatter_add_(1, layer, weights)
    moments = torch.zeros_like(layer_weights).scatter_add_(1, layer, weights * number)
    ray, filled = (layer_weights > 0).nonzero(as_tuple=True)
    mean = moments[ray, filled] / layer_weights[ray, filled]
    asked = evaluate(field.color, position + (near[ray] + step[ray] * mean)[:, None] * rays[ray])
    layer_colors = rays.new_zeros(len(rays), MOST_LAYERS, 3)
    layer_colors[ray, filled] = asked
    # the light that would have gone on when the ray ended takes the colour of the rest
    scale = (1 - light) / layer_weights.sum(1).clamp_min(1e-12)
    colors[crossing] = light[:, None] + scale[:, None] * (layer_weights[..., None] * layer_colors).sum(1)
    return colors


def _clip(
    position: torch.Tensor, rays: torch.Tensor, low: torch.Tensor, high: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Where ``rays`` ``(m, 3)`` enter and leave the box ``low..high`` ``(3,)``, in depths ``(m,)``."""
    # a ray along a face: any tiny slope keeps the divisions finite
    slopes = torch.where(rays.abs() > 1e-9, rays, 1e-9)
    one, other = (low - position) / slopes, (high - position) / slopes
    return torch.minimum(one, other).amax(1).clamp_min(0), torch.maximum(one, other).amin(1)


def _layers(reaching: torch.Tensor, dense: torch.Tensor, gap: int) -> torch.Tensor:
    """The layer ``(m, n) int64`` of each sample: a new one for each share of the light, and behind each gap.

    Args:
        reaching: light ``(m, n)`` that reaches a sample, falling from 1.
        dense: ``(m, n)``, where there is density at all.
        gap: so many samples without density are a gap.
    """
    number = torch.arange(dense.shape[1], device=dense.device)
    last_dense = torch.where(dense, number, -1).cummax(1).values
    before = F.pad(last_dense[:, :-1], (1, 0), value=-1)
    behind_gap = dense & (before >= 0) & (number - before > gap)
    share = ((1 - reaching) * (MOST_LAYERS // 2)).long()
    return (share + behind_gap.cumsum(1)).clamp_max(MOST_LAYERS - 1)
