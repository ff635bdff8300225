"""compose.yaml, as far as it can be told without Docker."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from infra import settings
from infra.deployment.image.tools import Container
from tests import dockerfile
from tests.dockerfile import ROOT
from tests.localstack import server

TEXT, FLAG, SECONDS = {"type": "string"}, {"type": "boolean"}, {"type": "string", "pattern": r"^\d+s$"}
TEXTS = {"type": "array", "items": TEXT, "minItems": 1, "uniqueItems": True}
MAP = {"type": "object", "additionalProperties": TEXT}


def thing(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "properties": properties}


#: of the Compose Specification, what is used here, as it types it
SCHEMA = {
    **thing(
        name={"type": "string", "pattern": "^[a-z0-9][a-z0-9_-]*$"},
        services={
            "type": "object",
            "additionalProperties": thing(
                image=TEXT,
                platform=TEXT,
                profiles=TEXTS,
                ports=TEXTS,
                environment={"oneOf": [TEXTS, MAP]},
                build=thing(context=TEXT, dockerfile=TEXT, args=MAP),
                depends_on={
                    "type": "object",
                    "additionalProperties": thing(
                        condition={
                            "enum": ["service_started", "service_healthy", "service_completed_successfully"]
                        }
                    ),
                },
                healthcheck=thing(test=TEXTS, interval=SECONDS, timeout=SECONDS, retries={"type": "integer"}),
                network_mode=TEXT,
                read_only=FLAG,
                init=FLAG,
                cap_drop=TEXTS,
                security_opt=TEXTS,
                stop_grace_period=SECONDS,
            ),
        },
    ),
    "required": ["services"],
}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return dict(yaml.safe_load((ROOT / "compose.yaml").read_text()))


def test_it_is_what_the_compose_specification_allows(compose: dict[str, Any]) -> None:
    assert [error.message for error in Draft202012Validator(SCHEMA).iter_errors(compose)] == []
    for service in compose["services"].values():
        assert set(service.get("depends_on", {})) <= set(compose["services"])


def test_localstack_is_pinned_and_heard_on_this_machine_alone(compose: dict[str, Any]) -> None:
    localstack = compose["services"]["localstack"]
    assert re.fullmatch(r"localstack/localstack:\d+\.\d+\.\d+", localstack["image"])
    assert all(port.startswith("127.0.0.1:") for port in localstack["ports"])


def test_localstack_checks_signatures_as_the_one_without_docker_does(compose: dict[str, Any]) -> None:
    given = compose["services"]["localstack"]["environment"]
    for name in ("S3_SKIP_SIGNATURE_VALIDATION", "EAGER_SERVICE_LOADING", "DISABLE_EVENTS"):
        assert given[name] == server.ENVIRONMENT[name]
    assert set(server.ENVIRONMENT["SERVICES"].split(",")) <= set(given["SERVICES"].split(","))


def test_the_worker_is_built_of_arguments_that_the_dockerfile_has(compose: dict[str, Any]) -> None:
    build = compose["services"]["worker"]["build"]
    assert (ROOT / build["context"] / build["dockerfile"]).resolve() == dockerfile.PATH
    instructions = dockerfile.read()
    assert set(build["args"]) <= set(dockerfile.arguments(instructions))
    assert f"with-{build['args']['WEIGHTS']}" in dockerfile.stages(instructions)


def test_the_worker_is_as_hardened_as_where_its_image_is_proven(compose: dict[str, Any]) -> None:
    worker = compose["services"]["worker"]
    assert worker["read_only"]
    assert [f"--cap-drop={name.lower()}" for name in worker["cap_drop"]] == [Container.HARDENED[1]]
    assert [f"--security-opt={each}" for each in worker["security_opt"]] == [Container.HARDENED[2]]


def test_the_worker_is_told_nothing_but_variables_that_something_reads(compose: dict[str, Any]) -> None:
    names = compose["services"]["worker"]["environment"]
    assert settings.__doc__ is not None
    assert [name for name in names if not name.startswith("AWS_") and name not in settings.__doc__] == []
