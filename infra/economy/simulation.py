"""The queue and the fleet of workers, event by event (simpy): how long photos wait, what the fleet costs.

Simulated are messages that arrive and are claimed, the minute's datapoints and their delay, the alarm that
wakes a fleet of none, target tracking with its alarms and cooldowns, the capacity provider that finds machines
for tasks, their boot, the pull of the image, the loading of the models, spot machines that are reclaimed,
workers that die, attempts and deadlines, workers that are not stopped while they work, machines given back.
Not simulated: spot capacity that cannot be had, machines of unequal speed, failures of AWS.

    job         arrives ─ waits ─ claimed ─ runs ─ succeeded | failed
                            ↑──────────────┴── its machine was reclaimed, or its worker died
    machine     launched ─ boots ─ up: a task's, or spare ─ given back | reclaimed
    task        pulls ─ loads ─ (waits | works)* ─ stopped when one too many, between two jobs
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from random import Random
from typing import Any

import simpy

from infra.economy.behaviour import HOUR, MINUTE, Behaviour, Service
from infra.economy.outcome import Outcome
from infra.economy.policy import ScalingPolicy
from infra.economy.scaling import Datapoint, Scaler

_Process = Generator[simpy.Event, Any, None]


@dataclass(slots=True)
class _Job:
    arrived: float
    attempts: int = 0


@dataclass(slots=True, eq=False)
class _Machine:
    spot: bool
    launched: float
    pulled: bool = False
    draining: bool = False
    task: simpy.Process | None = None
    #: what its task waits for while the queue is empty
    wake: simpy.Event | None = None


class Simulation:
    """One run from an empty system. Same arguments and seed, same outcome.

    Args:
        arrivals: when photos are queued, seconds, ascending.
        service: draws the seconds that a job takes.
        until: when to look at what came of it.
        measured_from: jobs that came, and hours that were paid for, before this are not measured.
    """

    def __init__(
        self,
        policy: ScalingPolicy,
        behaviour: Behaviour,
        arrivals: Iterable[float],
        service: Service,
        *,
        seed: int,
        until: float,
        measured_from: float = 0.0,
    ) -> None:
        self.policy = policy
        self.behaviour = behaviour
        self.outcome = Outcome()
        #: tasks that are wanted; and, once a minute, (time, wanted, running, waiting)
        self.wanted = policy.min_workers
        self.course: list[tuple[float, int, int, int]] = []
        self._service = service
        self._until = until
        self._measured_from = measured_from
        # Of its own, so that arrivals drawn with the same seed are not in step with the jobs' lengths.
        self._rng = Random(f"fleet {seed}")  # noqa: S311  chance, not secrecy
        self._env = simpy.Environment()
        self._queue: deque[_Job] = deque()
        self._in_flight = 0
        self._machines: list[_Machine] = []
        self._wanted_machines = 0
        self._too_many_for = 0
        self._spare: list[_Machine] = []
        self._tasks: set[_Machine] = set()
        self._running = 0
        self._idle: list[_Machine] = []
        self._scaler = Scaler(policy, behaviour)
        self._asked_at = self._dark_until = -math.inf
        self._env.process(self._arrive(arrivals))
        self._env.process(self._every_minute())

    def run(self) -> Outcome:
        """Run it, once."""
        self._provide_machines()
        self._env.run(until=self._until)
        for machine in list(self._machines):
            self._give_back(machine)
        self.outcome.waiting, self.outcome.running = len(self._queue), self._in_flight
        return self.outcome

    # --- the queue ---

    def _arrive(self, arrivals: Iterable[float]) -> _Process:
        for at in arrivals:
            if at > self._env.now:
                yield self._env.timeout(at - self._env.now)
            if at - self._asked_at > self.behaviour.dark_after:
                self._dark_until = at + self._rng.uniform(0.0, self.behaviour.dark_seconds)
            self._asked_at = at
            self.outcome.arrived += 1
            self._enqueue(_Job(at))

    def _enqueue(self, job: _Job) -> None:
        self._queue.append(job)
        self.outcome.most_waiting = max(self.outcome.most_waiting, len(self._queue))
        if self._idle:
            self._rouse()

    def _rouse(self) -> None:
        idle = self._idle.pop()
        if idle.wake is not None:
            idle.wake.succeed()

    def _show_again(self, job: _Job) -> _Process:
        """The message of a worker that died is seen again when the lease is over."""
        yield self._env.timeout(self.policy.lease_seconds)
        self._in_flight -= 1
        if job.attempts >= self.policy.attempts:
            self.outcome.failed += 1
        else:
            self._enqueue(job)

    # --- every minute ---

    def _every_minute(self) -> _Process:
        while True:
            yield self._env.timeout(MINUTE)
            now = self._env.now
            if self._tasks or self._queue:
                self._asked_at = now
            seen = Datapoint(len(self._queue), self._in_flight, self._running, self.wanted)
            self._env.process(self._scale(None if now < self._dark_until else seen))
            self._provide_machines()
            self.course.append((now, self.wanted, self._running, len(self._queue)))

    def _scale(self, seen: Datapoint | None) -> _Process:
        yield self._env.timeout(self.behaviour.metric_delay)
        self.wanted = self._scaler.decide(self._env.now, seen, self.wanted)
        # A worker looks at whether it is one too many, but only between two jobs: working, it is protected.
        for _ in range(min(len(self._idle), len(self._tasks) - self.wanted)):
            self._rouse()
        self._place_tasks()

    def _provide_machines(self) -> None:
        """The capacity provider: as many machines as there are tasks wanted, or still there."""
        needed = max(self.wanted, len(self._tasks))
        self._too_many_for = self._too_many_for + 1 if needed < self._wanted_machines else 0
        if needed > self._wanted_machines:
            self._wanted_machines += min(needed - self._wanted_machines, self.policy.largest_step)
        elif self._too_many_for >= self.behaviour.spare_periods:
            self._wanted_machines, self._too_many_for = needed, 0
        staying = [it for it in self._machines if not (it.draining and self.policy.rebalances)]
        for _ in range(self._wanted_machines - len(staying)):
            self._launch()
        without_task = [it for it in staying if it.task is None and not it.draining]
        for machine in without_task[: max(0, len(staying) - self._wanted_machines)]:
            self._give_back(machine)

    # --- machines ---

    def _launch(self) -> None:
        above = len(self._machines) + 1 - self.policy.on_demand_floor
        bought = self.policy.on_demand_floor + math.ceil(self.policy.on_demand_share * above)
        machine = _Machine(above > 0 and sum(not it.spot for it in self._machines) >= bought, self._env.now)
        self._machines.append(machine)
        self.outcome.launches += 1
        self._env.process(self._live(machine))

    def _live(self, machine: _Machine) -> _Process:
        yield self._env.timeout(self._about(self.behaviour.boot_seconds))
        if machine not in self._machines:
            return
        self._spare.append(machine)
        self._place_tasks()
        if not machine.spot or not self.behaviour.interruptions_per_hour:
            return
        yield self._env.timeout(self._rng.expovariate(self.behaviour.interruptions_per_hour / HOUR))
        if machine not in self._machines:
            return
        # ECS drains it: its task is told at once, the machine stays for the notice.
        self.outcome.interruptions += 1
        machine.draining = True
        if machine.task is not None:
            machine.task.interrupt()
        else:
            self._spare.remove(machine)
        yield self._env.timeout(self.behaviour.notice_seconds)
        if machine in self._machines:
            self._give_back(machine)

    def _give_back(self, machine: _Machine) -> None:
        self._machines.remove(machine)
        if machine in self._spare:
            self._spare.remove(machine)
        hours = max(0.0, self._env.now - max(machine.launched, self._measured_from)) / HOUR
        if machine.spot:
            self.outcome.spot_hours += hours
        else:
            self.outcome.on_demand_hours += hours

    def _about(self, median: float) -> float:
        return median * math.exp(self._rng.gauss(0.0, self.behaviour.spread))

    # --- tasks ---

    def _place_tasks(self) -> None:
        while len(self._tasks) < self.wanted and self._spare:
            machine = self._spare.pop()
            self._tasks.add(machine)
            self.outcome.most_workers = max(self.outcome.most_workers, len(self._tasks))
            machine.task = self._env.process(self._work(machine))

    def _work(self, machine: _Machine) -> _Process:
        """A task, from its start to its end."""
        job: _Job | None = None
        runs = False
        try:
            if not machine.pulled:
                yield self._env.timeout(self._about(self.behaviour.pull_seconds))
                machine.pulled = True
            runs = True
            self._running += 1
            yield self._env.timeout(self._about(self.behaviour.load_seconds))
            while len(self._tasks) <= self.wanted:
                if not self._queue:
                    machine.wake = self._env.event()
                    self._idle.append(machine)
                    yield machine.wake
                    continue
                job = self._queue.popleft()
                job.attempts += 1
                self._in_flight += 1
                seconds = self._service(self._rng)
                dies_after = self._dies_after()
                if dies_after < seconds:
                    yield self._env.timeout(dies_after)
                    self.outcome.handed_back += 1
                    self._env.process(self._show_again(job))
                    job = None
                    yield self._env.timeout(self._about(self.behaviour.load_seconds))
                    continue
                yield self._env.timeout(min(seconds, self.policy.deadline_seconds))
                self._in_flight -= 1
                self._end(job, seconds)
                job = None
        except simpy.Interrupt:
            if machine in self._idle:
                self._idle.remove(machine)
            elif job is None and self._queue and self._idle:
                self._rouse()  # somebody else, in its stead
            if job is not None:
                # Handed back in good order: the attempt does not count, and the message is a fresh one.
                job.attempts -= 1
                self._in_flight -= 1
                self.outcome.handed_back += 1
                self._enqueue(job)
        # Not in a finally: what still runs when the simulation ends is dropped, and that is no end of a task.
        self._running -= runs
        self._tasks.discard(machine)
        machine.task = None
        if not machine.draining:
            self._spare.append(machine)
        self._place_tasks()

    def _dies_after(self) -> float:
        rate = self.behaviour.deaths_per_hour / HOUR
        return self._rng.expovariate(rate) if rate else math.inf

    def _end(self, job: _Job, seconds: float) -> None:
        in_time = seconds <= self.policy.deadline_seconds
        self.outcome.succeeded += in_time
        self.outcome.failed += not in_time
        if job.arrived >= self._measured_from:
            seconds = min(seconds, self.policy.deadline_seconds)
            latency = self._env.now - job.arrived
            self.outcome.latencies.append(latency)
            self.outcome.waits.append(max(0.0, latency - seconds))
            self.outcome.busy_hours += seconds / HOUR
