"""docs/openapi.yaml against the running local cloud: schemathesis makes up requests and judges the answers.

Good requests and bad ones, of every operation, with ids of jobs in every state and of none. It judges status
codes, media types, headers and bodies, that bad requests are refused and good ones are not, and that nothing is
answered without a token. Whatever is sent, no answer may be a 5xx.
"""

from __future__ import annotations

import hashlib
import json
import random
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import schemathesis

from infra import storage
from infra.clients import client
from infra.jobs import JobTable
from infra.settings import settings
from tests.cloud.machine import Machine, machine
from tests.unit.test_openapi import DESCRIPTION

#: made-up requests per operation, besides those that walk along every bound of the schema
EXAMPLES = 20

schema = schemathesis.openapi.from_path(
    DESCRIPTION,
    config=schemathesis.Config.from_dict(
        {
            "generation": {
                "deterministic": True,
                "max-examples": EXAMPLES,
                "database": "none",
                # Some of them get lost on the way into an address, and their refusal is waited for in vain.
                "allow-extra-parameters": False,
            },
            # Nobody can make up a cursor.
            "operations": [
                {
                    "include-name": "GET /jobs",
                    "checks": {"positive_data_acceptance": {"expected-statuses": ["2xx", "400"]}},
                }
            ],
        }
    ),
)


@dataclass
class Site:
    """A running cloud with a session, and jobs in every state to ask for."""

    machine: Machine
    http: httpx.Client
    chance: random.Random

    def announced(self) -> str:
        return str(self.http.post("/jobs", json={"filename": "robot.png"}).json()["job"]["job_id"])

    def queued(self) -> str:
        job = JobTable(settings().jobs_table).get(self.announced())
        JobTable(settings().jobs_table).photo_arrived(job, job.source)
        return job.job_id

    def canceled(self) -> str:
        job_id = self.announced()
        assert self.http.delete(f"/jobs/{job_id}").status_code == 200
        return job_id

    def succeeded(self) -> str:
        table, bucket = JobTable(settings().jobs_table), settings().artifact_bucket
        job = table.claim(self.queued(), "worker", lease_seconds=60, deadline_seconds=900).job
        prefix = storage.artifact_prefix(job.job_id, job.attempt)
        facts = {"bytes": 5, "sha256": hashlib.sha256(b"glTF!").hexdigest(), "type": "model/gltf-binary"}
        manifest = json.dumps({"files": [{"name": "mesh.glb", **facts}]}).encode()
        for name, body in (("mesh.glb", b"glTF!"), ("manifest.json", manifest)):
            client("s3").put_object(Bucket=bucket, Key=prefix + name, Body=body)
        table.succeed(
            table.report(job, "mesh", 0.5),
            manifest_key=prefix + "manifest.json",
            engine="inflate",
            timings={"mesh": 1.5},
        )
        return job.job_id

    def nobodys(self) -> str:
        return str(uuid.uuid4())

    def any_job(self) -> str:
        return self.chance.choice(
            [self.announced, self.queued, self.canceled, self.succeeded, self.succeeded, self.nobodys]
        )()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    # No worker: what is queued stays queued, so that an answer depends on its request alone.
    with (
        machine(tmp_path_factory.mktemp("described"), "--workers", "0") as running,
        pytest.MonkeyPatch.context() as patch,
    ):
        for name, value in running.running.environment.items():
            patch.setenv(name, value)
        client.cache_clear()
        settings.cache_clear()
        token = httpx.post(f"{running.running.url}/sessions").json()["token"]
        with httpx.Client(base_url=running.running.url, headers={"Authorization": f"Bearer {token}"}) as http:
            yield Site(running, http, random.Random(4))
    client.cache_clear()
    settings.cache_clear()


@schema.parametrize()
def test_every_answer_is_as_described(case: Any, site: Site) -> None:
    if "job_id" in case.path_parameters and site.chance.random() < 0.7:
        case.path_parameters["job_id"] = site.any_job()
        if "name" in case.path_parameters and site.chance.random() < 0.5:
            case.path_parameters["name"] = "mesh.glb"
    case.call_and_validate(
        str(site.http.base_url),
        headers={"Authorization": site.http.headers["Authorization"]},
        allow_redirects=False,
    )
