"""A density grid from coarse to fine: the network is asked where it matters, the rest is interpolated.

The grid is sampled on a coarse lattice first, whose spacing is then halved again and again. Each time, blocks
(the cells of the lattice so far) are looked at, and the new samples in and on a block are asked for when

- the surface may pass through it: its corners lie on both sides of the level, or less than four times the
  *error* away from it, or
- its opacity as a ray sees it is not known well enough: the soft skin around the surface, thin smoke.

Everywhere else new samples are interpolated linearly between the lattice's. The *error* is measured, not
guessed: how far interpolation from every second sample misses the samples in between, the most of it in a block
and the blocks around it. From every sample it does better, four times better where the field is smooth.

What this cannot see is a part that no sample of the coarse lattice notices: its skirt, where the raw density
rises above the surroundings', must reach one. No point is further than √3/2 of the coarse spacing from a
sample, no straight line further than √2/2. A triplane with a texel per coarse step can hardly hold such a part.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import NamedTuple

import torch
import torch.nn.functional as F

from gpu_container.field import SURFACE_RAW
from gpu_container.tsr.workers import Workers

#: a block this many times the error away from the level has no surface in it
SAFETY = 4.0
#: opacity of a ray's sample that interpolation may miss by before finer samples are asked for
OPACITY_ERROR = 0.02
#: samples of a slab, which is worked on at once, on one of the CPU's threads and on another device
SLAB = 1 << 20
DEVICE_SLAB = 1 << 27
#: slabs whose samples are asked for together: this bounds the memory
ROUND = 8
#: samples asked for at once on one of the CPU's threads
CHUNK = 1 << 13

#: raw density ``(n,) float32``, finite, of a grid's samples ``(n, 3) int64``
Raw = Callable[[torch.Tensor], torch.Tensor]

#: a finer lattice's samples fall into classes by which of their coordinates are odd; with none it is an old one
_NEW = tuple(odd for odd in product((0, 1), repeat=3) if any(odd))


def refined_grid(
    raw: Raw, resolution: int, step: int, ray_samples: int, device: torch.device | str = "cpu"
) -> torch.Tensor:
    """Raw density ``(r, r, r) float32`` on ``device``, indexed ``[x, y, z]``.

    On the CPU ``raw`` is called from several threads at a time, on each with torch's own threads at one.

    Args:
        raw: asked for samples of the grid, and up to ``step - 1`` beyond its end, where the step does not
            divide it; see ``Raw``.
        step: spacing of the coarse lattice, a power of two; 1 asks for every sample.
        ray_samples: into how many steps a ray is cut, see :class:`gpu_container.field.Field`.
    """
    device = torch.device(device)
    with Workers(None if device.type == "cpu" else 1) as workers:
        lattice = _Lattice(raw, resolution, device, workers)
        values = lattice.all(step)
        while step > 1:
            blocks = lattice.blocks_to_cut(values, ray_samples)
            step //= 2
            values = lattice.halved(values, blocks, step)
    return values


class _Slab(NamedTuple):
    """New samples of some planes of a finer lattice, by class."""

    #: all of a class, views of the lattice
    views: list[torch.Tensor]
    #: ``(n, 3)``, those of each view that are asked for
    places: list[torch.Tensor]
    #: ``(n, 3)``, the same in the grid, all classes
    at: torch.Tensor


class _Lattice:
    """Every step-th sample of a grid; the last may lie beyond its end."""

    def __init__(self, raw: Raw, resolution: int, device: torch.device, workers: Workers) -> None:
        self.raw = raw
        self.resolution = resolution
        self.device = device
        self.workers = workers

    def all(self, step: int) -> torch.Tensor:
        """Every sample: ``(side, side, side)``."""
        side = self._side(step)
        values = torch.empty((side,) * 3, device=self.device)
        axis = torch.arange(0, side * step, step, device=self.device)
        thickness = max(1, SLAB // side**2)
        for x, planes in zip(torch.split(axis, thickness), torch.split(values, thickness), strict=True):
            planes[:] = self._asked([torch.cartesian_prod(x, axis, axis)])[0].view_as(planes)
        return values

    def blocks_to_cut(self, values: torch.Tensor, ray_samples: int) -> torch.Tensor:
        """Which blocks of a lattice ``values`` ``(c, c, c)`` need finer samples: ``(c - 1,)³ bool``."""
        blocks = torch.empty([len(values) - 1] * 3, dtype=torch.bool, device=self.device)

        def work(planes: range) -> None:
            # the blocks on either side, and, from an even sample to an even one, their corners
            first = max(planes.start - 1, 0) // 2 * 2
            last = (planes.stop + 2) // 2 * 2
            found = _unclear(values[first : last + 1], ray_samples)
            blocks[planes.start : planes.stop] = found[planes.start - first : planes.stop - first]

        self.workers.map(work, self._slabs(len(blocks), len(blocks) ** 2))
        return blocks

    def halved(self, coarse: torch.Tensor, blocks: torch.Tensor, step: int) -> torch.Tensor:
        """The lattice of ``step`` from ``coarse`` ``(c, c, c)``, which is that of twice the step.

        Args:
            blocks: ``(c - 1,)³`` whose new samples are asked for; the others are interpolated.
        """
        side = self._side(step)
        fine = torch.empty((side,) * 3, device=self.device)
        ringed = F.pad(blocks, (1, 1) * 3)

        def interpolate(planes: range) -> _Slab:
            new = fine[2 * planes.start : 2 * planes.stop]
            _double_into(new, coarse[planes.start : planes.stop + 1])
            views, places, at = [], [], []
            for odd in _NEW:
                view = new[odd[0] :: 2, odd[1] :: 2, odd[2] :: 2]
                place = _touched(ringed[planes.start : planes.stop + 1], odd, view.shape).nonzero()
                views.append(view)
                places.append(place)
                origin = place.new_tensor([2 * planes.start + odd[0], odd[1], odd[2]])
                at.append(torch.add(step * origin, place, alpha=2 * step))
            return _Slab(views, places, torch.cat(at))

        def put(answered: tuple[_Slab, torch.Tensor]) -> None:
            slab, values = answered
            parts = torch.split(values, [len(place) for place in slab.places])
            for view, place, part in zip(slab.views, slab.places, parts, strict=True):
                view[place.unbind(1)] = part

        slabs = self._slabs(len(coarse), 2 * side**2)
        for start in range(0, len(slabs), ROUND):
            ready = self.workers.map(interpolate, slabs[start : start + ROUND])
            answers = self._asked([slab.at for slab in ready])
            self.workers.map(put, list(zip(ready, answers, strict=True)))
        return fine

    def _side(self, step: int) -> int:
        return -(-(self.resolution - 1) // step) + 1

    def _slabs(self, planes: int, samples: int) -> list[range]:
        """All of ``planes``, of so many samples each, in slabs."""
        if self.device.type == "cpu":
            thickness = min(SLAB // samples, -(-planes // ROUND))
        else:
            thickness = DEVICE_SLAB // samples
        thickness = max(1, thickness)
        return [range(first, min(first + thickness, planes)) for first in range(0, planes, thickness)]

    def _asked(self, places: list[torch.Tensor]) -> list[torch.Tensor]:
        """Raw density ``(n,)`` of each of ``places`` ``(n, 3)``."""
        if self.device.type != "cpu":
            return [self.raw(at) for at in places]
        chunks = [chunk for at in places for chunk in torch.split(at, CHUNK)]
        answers = torch.cat(self.workers.map(self.raw, chunks))
        return list(torch.split(answers, [len(at) for at in places]))


def _double_into(fine: torch.Tensor, coarse: torch.Tensor) -> None:
    """Fill ``fine`` with ``coarse`` and, between its samples, their means; what is too much is left out."""
    middle = coarse
    for axis in (0, 1):
        shape = list(middle.shape)
        shape[axis] = fine.shape[axis]
        doubled = middle.new_empty(shape)
        _double_along(doubled.movedim(axis, -1), middle.movedim(axis, -1))
        middle = doubled
    _double_along(fine, middle)


def _double_along(fine: torch.Tensor, coarse: torch.Tensor) -> None:
    """:func:`_double_into` along the last axis alone."""
    count = fine.shape[-1]
    fine[..., ::2] = coarse[..., : -(-count // 2)]
    between = torch.lerp(coarse[..., :-1], coarse[..., 1:], 0.5)
    fine[..., 1::2] = between[..., : count // 2]


def _unclear(values: torch.Tensor, ray_samples: int) -> torch.Tensor:
    """Which blocks of ``values`` ``(x, y, z)`` may hold surface or opacity that is not known well enough."""
    guess = _interpolated(values)
    error = _highest_around((values - guess).abs())
    high, low = _of_corners(torch.maximum, values), _of_corners(torch.minimum, values)
    surface = (high + SAFETY * error > SURFACE_RAW) & (low - SAFETY * error < SURFACE_RAW)
    missing = (_opacity(values, ray_samples) - _opacity(guess, ray_samples)).abs()
    return surface | (_highest_around(missing) > OPACITY_ERROR)


def _interpolated(values: torch.Tensor) -> torch.Tensor:
    """``values`` ``(x, y, z)`` as they would be if only every second sample were known."""
    known = values
    for axis in range(3):
        last = values.shape[axis] - 1
        # where the last sample is a middle one it is guessed from one side
        every_second = torch.arange(0, last + 2, 2, device=values.device).clamp_max(last)
        known = known.index_select(axis, every_second)
    guess = torch.empty_like(values)
    _double_into(guess, known)
    return guess


def _touched(ringed: torch.Tensor, odd: tuple[int, ...], shape: torch.Size) -> torch.Tensor:
    """Which new samples of a class lie in or on a block: ``shape``.

    Args:
        ringed: blocks; along an axis the coarse sample ``i`` lies between numbers ``i`` and ``i + 1``.
        odd: the class; an odd coordinate lies in the middle of a block, an even one between two blocks.
    """
    for axis in range(3):
        after = ringed.narrow(axis, 1, ringed.shape[axis] - 1)
        ringed = after if odd[axis] else after | ringed.narrow(axis, 0, ringed.shape[axis] - 1)
    return ringed[: shape[0], : shape[1], : shape[2]]


def _of_corners(
    pick: Callable[[torch.Tensor, torch.Tensor], torch.Tensor], values: torch.Tensor
) -> torch.Tensor:
    """``pick`` of each block's corners: ``(x - 1, y - 1, z - 1)`` of samples ``(x, y, z)``."""
    for axis in range(3):
        count = values.shape[axis] - 1
        values = pick(values.narrow(axis, 0, count), values.narrow(axis, 1, count))
    return values


def _highest_around(values: torch.Tensor) -> torch.Tensor:
    """Of each block and the 26 around it: ``(x - 1, y - 1, z - 1)`` of samples ``(x, y, z) >= 0``."""
    blocks = _of_corners(torch.maximum, F.pad(values, (1, 1) * 3))
    for axis in range(3):
        count = blocks.shape[axis] - 2
        blocks = torch.maximum(blocks.narrow(axis, 0, count), blocks.narrow(axis, 2, count))
    return blocks


def _opacity(raw: torch.Tensor, ray_samples: int) -> torch.Tensor:
    """What one of a ray's samples takes of its light."""
    return -torch.expm1(-torch.exp(raw - 1) / ray_samples)
