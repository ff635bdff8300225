"""The policies of the template: read as they stand there, and followed minute by minute."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from infra.economy.behaviour import Behaviour
from infra.economy.policy import Plan, ScalingPolicy, Tracking, scaling, standing
from infra.economy.scaling import Datapoint, Scaler
from infra.errors import BadConfiguration
from infra.job import MAX_ATTEMPTS
from infra.local.template import TEMPLATE
from infra.settings import Settings

BACKLOG = Tracking(target=10, counts_waiting=True, per="wanted", scale_out_cooldown=180, scale_in_cooldown=300)
BUSY = replace(BACKLOG, target=0.8, counts_waiting=False)


@pytest.fixture(scope="module")
def plan() -> Plan:
    return Plan()


@pytest.fixture
def policy(plan: Plan) -> ScalingPolicy:
    return replace(scaling(plan), max_workers=50, trackings=(BACKLOG,), first_worker_cooldown=300)


def follow(policy: ScalingPolicy, seen: list[Datapoint | None], wanted: int = 0) -> list[int]:
    """Workers wanted after each minute."""
    scaler, course = Scaler(policy, Behaviour()), []
    for minute, datapoint in enumerate(seen):
        wanted = scaler.decide(60.0 * minute, datapoint, wanted)
        course.append(wanted)
    return course


def minute(visible: int, in_flight: int = 0, *, running: int = 0, wanted: int = 0) -> Datapoint:
    return Datapoint(visible, in_flight, running, wanted)


class TestFromNone:
    def test_one_message_wants_one_worker(self, policy: ScalingPolicy) -> None:
        assert follow(policy, [minute(0), minute(1), minute(1, wanted=1)]) == [0, 1, 1]

    def test_a_period_more_waits_a_minute_more(self, policy: ScalingPolicy) -> None:
        patient = replace(policy, first_worker_periods=2)
        assert follow(patient, [minute(5), minute(0), minute(5), minute(5)]) == [0, 0, 0, 1]

    def test_it_does_not_take_back_what_tracking_has_added(self, policy: ScalingPolicy) -> None:
        # Each minute is seen as it was before its change was: still nobody wanted.
        late = [minute(400)] + [minute(400, wanted=0)] * 4
        assert follow(policy, late)[-1] > 1

    def test_minutes_without_datapoints_start_nothing(self, policy: ScalingPolicy) -> None:
        assert follow(policy, [None, None, None]) == [0, 0, 0]


class TestTracking:
    def test_three_minutes_above_the_target_scale_out_in_proportion(self, policy: ScalingPolicy) -> None:
        assert follow(policy, [minute(55, 1, running=1, wanted=1)] * 3, wanted=1) == [1, 1, 6]

    def test_a_minute_at_the_target_or_without_datapoint_starts_the_count_anew(
        self, policy: ScalingPolicy
    ) -> None:
        high = minute(55, 1, running=1, wanted=1)
        for quiet in (minute(10, running=1, wanted=1), None):
            assert follow(policy, [high, high, quiet, high, high], wanted=1) == [1] * 5

    def test_while_it_cools_down_only_a_larger_need_adds_workers(self, policy: ScalingPolicy) -> None:
        # The datapoints still tell of one worker; the need of 56 jobs has been answered.
        same, more = minute(55, 1, running=1, wanted=1), minute(199, 1, running=1, wanted=1)
        assert follow(policy, [same] * 5, wanted=1) == [1, 1, 6, 6, 6]
        assert follow(policy, [same] * 3 + [more], wanted=1) == [1, 1, 6, 20]

    def test_fifteen_minutes_below_nine_tenths_of_the_target_scale_in(self, policy: ScalingPolicy) -> None:
        low = minute(25, 5, running=5, wanted=5)
        assert follow(policy, [low] * 15, wanted=5) == [5] * 14 + [3]
        just_in_band = minute(45, 1, running=5, wanted=5)
        assert follow(policy, [just_in_band] * 40, wanted=5) == [5] * 40

    def test_it_scales_in_again_only_after_its_cooldown(self, policy: ScalingPolicy) -> None:
        low = minute(25, 5, running=5, wanted=5)
        empty = minute(0, 0, running=3, wanted=3)
        course = follow(policy, [low] * 15 + [empty] * 6, wanted=5)
        assert course[14:] == [3, 3, 3, 3, 3, 0, 0]

    def test_it_stays_within_its_bounds(self, policy: ScalingPolicy) -> None:
        assert follow(policy, [minute(10_000, running=1, wanted=1)] * 3, wanted=1)[-1] == 50
        kept = replace(policy, min_workers=2)
        assert follow(kept, [minute(0, running=5, wanted=5)] * 20, wanted=5)[-1] == 2

    def test_it_divides_by_those_that_run_or_those_that_are_wanted(self, policy: ScalingPolicy) -> None:
        booting = [minute(55, 1, running=1, wanted=6)] * 3
        assert follow(policy, booting, wanted=6)[-1] == 6
        running = replace(policy, trackings=(replace(BACKLOG, per="running"),))
        assert follow(running, booting, wanted=6)[-1] == 34  # the trap: six workers' jobs, held against one


class TestTwoPolicies:
    def test_the_larger_wish_scales_out(self, policy: ScalingPolicy) -> None:
        both = replace(policy, trackings=(BACKLOG, BUSY))
        busy = minute(0, 4, running=4, wanted=4)
        assert follow(both, [busy] * 3, wanted=4) == [4, 4, 5]
        burst = minute(96, 4, running=4, wanted=4)
        assert follow(both, [burst] * 3, wanted=4) == [4, 4, 10]

    def test_scaling_in_needs_both_and_goes_no_further_than_either(self, policy: ScalingPolicy) -> None:
        both = replace(policy, trackings=(BACKLOG, BUSY))
        loaded = minute(0, 15, running=20, wanted=20)  # 0.75 busy: within the band of 0.8
        assert follow(both, [loaded] * 30, wanted=20) == [20] * 30
        assert follow(policy, [loaded] * 15, wanted=20)[-1] == 2  # alone, it would leave two for fifteen jobs
        slack = minute(0, 8, running=20, wanted=20)
        assert follow(both, [slack] * 15, wanted=20)[-1] == 10


class TestTheTemplate:
    def test_its_defaults_are_the_policys_numbers(self, plan: Plan) -> None:
        found = scaling(plan)
        text = TEMPLATE.read_text(encoding="utf-8")
        assert found.min_workers == default(text, "MinWorkers")
        assert found.max_workers == default(text, "MaxWorkers")
        assert found.on_demand_floor == default(text, "OnDemandFloor")
        assert found.on_demand_share == default(text, "OnDemandShare") / 100
        assert default(text, "BacklogPerWorker") in {tracking.target for tracking in found.trackings}
        assert sorted(tracking.scale_out_cooldown for tracking in found.trackings) == numbers(
            text, "ScaleOutCooldown"
        )
        assert sorted(tracking.scale_in_cooldown for tracking in found.trackings) == numbers(
            text, "ScaleInCooldown"
        )
        assert [found.largest_step] == numbers(text, "MaximumScalingStepSize")
        assert found.rebalances == ("CapacityRebalance: true" in text)

    def test_its_parameters_change_the_policy(self) -> None:
        given = scaling(Plan(MinWorkers=1, MaxWorkers=7, BacklogPerWorker=3, OnDemandFloor=2, OnDemandShare=25))
        assert (given.min_workers, given.max_workers) == (1, 7)
        assert (given.on_demand_floor, given.on_demand_share) == (2, 0.25)
        assert 3 in {tracking.target for tracking in given.trackings}

    def test_lease_deadline_and_attempts_are_those_of_the_code(self, plan: Plan) -> None:
        found = scaling(plan)
        assert found.attempts == MAX_ATTEMPTS
        assert found.lease_seconds == Settings({}).lease_seconds
        assert found.deadline_seconds == Settings({}).job_deadline_seconds

    def test_a_private_network_has_endpoints_and_a_public_one_addresses(self) -> None:
        private, public = standing(Plan(Network="private")), standing(Plan(Network="public"))
        assert private.endpoint_zones == 2 * TEMPLATE.read_text().count("VpcEndpointType: Interface")
        assert (public.endpoint_zones, public.public_addresses) == (0, True)
        assert not private.public_addresses

    def test_every_alarms_metrics_are_counted(self, plan: Plan) -> None:
        found, alarms = standing(plan), plan.of_type("AWS::CloudWatch::Alarm")
        assert found.alarm_metrics >= len(alarms) > 5
        assert (found.dashboards, found.volume_gib) == (1, 60)

    def test_functions_and_the_stream_are_as_large_as_the_template_says(self, plan: Plan) -> None:
        text, found = TEMPLATE.read_text(encoding="utf-8"), standing(plan)
        assert [found.function_gb * 1024] == numbers(text, "MemorySize")
        assert [found.stream_batch] == numbers(text, " BatchSize")
        assert [found.stream_batches] == numbers(text, "ParallelizationFactor")

    def test_both_apis_are_throttled_as_the_template_says(self, plan: Plan) -> None:
        found = standing(plan)
        assert sorted([found.rest_rate, found.socket_rate]) == numbers(
            TEMPLATE.read_text(encoding="utf-8"), "ThrottlingRateLimit"
        )

    def test_scaling_that_the_simulation_does_not_know_is_refused(self, tmp_path: Path) -> None:
        for before, after in (
            ("AdjustmentType: ExactCapacity", "AdjustmentType: ChangeInCapacity"),
            ("TargetCapacity: 100", "TargetCapacity: 80"),
            ("MetricName: ApproximateNumberOfMessagesNotVisible", "MetricName: NumberOfMessagesSent"),
        ):
            text = TEMPLATE.read_text(encoding="utf-8")
            assert before in text
            (tmp_path / "template.yaml").write_text(text.replace(before, after), encoding="utf-8")
            with pytest.raises(BadConfiguration):
                scaling(Plan(tmp_path / "template.yaml"))

    def test_what_is_not_there_is_named(self, plan: Plan) -> None:
        with pytest.raises(BadConfiguration, match=r"WorkerFleet\.Colour"):
            plan.value("WorkerFleet", "Colour")
        with pytest.raises(BadConfiguration, match="Nobody"):
            plan.value("Nobody")


def default(text: str, parameter: str) -> float:
    """The default of a parameter, read without any template machinery."""
    found = re.search(rf"^  {parameter}:\n(?:    .*\n)*?    Default: (\d+)$", text, re.MULTILINE)
    assert found
    return float(found[1])


def numbers(text: str, name: str) -> list[Any]:
    return sorted(float(value) for value in re.findall(rf"{name}: (\d+)", text))
