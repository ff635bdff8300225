"""What came of a simulation."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass
class Outcome:
    """Counts are of the whole run; waits and hours only of the time that was to be measured."""

    arrived: int = 0
    succeeded: int = 0
    failed: int = 0
    #: at the end
    waiting: int = 0
    running: int = 0
    #: per ended job, seconds from the queue to the claim that led to the end, and from the queue to the end
    waits: array[float] = field(default_factory=lambda: array("d"))
    latencies: array[float] = field(default_factory=lambda: array("d"))
    #: paid for
    spot_hours: float = 0.0
    on_demand_hours: float = 0.0
    #: hours of work that led to an end
    busy_hours: float = 0.0
    launches: int = 0
    interruptions: int = 0
    #: attempts that came to nothing, through an interruption or a death
    handed_back: int = 0
    most_workers: int = 0
    most_waiting: int = 0

    @property
    def instance_hours(self) -> float:
        return self.spot_hours + self.on_demand_hours

    def wait(self, share: float) -> float:
        """The wait that this share of the jobs does not exceed, seconds."""
        return quantile(self.waits, share)

    def latency(self, share: float) -> float:
        """As :meth:`wait`, from the queue to the end."""
        return quantile(self.latencies, share)


@dataclass(frozen=True)
class Day:
    """An outcome as the day that it was in the mean: jobs, seconds and hours."""

    jobs: float
    mean_wait: float
    median_wait: float
    #: what one job in twenty exceeds
    long_wait: float
    long_latency: float
    spot_hours: float
    on_demand_hours: float
    busy_hours: float
    interruptions: float
    most_workers: int
    #: at the end of the last day
    waiting: int

    @property
    def instance_hours(self) -> float:
        return self.spot_hours + self.on_demand_hours

    @property
    def busy_share(self) -> float:
        """Of the time that was paid for, in which jobs made progress."""
        return self.busy_hours / self.instance_hours if self.instance_hours else 0.0


def per_day(outcome: Outcome, days: float) -> Day:
    """``outcome``, which was measured for so many days."""
    return Day(
        jobs=len(outcome.waits) / days,
        mean_wait=math.fsum(outcome.waits) / len(outcome.waits) if outcome.waits else math.nan,
        median_wait=quantile(outcome.waits, 0.5),
        long_wait=quantile(outcome.waits, 0.95),
        long_latency=quantile(outcome.latencies, 0.95),
        spot_hours=outcome.spot_hours / days,
        on_demand_hours=outcome.on_demand_hours / days,
        busy_hours=outcome.busy_hours / days,
        interruptions=outcome.interruptions / days,
        most_workers=outcome.most_workers,
        waiting=outcome.waiting,
    )


def quantile(values: Iterable[float], share: float) -> float:
    """The smallest value that ``share`` of them do not exceed; NaN of none."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else math.nan
