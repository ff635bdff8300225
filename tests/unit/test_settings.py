"""Settings: found, or missed loudly."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra import settings as module
from infra.errors import BadConfiguration
from infra.settings import Settings

REQUIRED = {
    "upload_bucket": "MAQUETTE_UPLOAD_BUCKET",
    "artifact_bucket": "MAQUETTE_ARTIFACT_BUCKET",
    "jobs_table": "MAQUETTE_JOBS_TABLE",
    "connections_table": "MAQUETTE_CONNECTIONS_TABLE",
    "job_queue_url": "MAQUETTE_JOB_QUEUE_URL",
    "event_bus": "MAQUETTE_EVENT_BUS",
    "socket_endpoint": "MAQUETTE_SOCKET_ENDPOINT",
    "session_secret_arn": "MAQUETTE_SESSION_SECRET_ARN",
}


@pytest.mark.parametrize(("name", "variable"), REQUIRED.items())
def test_a_missing_variable_is_named(name: str, variable: str) -> None:
    assert getattr(Settings({variable: "value"}), name) == "value"
    for environment in ({}, {variable: ""}):
        with pytest.raises(BadConfiguration, match=variable):
            getattr(Settings(environment), name)


def test_what_has_a_default_needs_no_variable() -> None:
    empty = Settings({})
    assert (empty.lease_seconds, empty.job_deadline_seconds, empty.threads) == (60.0, 900.0, None)
    assert (empty.weights, empty.matte_model, empty.site_origin, empty.session_secret) == (
        None,
        None,
        None,
        None,
    )
    assert not empty.open_sessions


def test_values_are_typed() -> None:
    given = Settings(
        {
            "MAQUETTE_LEASE_SECONDS": "2.5",
            "MAQUETTE_THREADS": "3",
            "MAQUETTE_WEIGHTS": "/weights",
            "MAQUETTE_OPEN_SESSIONS": "operator",
        }
    )
    assert (given.lease_seconds, given.threads, given.weights, given.open_sessions) == (
        2.5,
        3,
        Path("/weights"),
        True,
    )


@pytest.mark.parametrize("value", ["many", "-1", "0", "nan", "inf", "1e999"])
def test_a_number_that_is_none_is_refused(value: str) -> None:
    with pytest.raises(BadConfiguration, match="MAQUETTE_LEASE_SECONDS"):
        _ = Settings({"MAQUETTE_LEASE_SECONDS": value}).lease_seconds


def test_a_weak_session_secret_is_refused() -> None:
    with pytest.raises(BadConfiguration, match="MAQUETTE_SESSION_SECRET"):
        _ = Settings({"MAQUETTE_SESSION_SECRET": "x" * 31}).session_secret
    assert Settings({"MAQUETTE_SESSION_SECRET": "x" * 32}).session_secret == "x" * 32


def test_sessions_are_open_to_the_operator_or_to_nobody() -> None:
    with pytest.raises(BadConfiguration, match="MAQUETTE_OPEN_SESSIONS"):
        _ = Settings({"MAQUETTE_OPEN_SESSIONS": "yes"}).open_sessions


def test_the_table_in_the_docstring_lists_every_variable() -> None:
    source = Path(module.__file__).read_text("utf-8")
    documented, code = source.split('"""', 2)[1:]
    named = {
        word.strip('":,()')
        for word in code.replace("(", " ").split()
        if word.strip('":,()').startswith("MAQUETTE_")
    }
    listed = {line.split()[0] for line in documented.splitlines() if line.startswith("MAQUETTE_")}
    assert named == listed
