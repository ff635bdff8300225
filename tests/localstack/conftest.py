"""One LocalStack per test run, with the template's buckets and queues.

LocalStack's free packages have no tables, so the protocol as a whole is tested against moto (tests/cloud), and
here what moto would let pass: conditions of uploads, ends and signatures of links, origins.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest

from infra.clients import client
from infra.local.endpoint import Endpoint
from infra.local.resources import Resources, create
from tests.localstack import server

ORIGIN = "https://models.example"
STRANGE_ORIGINS = [
    "https://elsewhere.example",
    "https://models.example.evil.example",
    "https://evilmodels.example",
    "https://a.models.example",
    "https://models.example:444",
    "http://models.example",
    "null",
]


@dataclass(frozen=True)
class Store:
    """The resources, by the names that the template gives them."""

    resources: Resources

    @property
    def uploads(self) -> str:
        return self.resources.names["UploadBucket"]

    @property
    def artifacts(self) -> str:
        return self.resources.names["ArtifactBucket"]

    def queue(self, logical_id: str) -> str:
        return self.resources.names[logical_id]


@pytest.fixture(scope="session")
def localstack_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    given = os.environ.get(server.RUNNING)
    if given:
        yield given.rstrip("/")
        return
    if not server.PYTHON.exists():
        pytest.skip("LocalStack is not installed; `make test-localstack` installs it and runs these tests")
    with server.localstack(tmp_path_factory.mktemp("localstack")) as url:
        yield url


@pytest.fixture(scope="session")
def resources(localstack_url: str) -> Resources:
    return create(
        Endpoint(localstack_url),
        parameters={"SiteOrigin": ORIGIN},
        kinds={"AWS::S3::Bucket", "AWS::SQS::Queue"},
        account="000000000000",
    )


@pytest.fixture
def store(resources: Resources, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    for name in [name for name in os.environ if name.startswith(("MAQUETTE_", "AWS_"))]:
        monkeypatch.delenv(name)
    for name, value in resources.endpoint.environment().items():
        monkeypatch.setenv(name, value)
    client.cache_clear()
    yield Store(resources)
    client.cache_clear()


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=30.0, trust_env=False) as given:
        yield given
