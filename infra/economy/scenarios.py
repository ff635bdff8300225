"""Days of a deployment, simulated and priced: few photos, some, very many, and many at once."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from random import Random

from infra.economy import arrivals
from infra.economy.behaviour import HOUR, Behaviour, around
from infra.economy.cost import Bill, bill
from infra.economy.outcome import Day, per_day
from infra.economy.policy import ScalingPolicy, Standing
from infra.economy.prices import Price
from infra.economy.simulation import Simulation
from infra.economy.usage import MONTH_DAYS, Assumptions, Choice, month

#: of a day's rhythm: the hour with most photos, and how far the rate swings around its mean
PEAK_HOUR = 20.0
SWING = 0.7
#: so many jobs are simulated, at least, where that takes no more than so many days
_JOBS = 20_000
_MOST_DAYS = 60
#: how full workers may be at the busiest hour
FULL = 0.85


@dataclass(frozen=True)
class Burst:
    """Photos that come on top of the day's own: from an hour on, ever fewer, so late in the mean."""

    photos: int
    hour: float
    seconds: float = 0.0


@dataclass(frozen=True)
class Scenario:
    """A kind of day."""

    name: str
    photos: float
    burst: Burst | None = None
    max_workers: int | None = None

    @property
    def jobs(self) -> float:
        """Photos of the whole day."""
        return self.photos + (self.burst.photos if self.burst else 0)


def needed_workers(photos_a_day: float, seconds_per_job: float) -> int:
    """What a day's busiest hour asks for."""
    return max(1, math.ceil(photos_a_day / arrivals.DAY * (1 + SWING) * seconds_per_job / FULL))


def usual(seconds_per_job: float) -> list[Scenario]:
    """Ten, ten thousand and a million photos a day, with and without many at once."""
    needed = needed_workers(1e6, seconds_per_job)
    drop = Burst(200, hour=14)
    letter, large_letter = Burst(3_000, hour=10, seconds=1200), Burst(50_000, hour=10, seconds=1800)
    return [
        Scenario("10", 10),
        Scenario("10, and 200 dropped at 14:00", 10, drop),
        Scenario("10 000", 1e4),
        Scenario("10 000, and a newsletter's 3 000 from 10:00", 1e4, letter),
        Scenario("the same, more workers", 1e4, letter, max_workers=20),
        Scenario("1 000 000, workers as by default", 1e6),
        Scenario("1 000 000, workers as needed", 1e6, max_workers=needed),
        Scenario("1 000 000, and a newsletter's 50 000", 1e6, large_letter, max_workers=needed),
    ]


def simulate(
    scenario: Scenario, policy: ScalingPolicy, behaviour: Behaviour, seconds_per_job: float, *, seed: int = 1
) -> Day:
    """The day in the mean, after a quarter of a day that is not measured (a whole one, where that is quick)."""
    if scenario.max_workers is not None:
        policy = replace(policy, max_workers=scenario.max_workers)
    days = min(_MOST_DAYS, max(1, math.ceil(_JOBS / scenario.jobs)))
    warm_up = arrivals.DAY / 4 if scenario.jobs > _JOBS * 5 else arrivals.DAY
    rng = Random(f"photos {seed}")  # noqa: S311  chance, not secrecy
    until = warm_up + days * arrivals.DAY
    # The clock begins so that the measured days begin at midnight.
    own = arrivals.daily(scenario.photos, until, rng, peak_hour=PEAK_HOUR + warm_up / HOUR, swing=SWING)
    streams = [own, *_bursts(scenario.burst, warm_up, days, rng)]
    simulation = Simulation(
        policy,
        behaviour,
        arrivals.together(*streams),
        around(seconds_per_job),
        seed=seed,
        until=until,
        measured_from=warm_up,
    )
    return per_day(simulation.run(), days)


def price(
    scenario: Scenario,
    day: Day,
    choice: Choice,
    assumed: Assumptions,
    policy: ScalingPolicy,
    standing: Standing,
    prices: dict[str, Price],
) -> Bill:
    """A month of such days."""
    choice = replace(choice, jobs_per_day=scenario.jobs)
    return bill(month(choice, assumed, policy, standing, day), prices, scenario.jobs * MONTH_DAYS)


def _bursts(burst: Burst | None, warm_up: float, days: int, rng: Random) -> Iterator[list[float]]:
    if burst is not None:
        for day in range(days):
            at = warm_up + day * arrivals.DAY + burst.hour * HOUR
            yield arrivals.burst(at, burst.photos, burst.seconds, rng)
