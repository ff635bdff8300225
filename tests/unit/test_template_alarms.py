"""Alarms and dashboard of template.yaml: they look at what there is, and each alarm has its runbook."""

from __future__ import annotations

import re
from typing import Any

import botocore.session
import pytest

from infra.local.template import TEMPLATE
from tests.template import Resources, names_in, of_type, template, widgets
from tests.unit.test_template_worker import identifiers

#: It is not a fault, and what it starts is a worker.
SCALING = "FirstWorkerAlarm"


@pytest.fixture(scope="module")
def resources() -> Resources:
    return dict(template()["Resources"])


@pytest.fixture(scope="module")
def alarms(resources: Resources) -> dict[str, dict[str, Any]]:
    return of_type(resources, "AWS::CloudWatch::Alarm")


def metrics_of(alarm: dict[str, Any]) -> list[tuple[str, str]]:
    """Namespace and name of everything that an alarm reads."""
    if "MetricName" in alarm:
        return [(alarm["Namespace"], alarm["MetricName"])]
    found = [metric["MetricStat"]["Metric"] for metric in alarm["Metrics"] if "MetricStat" in metric]
    return [(metric["Namespace"], metric["MetricName"]) for metric in found]


def test_every_alarm_is_told_when_it_begins_and_when_it_is_over(alarms: dict[str, dict[str, Any]]) -> None:
    for name, alarm in alarms.items():
        if name != SCALING:
            assert alarm["AlarmActions"] == alarm["OKActions"] == [{"Ref": "Alarms"}], name


def test_every_alarm_has_its_runbook_and_every_runbook_its_alarm(alarms: dict[str, dict[str, Any]]) -> None:
    book = (TEMPLATE.parent / "docs" / "operations.md").read_text(encoding="utf-8")
    (section,) = re.findall(r"^## Alarms\n(.*?)^## ", book, re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^### (.+)$", section, re.MULTILINE)
    names = [alarm["AlarmName"]["Fn::Sub"].removeprefix("${Name}-") for alarm in alarms.values()]
    assert sorted(headings) == sorted([*names, "Budget"])


def test_every_alarm_says_what_is_wrong_and_what_silence_means(alarms: dict[str, dict[str, Any]]) -> None:
    model = botocore.session.get_session().get_service_model("cloudwatch")
    for name, alarm in alarms.items():
        assert alarm["AlarmDescription"].endswith("."), name
        assert alarm["TreatMissingData"] in ("breaching", "notBreaching"), name
        assert alarm["ComparisonOperator"] in model.shape_for("ComparisonOperator").enum, name
        assert alarm.get("DatapointsToAlarm", 1) <= alarm["EvaluationPeriods"], name


def test_no_alarm_looks_at_more_than_cloudwatch_lets_it(alarms: dict[str, dict[str, Any]]) -> None:
    for name, alarm in alarms.items():
        assert len(metrics_of(alarm)) <= 10, name
        periods = (
            {alarm["Period"]}
            if "Period" in alarm
            else {metric["MetricStat"]["Period"] for metric in alarm["Metrics"] if "MetricStat" in metric}
        )
        (period,) = periods
        assert period % 60 == 0, name
        assert period * alarm["EvaluationPeriods"] <= 24 * 3600, name


def test_every_expression_is_made_of_what_is_read(alarms: dict[str, dict[str, Any]]) -> None:
    for name, alarm in alarms.items():
        if "Metrics" not in alarm:
            continue
        ids = {metric["Id"] for metric in alarm["Metrics"]}
        assert len(ids) == len(alarm["Metrics"]), name
        assert all(re.fullmatch("[a-z][A-Za-z0-9_]*", each) for each in ids), name
        (answer,) = [metric for metric in alarm["Metrics"] if metric["ReturnData"]]
        if "METRICS()" not in answer["Expression"]:
            assert identifiers(answer["Expression"]) == ids - {answer["Id"]}, name


def test_every_function_is_watched(resources: Resources, alarms: dict[str, dict[str, Any]]) -> None:
    watched = {
        name
        for metric in alarms["FunctionErrorAlarm"]["Metrics"]
        if metric.get("MetricStat", {}).get("Metric", {}).get("MetricName") == "Errors"
        for name in names_in(metric["MetricStat"]["Metric"]["Dimensions"])
    }
    assert watched == set(of_type(resources, "AWS::Lambda::Function"))


def test_every_queue_of_what_was_set_aside_is_watched(alarms: dict[str, dict[str, Any]]) -> None:
    depth = ("AWS/SQS", "ApproximateNumberOfMessagesVisible")
    watched = {
        name
        for alarm in alarms.values()
        if metrics_of(alarm) == [depth] and alarm["Threshold"] == 1
        for name in names_in(alarm["Dimensions"])
    }
    assert {"JobDeadLetterQueue", "FailedEventQueue"} <= watched


def test_the_dashboards_widgets_do_not_lie_on_each_other() -> None:
    places = [
        (x, y)
        for widget in widgets()
        for x in range(widget["x"], widget["x"] + widget["width"])
        for y in range(widget["y"], widget["y"] + widget["height"])
    ]
    assert len(places) == len(set(places))
    assert all(x < 24 for x, _ in places)
