"""The bill: prices that say where they come from, and sums that can be done by hand."""

from __future__ import annotations

import json
import math
from dataclasses import fields, replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from infra.cli import application
from infra.economy import prices as price_list
from infra.economy.behaviour import Behaviour
from infra.economy.cost import Bill, bill
from infra.economy.load import limits
from infra.economy.outcome import Day
from infra.economy.policy import REGION, Plan, ScalingPolicy, Standing, scaling, standing
from infra.economy.prices import Price
from infra.economy.scenarios import Burst, Scenario, needed_workers, price, simulate, usual
from infra.economy.usage import MONTH_DAYS, MONTH_HOURS, Assumptions, Choice, Quantity, month
from infra.errors import BadConfiguration

#: nobody came and nothing ran
QUIET = Day(0, math.nan, math.nan, math.nan, math.nan, 0.0, 0.0, 0.0, 0.0, 0, 0)
#: what exists whether anybody comes or not
AROUND_THE_CLOCK = {
    "interface_endpoint",
    "image_storage",
    "metric",
    "alarm_metric",
    "dashboard",
    "secret",
    "trace",
    "lambda_request",
    "lambda_arm_second",
    "table_read",
    "log_ingested",
    "log_stored",
    "secret_call",
}


@pytest.fixture(scope="module")
def prices() -> dict[str, Price]:
    return price_list.read()


@pytest.fixture(scope="module")
def policy() -> ScalingPolicy:
    return scaling(Plan())


@pytest.fixture(scope="module")
def there() -> Standing:
    return standing(Plan(Network="private"))


@pytest.fixture
def asked(policy: ScalingPolicy, there: Standing) -> Any:
    """``asked(jobs a day, …)`` → quantities of a month."""

    def ask(jobs: float, day: Day = QUIET, network: Standing = there, **choice: Any) -> list[Quantity]:
        return list(month(Choice(jobs, **choice), Assumptions(), policy, network, day))

    return ask


class TestPrices:
    def test_every_price_has_a_date_a_source_and_says_how_well_it_is_known(
        self, prices: dict[str, Price]
    ) -> None:
        for it in prices.values():
            assert date(2025, 1, 1) <= it.on <= date(2027, 1, 1), it.name
            assert it.source.startswith("https://"), it.name
            assert it.evidence in ("aws", "other", "none"), it.name
            assert it.unit, it.name
            assert all(usd > 0 for _, usd in it.tiers), it.name

    def test_more_is_never_dearer_by_the_piece(self, prices: dict[str, Price]) -> None:
        for it in prices.values():
            rates = [usd for _, usd in it.tiers]
            assert rates == sorted(rates, reverse=True), it.name

    def test_they_are_of_the_region_that_the_plan_is_for(self) -> None:
        assert f'region = "{REGION}"' in price_list.FILE.read_text(encoding="utf-8")

    def test_tiers_are_paid_one_after_the_other(self, prices: dict[str, Price]) -> None:
        rest = prices["rest_request"]
        assert rest.of(0) == 0
        assert rest.of(100e6) == pytest.approx(350)
        assert rest.of(433e6) == pytest.approx(333 * 3.5 + 100 * 2.8)
        assert prices["transfer_out"].of(60_000) == pytest.approx(900 + 40_000 * 0.085 + 10_000 * 0.07)

    @pytest.mark.parametrize(
        "entry",
        [
            "",
            'unit = "GB"',
            "usd = -1",
            "tiers = [[5, 1], [3, 1]]",
            "tiers = [[5, 1]]",
            "tiers = 4",
            'on = "yesterday"',
            'evidence = "rumour"',
            "usd = ",
        ],
    )
    def test_a_file_that_says_less_or_something_else_is_refused(self, tmp_path: Path, entry: str) -> None:
        said = {"usd": "1", "unit": '"GB"', "on": "2026-01-01", "source": '"https://x"', "evidence": '"aws"'}
        name, _, value = entry.partition(" = ")
        if name == "tiers" or not entry:
            said.pop("usd")
        if name == "unit":
            said.pop("on")
        elif name:
            said[name] = value
        path = tmp_path / "prices.toml"
        path.write_text("[thing]\n" + "\n".join(f"{key} = {it}" for key, it in said.items()))
        with pytest.raises(BadConfiguration, match=r"prices\.toml"):
            price_list.read(path)

    def test_a_missing_file_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(BadConfiguration, match="nowhere"):
            price_list.read(tmp_path / "nowhere.toml")


class TestQuantities:
    def test_each_has_a_price_and_each_price_is_used(self, asked: Any, prices: dict[str, Price]) -> None:
        public = standing(Plan(Network="public"))
        used = {it.price for it in asked(10, links="cloudfront")} | {
            it.price for it in asked(10, network=public)
        }
        for instance in ("g5.xlarge", "g4dn.xlarge"):
            used |= {it.price for it in asked(10, instance=instance)}
        assert used | {"interface_endpoint_data"} == set(prices)

    def test_no_jobs_cost_what_is_there_around_the_clock(self, asked: Any, prices: dict[str, Price]) -> None:
        quiet = bill(asked(0), prices, 0)
        assert {line.price.name for line in quiet.lines if line.usd} == AROUND_THE_CLOCK
        assert usd_of(quiet, "interface_endpoint") == pytest.approx(14 * 730 * 0.01)
        assert usd_of(quiet, "metric") == pytest.approx((25 + 30) * 0.30)
        assert usd_of(quiet, "dashboard") == 3
        # A sweep a minute: three queries of half a unit, and 0.3 s of half a gigabyte.
        assert usd_of(quiet, "table_read") == pytest.approx(43_800 * 1.5 * 0.125e-6)
        assert usd_of(quiet, "lambda_request") == pytest.approx(43_800 * 0.2e-6)
        assert usd_of(quiet, "lambda_arm_second") == pytest.approx(43_800 * 0.3 * 0.5 * 0.0000133334)

    def test_machines_are_paid_by_the_hour_with_their_disks(
        self, asked: Any, prices: dict[str, Price], there: Standing
    ) -> None:
        day = replace(QUIET, spot_hours=20.0, on_demand_hours=4.0, busy_hours=6.0)
        made = bill(asked(0, day), prices, 0)
        assert usd_of(made, "g6_xlarge_spot") == pytest.approx(20 * 365 / 12 * 0.362)
        assert usd_of(made, "g6_xlarge") == pytest.approx(4 * 365 / 12 * 0.8048)
        assert usd_of(made, "gp3_storage") == pytest.approx(60 * 1.0737 * 0.08)  # one machine, all month
        # Eighteen idle hours a day, an empty look at the queue every three seconds.
        assert usd_of(made, "queue_request") == pytest.approx(18 * 1200 * 365 / 12 * 0.4e-6)

    def test_a_thousand_jobs_by_hand(self, asked: Any, prices: dict[str, Price]) -> None:
        day = replace(QUIET, mean_wait=20.0, busy_hours=1.0, spot_hours=1.0)
        made = bill(asked(1000 / MONTH_DAYS, day), prices, 1000)
        # Written: made 3, arrived 4, claimed 4, 9 + 22 reports of 2, ended 3; 5 for the connection.
        assert usd_of(made, "table_write") == pytest.approx(1000 * (14 + 62 + 5) * 0.625e-6)
        assert usd_of(made, "rest_request") == pytest.approx(1000 * (10 + 5) * 3.5e-6)
        assert usd_of(made, "queue_request") == pytest.approx(1000 * 3 * 0.4e-6)
        assert usd_of(made, "bus_event") == pytest.approx(0.001)
        # Two looks at 0.7 MB; photo and files of 15 MB for thirty days.
        assert usd_of(made, "transfer_out") == pytest.approx(1.4 * 0.09)
        assert usd_of(made, "bucket_storage") == pytest.approx(15 * 30 / (365 / 12) * 0.023)
        # Five and a half minutes each: a ping and a pong a minute, subscription and answer, 35 frames.
        assert usd_of(made, "socket_minute") == pytest.approx(1000 * 5.5 * 0.25e-6)
        assert usd_of(made, "socket_message") == pytest.approx(1000 * (2 + 11 + 35) * 1e-6)

    def test_twice_the_jobs_ask_for_twice_as_much_of_what_is_theirs(self, asked: Any) -> None:
        day = replace(QUIET, mean_wait=30.0)
        once, twice = ({(it.service, it.purpose): it.units for it in asked(n, day)} for n in (50, 100))
        for name, service in (
            ("writes of jobs", "DynamoDB"),
            ("REST", "API Gateway"),
            ("socket messages", "API Gateway"),
            ("storage", "S3"),
            ("photos and files put", "S3"),
            ("events", "EventBridge"),
            ("messages and empty looks", "SQS"),
        ):
            assert twice[service, name] == pytest.approx(2 * once[service, name]), name
        for name, service in (("interface endpoints", "VPC"), ("alarms", "CloudWatch"), ("images", "ECR")):
            assert twice[service, name] == once[service, name], name

    def test_a_public_network_has_addresses_instead_of_endpoints(
        self, asked: Any, prices: dict[str, Price]
    ) -> None:
        day = replace(QUIET, spot_hours=24.0)
        private = bill(asked(10, day), prices, 1)
        public = bill(asked(10, day, standing(Plan(Network="public"))), prices, 1)
        assert private.usd - public.usd == pytest.approx(102.2 - 730 * 0.005)

    def test_links_to_the_cdn_move_the_models_there(self, asked: Any) -> None:
        direct, cdn = ({it.price: it.units for it in asked(100, links=links)} for links in ("s3", "cloudfront"))
        assert "transfer_out" not in cdn
        assert cdn["cdn_out"] == pytest.approx(direct["cdn_out"] + direct["transfer_out"])

    def test_every_assumption_makes_a_difference(
        self, policy: ScalingPolicy, there: Standing, prices: dict[str, Price]
    ) -> None:
        day = replace(QUIET, mean_wait=60.0)
        usual_usd = bill(month(Choice(1e6), Assumptions(), policy, there, day), prices, 1).usd
        for field in fields(Assumptions):
            more = replace(Assumptions(), **{field.name: getattr(Assumptions(), field.name) * 1.5})
            assert bill(month(Choice(1e6), more, policy, there, day), prices, 1).usd != usual_usd, field.name


class TestBills:
    def test_a_bill_is_the_sum_of_its_lines_and_of_its_services(
        self, asked: Any, prices: dict[str, Price]
    ) -> None:
        made = bill(asked(500, replace(QUIET, spot_hours=9.0, mean_wait=9.0)), prices, 500 * MONTH_DAYS)
        assert made.usd == pytest.approx(math.fsum(line.usd for line in made.lines))
        assert made.usd == pytest.approx(math.fsum(made.by_service.values()))
        assert made.usd_per_job == pytest.approx(made.usd / (500 * MONTH_DAYS))
        assert list(made.by_service.values()) == sorted(made.by_service.values(), reverse=True)
        assert all(line.usd >= 0 for line in made.lines)

    def test_what_was_paid_at_a_price_without_evidence_is_told(
        self, asked: Any, prices: dict[str, Price]
    ) -> None:
        made = bill(asked(10, replace(QUIET, spot_hours=1.0)), prices, 1)
        assert "g6_xlarge_spot" in {it.name for it in made.unproven}
        assert all(it.evidence == "none" for it in made.unproven)

    def test_a_quantity_without_a_price_is_refused(self, prices: dict[str, Price]) -> None:
        with pytest.raises(BadConfiguration, match="moon_rock"):
            bill([Quantity("Moon", "rocks", "moon_rock", 1)], prices, 1)


class TestScenarios:
    def test_there_are_ten_ten_thousand_and_a_million_with_bursts(self) -> None:
        days = usual(10.0)
        assert {10.0, 1e4, 1e6} <= {day.photos for day in days}
        assert {day.photos for day in days if day.burst} == {10.0, 1e4, 1e6}
        assert Scenario("x", 10, Burst(200, 14)).jobs == 210

    def test_the_needed_workers_bear_the_busiest_hour(self) -> None:
        assert needed_workers(1e6, 10.0) == math.ceil(1e6 / 86_400 * 1.7 * 10 / 0.85) == 232
        assert needed_workers(1, 1) == 1

    def test_a_burst_is_in_the_day_and_its_photos_wait_for_their_workers(self, policy: ScalingPolicy) -> None:
        alone = simulate(Scenario("10", 10), policy, Behaviour(), 10.0)
        burst = simulate(Scenario("burst", 10, Burst(200, 14)), policy, Behaviour(), 10.0)
        assert alone.jobs == pytest.approx(10, rel=0.2)
        assert burst.jobs == pytest.approx(210, rel=0.05)
        assert burst.median_wait > alone.median_wait
        assert burst.instance_hours > alone.instance_hours

    def test_more_workers_than_the_default_are_those_of_the_scenario(self, policy: ScalingPolicy) -> None:
        flood = Burst(5000, 10)
        few = simulate(Scenario("few", 100, flood), policy, Behaviour(), 10.0)
        many = simulate(Scenario("many", 100, flood, max_workers=30), policy, Behaviour(), 10.0)
        assert (few.most_workers, many.most_workers) == (policy.max_workers, 30)
        assert many.long_wait < few.long_wait

    def test_its_price_is_a_month_of_such_days(
        self, policy: ScalingPolicy, there: Standing, prices: dict[str, Price]
    ) -> None:
        scenario = Scenario("10", 10)
        day = simulate(scenario, policy, Behaviour(), 10.0)
        made = price(scenario, day, Choice(999), Assumptions(), policy, there, prices)
        assert made.jobs == pytest.approx(10 * MONTH_DAYS)
        assert usd_of(made, "g6_xlarge_spot") == pytest.approx(day.spot_hours * MONTH_HOURS / 24 * 0.362)


class TestLimits:
    def test_the_first_to_be_reached_comes_first(self, policy: ScalingPolicy, there: Standing) -> None:
        found = limits(Assumptions(), policy, there)
        days = [limit.photos_a_day for limit in found]
        assert days == sorted(days)
        assert found[0].what == "workers"
        assert all(limit.lift and limit.by for limit in found)

    def test_they_are_reached_where_a_sum_by_hand_says(self, policy: ScalingPolicy, there: Standing) -> None:
        found = {limit.what: limit for limit in limits(Assumptions(), policy, there)}
        # The busiest hour has 1.7 times the mean; four workers at 85 % do 0.34 jobs a second.
        assert found["workers"].photos_a_day == pytest.approx(4 * 0.85 / 10 * 86_400 / 1.7)
        assert found["REST requests"].photos_a_day == pytest.approx(there.rest_rate / 10 * 86_400 / 1.7)
        # One write unit per change: made, arrived, claimed, 9 + 22 reports, ended.
        by_owner = found["index `by_owner`, all photos from the drop folder (one owner)"]
        assert by_owner.photos_a_day == pytest.approx(1000 / 35 * 86_400 / 1.7)

    def test_longer_jobs_reach_the_workers_limit_sooner_and_heartbeats_count(
        self, policy: ScalingPolicy, there: Standing
    ) -> None:
        short, long = (
            {limit.what: limit.photos_a_day for limit in limits(Assumptions(seconds_per_job=s), policy, there)}
            for s in (10.0, 100.0)
        )
        assert long["workers"] == pytest.approx(short["workers"] / 10)
        assert long["index `by_sweep`, one key per status"] < short["index `by_sweep`, one key per status"]


class TestTheCommand:
    def test_limits_are_a_table(self) -> None:
        shown = CliRunner().invoke(application, ["cost", "--limits"])
        assert shown.exit_code == 0, shown.output
        assert shown.output.count("\n| ") >= 10

    def test_it_prints_every_service_the_sum_and_what_it_assumed(self) -> None:
        shown = CliRunner().invoke(application, ["cost", "--jobs-per-day", "10"])
        assert shown.exit_code == 0, shown.output
        for expected in (
            "| EC2 ",
            "| DynamoDB ",
            "| **all** ",
            "Assumed, not measured: 10 s per job",
            "Prices of",
        ):
            assert expected in shown.output

    def test_its_json_adds_up_and_names_every_price(self) -> None:
        flags = ["--jobs-per-day", "40", "--json", "--seconds-per-job", "20", "--network", "public"]
        shown = CliRunner().invoke(application, ["cost", *flags])
        assert shown.exit_code == 0, shown.output
        told = json.loads(shown.output)
        assert told["usd_a_month"] == pytest.approx(sum(line["usd"] for line in told["lines"]))
        assert told["usd_a_month"] == pytest.approx(sum(told["services"].values()))
        assert told["assumptions"]["seconds_per_job"] == 20
        assert {date.fromisoformat(line["on"]) > date(2025, 1, 1) for line in told["lines"]} == {True}

    def test_less_spot_is_dearer(self) -> None:
        def usd(*flags: str) -> float:
            shown = CliRunner().invoke(application, ["cost", "--jobs-per-day", "20", "--json", *flags])
            return float(json.loads(shown.output)["usd_a_month"])

        assert usd("--spot-share", "0") > usd("--spot-share", "1")


def usd_of(made: Bill, name: str) -> float:
    """What was paid at one price."""
    return sum(line.usd for line in made.lines if line.price.name == name)
