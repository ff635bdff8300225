"""The logs of ``maquette up``: text for people; the workers' like a deployment's where that is asked for."""

from __future__ import annotations

from pathlib import Path

import httpx

from tests.cloud.machine import machine, wait_for
from tests.telemetry import read


def test_json_is_the_workers_form_and_the_clouds_own_log_stays_text(tmp_path: Path) -> None:
    with machine(tmp_path, MAQUETTE_LOG="json", MAQUETTE_DEPLOYMENT="mine") as cloud:
        assert httpx.get(f"{cloud.running.url}/jobs").status_code == 401
        (own,) = tmp_path.rglob("cloud.log")
        wait_for(lambda: "GET /jobs: 401" in own.read_text(), "the request in the cloud's log")
        (log,) = tmp_path.rglob("worker-1.log")
        wait_for(log.read_text, "the worker's first line")
    found = read(log.read_text())
    assert found.logs
    assert {line["service"] for line in found.logs} == {"mine"}
    assert [line for line in own.read_text().splitlines() if line.startswith("{")] == []
