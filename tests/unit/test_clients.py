"""Where links lead, on AWS and on a server of one's own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from infra.clients import client


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "nothing")
    client.cache_clear()
    yield
    client.cache_clear()


def links() -> list[str]:
    s3 = client("s3")
    download = s3.generate_presigned_url("get_object", Params={"Bucket": "models", "Key": "jobs/a"})
    return [download, s3.generate_presigned_post("models", "uploads/a")["url"]]


@pytest.mark.parametrize("region", ["us-east-1", "eu-central-1"])
def test_links_lead_to_the_region_of_the_bucket(monkeypatch: pytest.MonkeyPatch, region: str) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", region)
    assert all(link.startswith(f"https://models.s3.{region}.amazonaws.com/") for link in links())


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:4566", "http://localstack:4566"])
def test_a_server_of_ones_own_needs_no_name_for_each_bucket(
    monkeypatch: pytest.MonkeyPatch, endpoint: str
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    assert all(link.startswith(f"{endpoint}/models") for link in links())
