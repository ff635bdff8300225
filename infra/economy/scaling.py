"""When the number of wanted workers changes: the policies of the template, minute by minute.

Reference: Application Auto Scaling User Guide, "How target tracking scaling works", "How step scaling works".
That the present number is multiplied by how far the metric is from its target is how AWS describes it; the
exact sum is not published.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from infra.economy.behaviour import Behaviour
from infra.economy.policy import ScalingPolicy, Tracking


@dataclass(frozen=True, slots=True)
class Datapoint:
    """One minute of the queue and the service: messages, tasks that run, tasks that were wanted."""

    visible: int
    in_flight: int
    running: int
    wanted: int


class Scaler:
    """Remembers how long alarms and cooldowns have lasted."""

    def __init__(self, policy: ScalingPolicy, behaviour: Behaviour) -> None:
        self._policy = policy
        self._trackers = [_Tracker(tracking, behaviour) for tracking in policy.trackings]
        self._nobody = 0
        self._step_until = -math.inf

    def decide(self, now: float, seen: Datapoint | None, wanted: int) -> int:
        """Workers wanted from now on. ``seen`` is None for a minute without datapoints; it ends every alarm."""
        if seen is None:
            self._nobody = 0
            for tracker in self._trackers:
                tracker.forget()
            return wanted
        wanted = self._first(now, seen, wanted)
        wishes = [tracker.wish(now, seen, wanted) for tracker in self._trackers]
        # Outwards whoever wants most is followed; inwards only if all agree, and then not further than any.
        out = max((wish for wish in wishes if wish is not None), default=wanted)
        if self._within(out) > wanted or None not in wishes:
            wished = self._within(out)
            for tracker in self._trackers:
                tracker.cool_down(now, wanted, wished)
            return wished
        return wanted

    def _first(self, now: float, seen: Datapoint, wanted: int) -> int:
        """The alarm for messages that nobody comes for, and its step to exactly one."""
        policy = self._policy
        waits = seen.visible >= policy.first_worker_messages and seen.wanted == 0
        self._nobody = self._nobody + 1 if waits else 0
        if self._nobody < policy.first_worker_periods or now < self._step_until:
            return wanted
        self._step_until = now + policy.first_worker_cooldown
        return self._within(1)

    def _within(self, workers: int) -> int:
        return max(self._policy.min_workers, min(workers, self._policy.max_workers))


class _Tracker:
    """One target tracking policy, with the two alarms that AWS makes for it."""

    def __init__(self, tracking: Tracking, behaviour: Behaviour) -> None:
        self._tracking = tracking
        self._behaviour = behaviour
        self._above = self._below = 0
        self._out_until = self._in_until = -math.inf
        self._before = 0

    def forget(self) -> None:
        """A minute without a datapoint."""
        self._above = self._below = 0

    def wish(self, now: float, seen: Datapoint, wanted: int) -> int | None:
        """How many workers it would have; None when none of its alarms, or a cooldown, lets it speak."""
        tracking = self._tracking
        jobs = seen.in_flight + (seen.visible if tracking.counts_waiting else 0)
        metric = jobs / max(seen.running if tracking.per == "running" else seen.wanted, 1)
        self._above = self._above + 1 if metric > tracking.target else 0
        self._below = self._below + 1 if metric < self._behaviour.low_share * tracking.target else 0
        # What was added since the cooldown began answers the same need: only a larger one adds to it.
        present = self._before if now < self._out_until else wanted
        # Rounded up, but not for what the division leaves at the sixteenth digit.
        wished = math.ceil(present * metric / tracking.target - 1e-9)
        if wished > wanted and self._above >= self._behaviour.high_periods:
            return wished
        if wished < wanted and self._below >= self._behaviour.low_periods and now >= self._in_until:
            return wished
        return None

    def cool_down(self, now: float, before: int, after: int) -> None:
        """The number was changed."""
        if after > before:
            self._before = self._before if now < self._out_until else before
            self._out_until = now + self._tracking.scale_out_cooldown
        elif after < before:
            self._in_until = now + self._tracking.scale_in_cooldown
