"""What the template does not say: how AWS behaves, and what machines and jobs are assumed to take."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

HOUR = 3600.0
MINUTE = 60.0

#: draws the seconds that one job takes
Service = Callable[[Random], float]


@dataclass(frozen=True)
class Behaviour:
    """Times in seconds. The first group is what AWS documents or is known to do; the second is assumed."""

    #: target tracking acts when so many minutes in a row are above, or below, its target
    high_periods: int = 3
    low_periods: int = 15
    #: what counts as below, as a share of the target
    low_share: float = 0.9
    #: the capacity provider gives idle instances back after so many minutes
    spare_periods: int = 15
    #: a queue that nobody has asked for so long has no datapoints, and when it wakes none for so long, at most
    dark_after: float = 6 * HOUR
    dark_seconds: float = 15 * MINUTE
    #: between the notice of an interruption and the end of the machine
    notice_seconds: float = 120.0

    #: from the end of a minute to the datapoint about it
    metric_delay: float = 60.0
    #: from the launch to a machine that ECS knows; from there to the image; from there to the first message.
    #: Medians, with a log-normal spread.
    boot_seconds: float = 120.0
    pull_seconds: float = 120.0
    load_seconds: float = 25.0
    spread: float = 0.2
    #: of one spot instance: one in two days
    interruptions_per_hour: float = 0.02
    #: workers that die without a word, per hour of work
    deaths_per_hour: float = 0.0


def around(seconds: float, spread: float = 0.3) -> Service:
    """Log-normal with the mean ``seconds``; ``spread`` deviates the logarithm, 0: always the same."""
    middle = math.log(seconds) - spread**2 / 2
    return lambda rng: math.exp(rng.gauss(middle, spread))


def exponential(seconds: float) -> Service:
    """Exponential with the mean ``seconds``."""
    return lambda rng: rng.expovariate(1.0 / seconds)
