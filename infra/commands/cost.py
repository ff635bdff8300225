"""``maquette cost``: a month's bill, and how the fleet of workers bears a day. Tables are Markdown."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from infra.commands.console import console, output
from infra.economy.behaviour import Behaviour
from infra.economy.cost import Bill
from infra.economy.load import limits
from infra.economy.outcome import Day
from infra.economy.policy import Plan, ScalingPolicy, Standing, scaling, standing
from infra.economy.prices import Price, read
from infra.economy.scenarios import Scenario, price, simulate, usual
from infra.economy.usage import Assumptions, Choice
from infra.errors import InvalidOption


@dataclass(frozen=True)
class Question:
    """What is asked about, as the command line says it; None leaves the template's number."""

    jobs_per_day: float
    seconds_per_job: float
    spot_share: float | None = None
    min_workers: int | None = None
    max_workers: int | None = None
    network: Literal["private", "public"] = "private"
    instance: str = "g6.xlarge"
    links: Literal["s3", "cloudfront"] = "s3"
    seed: int = 1


class Model:
    """Template, prices and assumptions, ready to be asked."""

    def __init__(self, question: Question) -> None:
        parameters: dict[str, object] = {"Network": question.network}
        if question.spot_share is not None:
            parameters["OnDemandShare"] = 100 * (1 - question.spot_share)
        if question.min_workers is not None:
            parameters["MinWorkers"] = question.min_workers
        if question.max_workers is not None:
            parameters["MaxWorkers"] = question.max_workers
        plan = Plan(**parameters)
        self.question = question
        self.policy: ScalingPolicy = scaling(plan)
        self.standing: Standing = standing(plan)
        self.behaviour = Behaviour()
        self.assumed = Assumptions(seconds_per_job=question.seconds_per_job)
        self.prices: dict[str, Price] = read()
        self.choice = Choice(question.jobs_per_day, question.instance, question.links)
        if question.instance.replace(".", "_") not in self.prices:
            known = sorted(name[:-5].replace("_", ".") for name in self.prices if name.endswith("_spot"))
            raise InvalidOption(f"There is no price for {question.instance}. There are: {', '.join(known)}.")

    def ask(self, scenario: Scenario) -> tuple[Day, Bill]:
        """How the day goes, and what a month of such days costs."""
        with console.status(f"Simulating {scenario.name} …"):
            day = simulate(
                scenario, self.policy, self.behaviour, self.question.seconds_per_job, seed=self.question.seed
            )
        bill = price(scenario, day, self.choice, self.assumed, self.policy, self.standing, self.prices)
        return day, bill


def cost(question: Question, *, as_json: bool = False) -> None:
    """Print one deployment's month."""
    model = Model(question)
    day, bill = model.ask(Scenario(f"{question.jobs_per_day:,.0f} photos a day", question.jobs_per_day))
    if as_json:
        output.print_json(json.dumps(_as_json(model, day, bill), default=str, allow_nan=False))
        return
    rows = [
        (name, f"{usd:,.2f}", f"{usd / bill.jobs:.6f}" if bill.jobs else "", _largest(bill, name))
        for name, usd in bill.by_service.items()
    ]
    rows.append(("**all**", f"**{bill.usd:,.2f}**", f"**{bill.usd_per_job:.6f}**", ""))
    _print(_table(("service", "$ a month", "$ a model", "most of it"), rows, "lrrl"))
    for line in [*_day_in_words(day, model.policy), *_assumptions(model, bill)]:
        _print(line)


def scenarios(question: Question, *, as_json: bool = False) -> None:
    """Print the days of :func:`infra.economy.scenarios.usual`."""
    model = Model(question)
    answers = [(scenario, *model.ask(scenario)) for scenario in usual(question.seconds_per_job)]
    if as_json:
        told = [{"scenario": dataclasses.asdict(it), **_as_json(model, day, bill)} for it, day, bill in answers]
        output.print_json(json.dumps(told, default=str, allow_nan=False))
        return
    rows = []
    for scenario, day, bill in answers:
        lost = day.waiting > scenario.jobs / 20
        rows.append(
            (
                scenario.name,
                str(scenario.max_workers or model.policy.max_workers),
                "grows" if lost else _seconds(day.median_wait),
                "grows" if lost else _seconds(day.long_wait),
                f"{day.instance_hours:,.1f}",
                f"{100 * day.busy_share:.0f} %",
                "" if lost else f"{bill.usd:,.0f}",
                "" if lost else f"{bill.usd_per_job:.4f}",
            )
        )
    head = ("photos a day", "MaxWorkers", "wait p50", "p95", "GPU-hours", "busy", "$ a month", "$ a model")
    _print(_table(head, rows, "lrrrrrrr"))
    for line in _assumptions(model, None):
        _print(line)


def breaking_points(question: Question) -> None:
    """Print which limit is reached first, and by how many photos a day."""
    model = Model(question)
    rows = [
        (f"{it.photos_a_day:,.0f}", it.what, f"{it.most:,.0f}", f"{it.per_job:.3g}", it.by, it.lift)
        for it in limits(model.assumed, model.policy, model.standing)
    ]
    head = (
        "photos a day",
        "of which there is only so much",
        "a second",
        "a job takes",
        "set by",
        "what lifts it",
    )
    _print(_table(head, rows, "rlrrll"))
    for line in _assumptions(model, None):
        _print(line)


def _day_in_words(day: Day, policy: ScalingPolicy) -> Iterable[str]:
    yield ""
    yield (
        f"A day: {day.instance_hours:,.1f} GPU-hours, {100 * day.busy_share:.0f} % of them busy, at most "
        f"{day.most_workers} workers (MaxWorkers {policy.max_workers}); photos wait "
        f"{_seconds(day.median_wait)} (median), {_seconds(day.long_wait)} (p95)."
    )
    if day.waiting > max(100.0, day.jobs / 20):
        yield f"The workers do not suffice: {day.waiting:,} photos still wait at the end of the day."


def _assumptions(model: Model, bill: Bill | None) -> Iterable[str]:
    asked, behaviour = model.question, model.behaviour
    yield ""
    yield (
        f"Assumed, not measured: {asked.seconds_per_job:g} s per job on the GPU; a machine boots in "
        f"{behaviour.boot_seconds:g} s, pulls the image in {behaviour.pull_seconds:g} s, loads the models in "
        f"{behaviour.load_seconds:g} s; a spot machine is reclaimed {behaviour.interruptions_per_hour:g} times "
        f"an hour; datapoints are {behaviour.metric_delay:g} s late."
    )
    spread = {
        name: value for name, value in dataclasses.asdict(model.assumed).items() if name != "seconds_per_job"
    }
    yield "Sizes and frequencies: " + ", ".join(f"{name} {value:g}" for name, value in spread.items()) + "."
    dates = sorted(it.on for it in model.prices.values())
    yield (
        f"Prices of us-east-1, from {dates[0]} to {dates[-1]} (infra/economy/prices.toml), without free tiers, "
        f"taxes and discounts; {asked.instance} alone, network {asked.network}, links to {asked.links}."
    )
    if bill is not None and bill.unproven:
        names = ", ".join(it.name for it in bill.unproven)
        yield f"Without a page to prove them, to be checked: {names}."


def _as_json(model: Model, day: Day, bill: Bill) -> dict[str, Any]:
    return {
        "question": dataclasses.asdict(model.question),
        "usd_a_month": bill.usd,
        "usd_a_model": bill.usd_per_job,
        "services": bill.by_service,
        "lines": [
            {
                "service": it.service,
                "purpose": it.purpose,
                "units": it.units,
                "unit": it.price.unit,
                "usd": it.usd,
                "price": it.price.name,
                "on": it.price.on,
                "evidence": it.price.evidence,
            }
            for it in bill.lines
        ],
        "day": {name: None if _is_nan(value) else value for name, value in dataclasses.asdict(day).items()},
        "policy": dataclasses.asdict(model.policy),
        "behaviour": dataclasses.asdict(model.behaviour),
        "assumptions": dataclasses.asdict(model.assumed),
    }


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _largest(bill: Bill, service: str) -> str:
    lines = [line for line in bill.lines if line.service == service]
    return max(lines, key=lambda line: line.usd).purpose


def _seconds(value: float) -> str:
    if math.isnan(value):
        return "none ended"
    return (
        f"{value:.0f} s"
        if value < 600
        else f"{value / 60:.0f} min"
        if value < 36_000
        else f"{value / 3600:.0f} h"
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], sides: str) -> str:
    """A Markdown table, padded so that it can be read as it is; ``sides`` has l or r per column."""
    widths = [max(len(row[k]) for row in (head, *rows)) for k in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        padded = (
            cell.ljust(width) if side == "l" else cell.rjust(width)
            for cell, width, side in zip(cells, widths, sides, strict=True)
        )
        return f"| {' | '.join(padded)} |"

    rule = [
        "-" * width if side == "l" else "-" * (width - 1) + ":"
        for width, side in zip(widths, sides, strict=True)
    ]
    return "\n".join([line(head), line(rule), *map(line, rows)])


def _print(text: str) -> None:
    output.print(text, markup=False, soft_wrap=True)
