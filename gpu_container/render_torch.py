"""The orbit as tensor calls on the Field's own device: what :mod:`gpu_container.march` does, for CUDA.

Every sample of a chunk of rays is looked up in the grid at once, empty ones too: a GPU would rather look up too
much than branch. The sums are those of :mod:`gpu_container.march`, or for a :class:`RadianceField` those of
:mod:`gpu_container.march_exact`; only the layers are cut by rules that do without going from sample to sample.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from gpu_container import march, march_exact
from gpu_container.camera import Camera, orbit_cameras, pixel_offsets, pixel_window
from gpu_container.device import evaluate
from gpu_container.field import RADIUS, RAY_BOX, Field, RadianceField

#: rays of a chunk, to begin with; with 512 samples each some 3 GB
RAYS = 1 << 17
#: optical depth beyond which nothing passes
OPAQUE = 80.0


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
    exactly = isinstance(field, RadianceField)
    box = _occupied_box(grid, march_exact.NOTHING_RAW if exactly else march.NOTHING_RAW)
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


def _occupied_box(grid: torch.Tensor, nothing: float) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Low and high corner ``(3,)`` of the cells with more density than ``nothing``; None if there are none."""
    filled = grid > nothing
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
    cube = rays.new_full((3,), RAY_BOX)
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

    bundle = _Bundle(position, rays[crossing], near[crossing], step[crossing], number)
    if isinstance(field, RadianceField):
        colors[crossing] = _exact_colors(field, grid, bundle)
    else:
        colors[crossing] = _colors_from_grid(field, grid, bundle)
    return colors


@dataclass(frozen=True)
class _Bundle:
    """Rays from one point, and the samples that are looked at."""

    position: torch.Tensor  # (3,)
    rays: torch.Tensor  # (m, 3)
    near: torch.Tensor  # (m,) depth where the cube begins
    step: torch.Tensor  # (m,) depth from sample to sample
    number: torch.Tensor  # (n,) the samples' numbers, and a half

    def points(self, ray: torch.Tensor, number: torch.Tensor) -> torch.Tensor:
        """Where on ``ray`` ``(k,)`` the sample ``number`` ``(k,)`` lies: ``(k, 3)``."""
        return self.position + (self.near[ray] + self.step[ray] * number)[:, None] * self.rays[ray]

    def raw(self, grid: torch.Tensor) -> torch.Tensor:
        """The grid's raw density at all samples, ``(m, n)``."""
        depths = self.near[:, None] + self.step[:, None] * self.number
        return _interpolate(grid, self.position + depths[..., None] * self.rays[:, None])


def _interpolate(grid: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """Trilinear values ``(m, n)`` of ``grid`` ``(r, r, r)`` at ``points`` ``(m, n, 3)``."""
    where = points.flip(-1)[None, None] / RADIUS
    return F.grid_sample(grid[None, None], where, padding_mode="border", align_corners=True)[0, 0, 0]


def _colors_from_grid(field: Field, grid: torch.Tensor, bundle: _Bundle) -> torch.Tensor:
    """sRGB over white ``(m, 3)``: the grid's density, the field's colours; see :mod:`gpu_container.march`."""
    samples, raw = field.ray_samples, bundle.raw(grid)
    depth = torch.where(raw > march.NOTHING_RAW, (raw - 1).exp() / samples, 0)  # optical depth of each sample
    reaching = (depth - depth.cumsum(1)).exp()
    weights = torch.where(reaching >= march.DARK, reaching * -torch.expm1(-depth), 0)  # (m, n)
    light = (-depth.sum(1)).exp()
    light = torch.where(light >= march.DARK, light, 0)

    layer = _layers(reaching, depth > 0, max(1, round(samples * march.LAYER_GAP)))
    layer_weights = weights.new_zeros(len(raw), march.MOST_LAYERS).scatter_add_(1, layer, weights)
    moments = torch.zeros_like(layer_weights).scatter_add_(1, layer, weights * bundle.number)
    ray, filled = (layer_weights > 0).nonzero(as_tuple=True)
    mean = moments[ray, filled] / layer_weights[ray, filled]
    layer_colors = weights.new_zeros(len(raw), march.MOST_LAYERS, 3)
    layer_colors[ray, filled] = evaluate(field.color, bundle.points(ray, mean))
    # the light that would have gone on when the ray ended takes the colour of the rest
    scale = (1 - light) / layer_weights.sum(1).clamp_min(1e-12)
    return light[:, None] + scale[:, None] * (layer_weights[..., None] * layer_colors).sum(1)


def _exact_colors(field: RadianceField, grid: torch.Tensor, bundle: _Bundle) -> torch.Tensor:
    """sRGB over white ``(m, 3)``: the field's density and colours; see :mod:`gpu_container.march_exact`."""
    raw = bundle.raw(grid)
    # the optical depth of each sample by the grid; 0 as soon as the field has been asked
    depth = (raw - 1).clamp_max(OPAQUE).exp() / field.ray_samples
    depth = torch.where(raw > march_exact.NOTHING_RAW, depth, 0)
    del raw
    light = depth.new_ones(len(depth))
    colors = torch.zeros_like(bundle.rays)
    rays = torch.arange(len(depth), device=depth.device)  # those of a round
    while len(rays) > 0:
        ahead = depth[rays]
        bounded = ahead.clamp_max(OPAQUE)  # or the sum would swallow what came before
        passing = (bounded - bounded.cumsum(1)).exp()
        listed = (ahead > 0) & (passing >= march_exact.ROUND_END)
        weights = torch.where(listed, light[rays, None] * passing * -torch.expm1(-ahead), 0)
        listed &= weights.sum(1, keepdim=True) > march_exact.FAINT
        depth[rays] = torch.where(listed, 0, ahead)
        _add_layers(field, grid, bundle, rays, (listed, weights, ahead), light, colors)
        rays = rays[listed.any(1) & (depth[rays] > 0).any(1) & (light[rays] > 0)]
    return colors + light[:, None]


def _add_layers(
    field: RadianceField,
    grid: torch.Tensor,
    bundle: _Bundle,
    rays: torch.Tensor,
    samples: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
    light: torch.Tensor,
    colors: torch.Tensor,
) -> None:
    """Ask for a round's samples; add them to ``colors`` ``(m, 3)``, and take them from ``light`` ``(m,)``.

    Args:
        rays: those of the round, ``(k,)``.
        samples: which are to be asked for, their weights, their optical depths by the grid, ``(k, n)`` each.
    """
    listed, weights, depth = samples
    opening = _opening(weights, listed)[listed]  # (l,), true where a layer begins
    if len(opening) == 0:
        return
    layer = opening.cumsum(0) - 1
    row, number = listed.nonzero(as_tuple=True)
    ray = rays[row[opening]]  # of each layer, (j,)

    def per_layer(values: torch.Tensor) -> torch.Tensor:
        return values.new_zeros(len(ray)).index_add_(0, layer, values)

    weight = per_layer(weights[listed])
    mean = per_layer(weights[listed] * bundle.number[number]) / weight
    points = bundle.points(ray, mean)
    radiance = evaluate(field.radiance, points)
    by_grid = _interpolate(grid, points[None])[0]
    # in double precision, since it is summed over all rays
    exact = (per_layer(depth[listed]) * (radiance[:, 0] - by_grid).exp()).clamp_max(OPAQUE).double()
    first = torch.ones_like(ray, dtype=torch.bool)  # of its ray
    first[1:] = ray[1:] != ray[:-1]
    before = exact.cumsum(0) - exact
    reaching = light[ray] * (before[first][first.cumsum(0) - 1] - before).exp().float()
    colors.index_add_(0, ray, (reaching * -torch.expm1(-exact).float())[:, None] * radiance[:, 1:])
    last = torch.ones_like(first)
    last[:-1] = first[1:]
    light[ray[last]] = reaching[last] * (-exact[last]).exp().float()
    # where little light is left it takes the colour of the last layer
    dark = last & (light[ray] < march_exact.DARK)
    colors.index_add_(0, ray[dark], light[ray[dark], None] * radiance[dark, 1:])
    light[ray[dark]] = 0


def _opening(weights: torch.Tensor, listed: torch.Tensor) -> torch.Tensor:
    """Which of the ``listed`` samples ``(k, n)`` begin a layer, by their ``weights`` ``(k, n)``."""
    roots = weights.sqrt() / march_exact.LAYER_ROOTS
    # a bin of the running sum holds no more than a layer may, but for its first sample, which reaches into it
    bins = roots.clamp_max(1).cumsum(1).floor()
    same = listed[:, :-1] & (bins[:, 1:] == bins[:, :-1]) & (roots[:, 1:] + roots[:, :-1] <= 1)
    return listed & ~F.pad(same, (1, 0))


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
    share = ((1 - reaching) * (march.MOST_LAYERS // 2)).long()
    return (share + behind_gap.cumsum(1)).clamp_max(march.MOST_LAYERS - 1)
