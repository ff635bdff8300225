"""A deployment's whole life, recorded, against template.yaml: permissions, variables, logs and metrics.

No role may do less than its code does, nor more.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from infra.telemetry import NAMESPACE
from tests.privileges.deployment import OF_SERVICES, WORKER, Stack, deployed
from tests.privileges.iam import Permission, Request, forbidden, requests, unused
from tests.privileges.recorder import read
from tests.privileges.story import Story
from tests.template import Metric, metrics_in, widgets

#: Permissions that no call here makes use of, and who does.
USED_BY_OTHERS = {
    ("OnUploadFunctionRole", "sqs:SendMessage", "failed-events"): "Lambda, for what could not be handled",
    ("OnJobChangedFunctionRole", "sqs:SendMessage", "failed-events"): "the same, of the stream",
}
#: Variables that are looked up and that no process is given, and what holds without them.
LEFT_TO_DEFAULTS = {
    "MAQUETTE_SESSION_SECRET": "its ARN is given",
    "MAQUETTE_ACCESS_KEY": "its ARN is given",
    "MAQUETTE_OPEN_SESSIONS": "for a machine of one's own",
    "MAQUETTE_WEIGHTS": "set by the image",
    "MAQUETTE_MATTE_MODEL": "set by the image",
    "MAQUETTE_LEASE_SECONDS": "60",
    "MAQUETTE_JOB_DEADLINE_SECONDS": "900",
    "MAQUETTE_THREADS": "all cores",
    "MAQUETTE_JOB_MEMORY": "nine tenths of what the container may have",
}
#: Metrics of what does not happen in this life.
NOT_HERE = {"FramesLost": "no socket is broken and open", "PeakDeviceMemory": "there is no GPU"}


@dataclass(frozen=True, repr=False)
class Life:
    """What was recorded of it."""

    stack: Stack
    lines: dict[str, list[dict[str, Any]]]
    #: what all processes have written together, and what they must not have
    log: str
    secrets: list[str]

    @property
    def roles(self) -> list[str]:
        return list(self.lines)

    def asked(self, role: str) -> set[Request]:
        """What its process needed permission for."""
        calls = [line for line in self.lines[role] if line["kind"] == "call"]
        arns = self.stack.arns()
        return {
            request
            for call in calls
            for request in requests(call["service"], call["operation"], call["parameters"], arns)
        }

    def granted(self, role: str) -> list[Permission]:
        return [permission for permission in self.stack.permissions() if permission.role == role]

    def looked_up(self, role: str) -> set[str]:
        """The variables of ours that its process asked its environment for."""
        return ours(line["name"] for line in self.lines[role] if line["kind"] == "variable")

    def given(self, role: str) -> set[str]:
        """Those that the template gives it."""
        (found,) = [
            variables
            for its_role, variables in (*self.stack.functions().values(), (WORKER, self.stack.worker()))
            if its_role == role
        ]
        return ours(name for name, value in found.items() if value)

    def log_lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.splitlines()]


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    with deployed(tmp_path_factory.mktemp("life")) as deployment:
        story = Story(deployment)
        story.tell()
        deployment.functions.stop()
        lines = {role: read(path) for role, path in deployment.records.items()}
        yield Life(deployment.stack, lines, deployment.log.read_text(encoding="utf-8"), story.secrets)


def ours(names: Iterable[str]) -> set[str]:
    return {name for name in names if name.startswith("MAQUETTE_")}


def test_every_role_of_the_template_was_at_work(life: Life) -> None:
    assert {*life.roles, *OF_SERVICES} == set(life.stack.of_type("AWS::IAM::Role"))
    assert all(life.asked(role) for role in life.roles)


def test_no_call_is_outside_of_its_roles_policy(life: Life) -> None:
    found = {role: forbidden(life.asked(role), life.granted(role)) for role in life.roles}
    assert {role: outside for role, outside in found.items() if outside} == {}


def test_no_role_may_do_what_it_never_does(life: Life) -> None:
    found = {
        (permission.role, permission.action, permission.resource.rpartition("maquette-")[2])
        for role in life.roles
        for permission in unused(life.granted(role), life.asked(role))
    }
    assert found == set(USED_BY_OTHERS)


def test_without_any_one_of_its_permissions_a_role_would_fail(life: Life) -> None:
    for role in life.roles:
        granted, asked = life.granted(role), life.asked(role)
        for permission in set(granted) - set(unused(granted, asked)):
            assert forbidden(asked, [other for other in granted if other != permission]), permission


def test_every_service_that_the_worker_calls_can_be_reached_from_its_network(life: Life) -> None:
    """Where a network has no way to the internet, each needs an endpoint."""
    endpoints = {
        str(given["ServiceName"]["Fn::Sub"]).rpartition("${AWS::Region}.")[2]
        for given in life.stack.of_type("AWS::EC2::VPCEndpoint").values()
    }
    assert {request.action.partition(":")[0] for request in life.asked(WORKER)} <= endpoints
    # What a machine needs to join its cluster, to pull the image and to write the log.
    assert {"ecr.api", "ecr.dkr", "ecs", "ecs-agent", "ecs-telemetry", "logs", "s3"} <= endpoints


def test_every_process_is_given_the_variables_that_it_looks_up(life: Life) -> None:
    missing = {role: life.looked_up(role) - life.given(role) - set(LEFT_TO_DEFAULTS) for role in life.roles}
    assert {role: names for role, names in missing.items() if names} == {}


def test_no_process_is_given_a_variable_that_it_does_not_look_up(life: Life) -> None:
    needless = {role: life.given(role) - life.looked_up(role) for role in life.roles}
    assert {role: names for role, names in needless.items() if names} == {}


def test_no_variable_is_left_to_its_default_needlessly(life: Life) -> None:
    for name in LEFT_TO_DEFAULTS:
        assert any(name in life.looked_up(role) for role in life.roles), name
        assert not any(name in life.given(role) for role in life.roles), name


def test_every_line_of_every_process_is_an_object_that_says_who_speaks(life: Life) -> None:
    lines = life.log_lines()
    assert {line["service"] for line in lines} == {"maquette"}
    spoken = [line for line in lines if "_aws" not in line]
    assert spoken
    for line in spoken:
        assert {"timestamp", "level", "logger", "message"} <= set(line)


def test_no_process_writes_down_a_secret(life: Life) -> None:
    for secret in (*life.secrets, "X-Amz-Signature=", "Key-Pair-Id="):
        assert secret not in life.log


def test_alarms_and_dashboard_look_at_metrics_that_somebody_writes(life: Life) -> None:
    written = {
        Metric(metric["Name"], frozenset(dimensions))
        for line in life.log_lines()
        for group in line.get("_aws", {}).get("CloudWatchMetrics", [])
        if group["Namespace"] == NAMESPACE
        for dimensions in group["Dimensions"]
        for metric in group["Metrics"]
    }
    shown = {metric for widget in widgets() for metric in metrics_in(widget, NAMESPACE)}
    watched = {
        metric
        for alarm in life.stack.of_type("AWS::CloudWatch::Alarm").values()
        for metric in metrics_in(alarm, NAMESPACE)
    }
    assert watched
    assert {metric for metric in watched | shown if metric.name not in NOT_HERE} <= written
    assert written <= watched | shown | {Metric("JobsQueued", frozenset({"service"}))}
