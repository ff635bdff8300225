"""Settings: found, or missed loudly."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra import settings as module
from infra.errors import BadConfiguration
from infra.published import TRIPOSR, U2NET
from infra.settings import Settings
from infra.weights import default_place, write_record

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


def test_what_has_a_default_needs_no_variable(tmp_path: Path) -> None:
    empty = Settings({"XDG_CACHE_HOME": str(tmp_path)})  # a machine on which nothing was fetched
    assert (empty.lease_seconds, empty.job_deadline_seconds, empty.threads) == (60.0, 900.0, None)
    assert (empty.weights, empty.matte_model, empty.site_origin, empty.session_secret) == (
        None,
        None,
        None,
        None,
    )
    assert (empty.health_file, empty.agent_uri) == (None, None)
    assert not empty.open_sessions


def test_fetched_weights_are_found_unless_a_variable_names_others(tmp_path: Path) -> None:
    environment = {"XDG_CACHE_HOME": str(tmp_path)}
    for model, names in ((TRIPOSR, ("config.yaml", "model.safetensors")), (U2NET, ("u2net.onnx",))):
        place = default_place(model, environment)
        place.mkdir(parents=True)
        record = {}
        for name, source in zip(names, model.files, strict=True):
            (place / name).write_bytes(b"x")
            record[name] = {"bytes": 1, "source_sha256": source.sha256}
        write_record(place, record)

    fetched = Settings(environment)
    assert fetched.weights == tmp_path / "maquette/weights/triposr"
    assert fetched.matte_model == tmp_path / "maquette/weights/u2net/u2net.onnx"
    named = Settings({**environment, "MAQUETTE_WEIGHTS": "/w", "MAQUETTE_MATTE_MODEL": "/m.onnx"})
    assert (named.weights, named.matte_model) == (Path("/w"), Path("/m.onnx"))


def test_values_are_typed() -> None:
    given = Settings(
        {
            "MAQUETTE_LEASE_SECONDS": "2.5",
            "MAQUETTE_THREADS": "3",
            "MAQUETTE_JOB_MEMORY": "1500",
            "MAQUETTE_WEIGHTS": "/weights",
            "MAQUETTE_HEALTH_FILE": "/tmp/alive",
            "MAQUETTE_OPEN_SESSIONS": "operator",
        }
    )
    assert (given.lease_seconds, given.threads, given.weights, given.open_sessions) == (
        2.5,
        3,
        Path("/weights"),
        True,
    )
    assert given.health_file == Path("/tmp/alive")
    assert (given.job_memory, Settings({}).job_memory) == (1.5e9, None)


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


def test_a_deployment_has_a_name_and_logs_text_unless_told_otherwise() -> None:
    assert (Settings({}).deployment, Settings({}).log_form) == ("maquette", "text")
    unset = Settings({"MAQUETTE_DEPLOYMENT": "", "MAQUETTE_LOG": ""})
    assert (unset.deployment, unset.log_form) == ("maquette", "text")
    given = Settings({"MAQUETTE_DEPLOYMENT": "studio", "MAQUETTE_LOG": "json"})
    assert (given.deployment, given.log_form) == ("studio", "json")
    assert Settings({"MAQUETTE_LOG": "text"}).log_form == "text"
    with pytest.raises(BadConfiguration, match="MAQUETTE_LOG"):
        _ = Settings({"MAQUETTE_LOG": "xml"}).log_form


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
