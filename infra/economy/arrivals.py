"""When photos arrive: a day's rhythm, and bursts on top of it. Times are seconds since midnight, ascending."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Iterator
from random import Random

DAY = 86_400.0


def evenly_random(per_second: float, until: float, rng: Random) -> Iterator[float]:
    """A Poisson process of constant rate."""
    now = rng.expovariate(per_second)
    while now < until:
        yield now
        now += rng.expovariate(per_second)


def daily(
    per_day: float, until: float, rng: Random, *, peak_hour: float = 20.0, swing: float = 0.7
) -> Iterator[float]:
    """A Poisson process whose rate follows the hours: ``1 + swing`` of its mean at ``peak_hour``, ``1 - swing``
    twelve hours away.

    By thinning (Lewis and Shedler, "Simulation of nonhomogeneous Poisson processes by thinning", 1979).
    """
    mean, highest = per_day / DAY, 1.0 + swing
    for now in evenly_random(mean * highest, until, rng):
        phase = 2.0 * math.pi * (now / DAY - peak_hour / 24.0)
        if rng.random() * highest < 1.0 + swing * math.cos(phase):
            yield now


def burst(at: float, photos: int, seconds: float, rng: Random) -> list[float]:
    """So many photos from ``at`` on, ever fewer, ``seconds`` late in the mean (exponential); 0: all at once."""
    return sorted(at + (rng.expovariate(1.0 / seconds) if seconds else 0.0) for _ in range(photos))


def together(*streams: Iterable[float]) -> Iterator[float]:
    """Several streams as one."""
    return heapq.merge(*streams)
