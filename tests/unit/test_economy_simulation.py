"""The simulated fleet: against queueing theory, against sums by hand, and nothing may get lost."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from random import Random
from statistics import stdev
from typing import Any

import pytest

from infra.economy import arrivals
from infra.economy.behaviour import HOUR, Behaviour, Service, around, exponential
from infra.economy.outcome import Outcome, per_day, quantile
from infra.economy.policy import Plan, ScalingPolicy, scaling
from infra.economy.simulation import Simulation

#: machines that are there at once and for ever
IDEAL = Behaviour(boot_seconds=0, pull_seconds=0, load_seconds=0, interruptions_per_hour=0)
#: nothing is left to chance, and a queue's datapoints come at once
STEADY = Behaviour(spread=0, interruptions_per_hour=0, dark_seconds=0)


@pytest.fixture(scope="module")
def policy() -> ScalingPolicy:
    return scaling(Plan())


def simulate(
    policy: ScalingPolicy,
    behaviour: Behaviour,
    photos: Iterable[float],
    service: Service,
    *,
    until: float,
    seed: int = 1,
    **how: Any,
) -> Simulation:
    simulation = Simulation(policy, behaviour, photos, service, seed=seed, until=until, **how)
    simulation.run()
    return simulation


def always(policy: ScalingPolicy, workers: int) -> ScalingPolicy:
    return replace(policy, min_workers=workers, max_workers=workers)


def mean(values: Iterable[float]) -> float:
    listed = list(values)
    return math.fsum(listed) / len(listed)


def agrees(values: Sequence[float], expected: float, batches: int = 20) -> bool:
    """Whether the mean is ``expected`` within three standard errors, by batch means, and the error is small."""
    size = len(values) // batches
    means = [mean(values[k * size : (k + 1) * size]) for k in range(batches)]
    error = stdev(means) / math.sqrt(batches)
    return abs(mean(means) - expected) < 3 * error and error < 0.06 * expected


def erlang_c(servers: int, load: float) -> float:
    """The share of customers who wait, of M/M/c. Erlang, 1917."""
    terms = [load**k / math.factorial(k) for k in range(servers)]
    last = load**servers / math.factorial(servers) * servers / (servers - load)
    return last / (sum(terms) + last)


def everybody(outcome: Outcome) -> int:
    return outcome.succeeded + outcome.failed + outcome.waiting + outcome.running


class TestAgainstTheory:
    @pytest.mark.parametrize(("workers", "utilisation"), [(1, 0.5), (4, 0.7), (6, 0.75)])
    def test_random_jobs_at_fixed_workers_wait_as_erlang_says(
        self, policy: ScalingPolicy, workers: int, utilisation: float
    ) -> None:
        seconds, load = 10.0, workers * utilisation
        until = 100_000 * seconds / load
        photos = arrivals.evenly_random(load / seconds, until, Random(workers))
        fixed = simulate(always(policy, workers), IDEAL, photos, exponential(seconds), until=until)
        waits = fixed.outcome.waits
        share = erlang_c(workers, load)
        assert agrees([float(wait > 1e-6) for wait in waits], share)
        assert agrees(waits, share * seconds / (workers - load))

    def test_equal_jobs_at_one_worker_wait_as_pollaczek_and_khinchine_say(self, policy: ScalingPolicy) -> None:
        seconds, load = 10.0, 0.7
        photos = arrivals.evenly_random(load / seconds, 100_000 * seconds / load, Random(7))
        fixed = simulate(always(policy, 1), IDEAL, photos, around(seconds, 0), until=1e6)
        assert agrees(fixed.outcome.waits, load * seconds / (2 * (1 - load)))

    def test_paid_hours_and_busy_hours_follow_from_the_load(self, policy: ScalingPolicy) -> None:
        photos = arrivals.evenly_random(0.2, 200 * HOUR, Random(3))
        fixed = simulate(always(policy, 4), IDEAL, photos, exponential(10), until=200 * HOUR)
        assert fixed.outcome.instance_hours == pytest.approx(800)
        day = per_day(fixed.outcome, 200 / 24)
        assert day.instance_hours == pytest.approx(96)
        assert day.busy_share == pytest.approx(0.5, rel=0.02)
        assert day.jobs == pytest.approx(0.2 * 86_400, rel=0.02)


class TestNothingIsLost:
    @pytest.mark.parametrize("seed", range(5))
    def test_every_photo_is_done_or_waits_or_runs_whenever_one_looks(
        self, policy: ScalingPolicy, seed: int
    ) -> None:
        stormy = Behaviour(interruptions_per_hour=6, deaths_per_hour=30)
        photos = list(arrivals.daily(8000, arrivals.DAY, Random(seed)))
        until = (0.3 + seed / 7) * arrivals.DAY
        outcome = simulate(policy, stormy, photos, around(20), until=until, seed=seed).outcome
        assert outcome.arrived == sum(at <= until for at in photos)
        assert everybody(outcome) == outcome.arrived
        assert outcome.interruptions > 0
        assert outcome.handed_back > 0

    def test_interruptions_cost_time_and_no_attempt(self, policy: ScalingPolicy) -> None:
        photos = arrivals.daily(2000, arrivals.DAY, Random(2))
        stormy = Behaviour(interruptions_per_hour=30)
        outcome = simulate(policy, stormy, photos, around(20), until=1.5 * arrivals.DAY).outcome
        assert outcome.handed_back > 30
        assert (outcome.succeeded, outcome.failed) == (outcome.arrived, 0)

    def test_a_job_that_kills_every_worker_fails_after_its_attempts(self, policy: ScalingPolicy) -> None:
        deadly = replace(STEADY, deaths_per_hour=1e9)
        outcome = simulate(policy, deadly, [0.0, 5000.0], around(20), until=4 * HOUR).outcome
        assert (outcome.succeeded, outcome.failed) == (0, 2)
        assert outcome.handed_back == 2 * policy.attempts

    def test_a_job_that_takes_too_long_fails_at_its_deadline(self, policy: ScalingPolicy) -> None:
        outcome = simulate(always(policy, 1), IDEAL, [100.0], around(1e4, 0), until=1e5).outcome
        assert outcome.failed == 1
        assert outcome.latency(1.0) == pytest.approx(policy.deadline_seconds)


class TestTheFleet:
    def test_the_first_photo_waits_for_datapoint_alarm_machine_image_and_models(
        self, policy: ScalingPolicy
    ) -> None:
        # The minute ends at 60, its datapoint is there at 120, the capacity provider looks again at 180; then
        # 120 s to boot, 120 s to pull, 25 s to load.
        outcome = simulate(policy, STEADY, [1.0], around(10, 0), until=2 * HOUR).outcome
        assert list(outcome.waits) == [pytest.approx(180 + 120 + 120 + 25 - 1)]
        assert outcome.launches == 1

    def test_a_queue_that_was_left_alone_wakes_late(self, policy: ScalingPolicy) -> None:
        photos = [1.0, 5 * HOUR, 20 * HOUR]
        late = simulate(policy, replace(STEADY, dark_seconds=900), photos, around(10, 0), until=arrivals.DAY)
        soon = simulate(policy, STEADY, photos, around(10, 0), until=arrivals.DAY)
        delays = [a - b for a, b in zip(late.outcome.waits, soon.outcome.waits, strict=True)]
        assert [1 < delay <= 900 for delay in delays] == [True, False, True]  # asked for five hours before
        assert delays[1] == pytest.approx(0)

    def test_without_photos_nothing_is_started_and_nothing_paid(self, policy: ScalingPolicy) -> None:
        outcome = simulate(policy, Behaviour(), [], around(10), until=arrivals.DAY).outcome
        assert (outcome.launches, outcome.instance_hours) == (0, 0)

    def test_it_goes_back_to_none_when_nothing_more_comes(self, policy: ScalingPolicy) -> None:
        photos = arrivals.burst(10.0, 200, 0, Random(1))
        shorter, longer = (
            simulate(policy, STEADY, photos, around(10), until=hours * HOUR) for hours in (3, 30)
        )
        assert longer.course[-1][1:] == (0, 0, 0)
        assert longer.outcome.instance_hours == shorter.outcome.instance_hours < 4

    def test_it_never_has_more_workers_than_it_may(self, policy: ScalingPolicy) -> None:
        photos = arrivals.burst(10.0, 5000, 600, Random(1))
        for most in (1, 4, 9):
            held = simulate(replace(policy, max_workers=most), Behaviour(), photos, around(10), until=3 * HOUR)
            assert held.outcome.most_workers == most
            assert max(wanted for _, wanted, _, _ in held.course) == most

    def test_it_keeps_as_many_as_it_must(self, policy: ScalingPolicy) -> None:
        kept = simulate(replace(policy, min_workers=2), STEADY, [HOUR], around(10), until=12 * HOUR)
        assert min(wanted for _, wanted, _, _ in kept.course) == 2
        assert kept.outcome.waits[0] == pytest.approx(0)
        assert kept.outcome.instance_hours == pytest.approx(24)

    def test_a_working_worker_is_never_stopped_to_have_fewer(self, policy: ScalingPolicy) -> None:
        patient = replace(policy, deadline_seconds=1e6)
        photos = [float(at) for at in range(60)]
        outcome = simulate(patient, STEADY, photos, around(2 * HOUR, 0.5), until=10 * arrivals.DAY).outcome
        assert (outcome.succeeded, outcome.handed_back) == (60, 0)

    def test_machines_above_the_floor_are_spot_but_for_their_share(self, policy: ScalingPolicy) -> None:
        for floor, share, bought in ((0, 0.0, 0), (2, 0.0, 2), (2, 0.5, 6), (0, 1.0, 10), (20, 0.0, 10)):
            mixed = replace(always(policy, 10), on_demand_floor=floor, on_demand_share=share)
            outcome = simulate(mixed, STEADY, [], around(10), until=HOUR).outcome
            assert (outcome.on_demand_hours, outcome.spot_hours) == (
                pytest.approx(bought),
                pytest.approx(10 - bought),
            )

    def test_a_replacement_starts_at_the_notice_where_the_group_rebalances(self, policy: ScalingPolicy) -> None:
        often = replace(STEADY, interruptions_per_hour=4)
        photos = list(arrivals.evenly_random(0.08, 40 * HOUR, Random(4)))
        early, late = (
            simulate(replace(always(policy, 1), rebalances=it), often, photos, around(10), until=50 * HOUR)
            for it in (True, False)
        )
        assert mean(early.outcome.waits) < mean(late.outcome.waits)


def test_the_same_seed_gives_the_same_outcome_and_another_another(policy: ScalingPolicy) -> None:
    def once(seed: int) -> Outcome:
        photos = arrivals.daily(3000, arrivals.DAY, Random(seed))
        return simulate(policy, Behaviour(), photos, around(10), until=arrivals.DAY, seed=seed).outcome

    assert once(1) == once(1)
    assert once(1) != once(2)


def test_only_what_came_after_the_warm_up_is_measured(policy: ScalingPolicy) -> None:
    photos = [float(at) for at in range(0, 7200, 60)]
    outcome = simulate(always(policy, 1), IDEAL, photos, around(10, 0), until=7200, measured_from=3600).outcome
    assert outcome.succeeded == 120
    assert len(outcome.waits) == 60
    assert outcome.instance_hours == pytest.approx(1)
    assert outcome.busy_hours == pytest.approx(60 * 10 / 3600)


def test_a_days_photos_come_in_the_rhythm_that_was_asked_for() -> None:
    photos = list(arrivals.daily(100_000, arrivals.DAY, Random(1), peak_hour=20, swing=0.7))
    assert len(photos) == pytest.approx(100_000, rel=0.01)
    assert photos == sorted(photos)
    hours = [0] * 24
    for at in photos:
        hours[int(at // 3600)] += 1
    for hour, count in enumerate(hours):
        expected = 100_000 / 24 * (1 + 0.7 * math.cos(2 * math.pi * (hour + 0.5 - 20) / 24))
        assert count == pytest.approx(expected, rel=0.1)


def test_a_burst_has_all_its_photos_and_none_before_its_time() -> None:
    assert arrivals.burst(5.0, 3, 0, Random(1)) == [5.0, 5.0, 5.0]
    late = arrivals.burst(100.0, 10_000, 50.0, Random(1))
    assert len(late) == 10_000
    assert min(late) >= 100
    assert mean(late) == pytest.approx(150, rel=0.02)
    assert list(arrivals.together([1.0, 4.0], [2.0, 3.0])) == [1.0, 2.0, 3.0, 4.0]


def test_jobs_take_the_seconds_that_were_asked_for_in_the_mean() -> None:
    rng = Random(1)
    for service in (around(10), around(10, 0.8), exponential(10)):
        assert mean(service(rng) for _ in range(50_000)) == pytest.approx(10, rel=0.03)


def test_quantiles_are_values_that_occurred() -> None:
    assert quantile([3.0, 1.0, 2.0, 4.0], 0.5) == 2.0
    assert quantile([3.0, 1.0, 2.0, 4.0], 0.95) == 4.0
    assert quantile([5.0], 0.0) == 5.0
    assert math.isnan(quantile([], 0.5))
