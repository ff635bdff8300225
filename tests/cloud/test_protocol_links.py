"""A deployment with a key for links: models leave by way of its distribution, as they would from the bucket."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import ssl
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from infra import links, storage, tokens
from infra.artifacts import content_type
from infra.clients import client
from infra.commands.service import Service
from infra.errors import InternalError
from infra.job import Job
from infra.local.gateway import Address, Gateway, bind
from infra.local.invoke import Functions
from infra.local.triggers import Triggers
from infra.settings import settings
from tests.cloud.conftest import Cloud, Rest, refused, session
from tests.distribution import Distribution, private_pem, serving

KEY_ID = "K2JCJMDEHXQW5F"
FILES = {"mesh.glb": b"glTF!", "poster.webp": b"RIFF!", "render_000.png": b"\x89PNG"}

Use = Callable[..., None]


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
def distribution(
    cloud: Cloud, key: rsa.RSAPrivateKey, use_environment: Use, tmp_path: Path
) -> Iterator[Distribution]:
    """The functions have the private half, in Secrets Manager; the distribution has the public one."""
    secret = client("secretsmanager").create_secret(
        Name=f"link-key-{uuid.uuid4()}", SecretString=private_pem(key)
    )
    with serving(cloud.settings.artifact_bucket, {KEY_ID: key.public_key()}, tmp_path) as found:
        use_environment(
            MAQUETTE_LINK_DOMAIN=found.domain,
            MAQUETTE_LINK_KEY_ID=KEY_ID,
            MAQUETTE_LINK_SECRET_ARN=secret["ARN"],
        )
        yield found


@pytest.fixture
def browser(distribution: Distribution) -> Iterator[httpx.Client]:
    with httpx.Client(verify=ssl.create_default_context(cafile=distribution.certificate)) as http:
        yield http


def model(cloud: Cloud, folder: Path, owner: str = "operator") -> Job:
    """A succeeded job, its files put in place as the worker puts them."""
    waiting = cloud.queued(str(uuid.uuid4()), owner=owner)
    job = cloud.table.claim(waiting.job_id, "worker", lease_seconds=60, deadline_seconds=900).job
    entries = [
        {
            "name": name,
            "bytes": len(body),
            "sha256": hashlib.sha256(body).hexdigest(),
            "type": content_type(name),
        }
        for name, body in FILES.items()
    ]
    prefix = storage.artifact_prefix(job.job_id, job.attempt)
    for name, body in {**FILES, "manifest.json": json.dumps({"files": entries}).encode()}.items():
        path = folder / name
        path.write_bytes(body)
        storage.write_artifact(cloud.settings.artifact_bucket, prefix + name, path)
    return cloud.table.succeed(job, manifest_key=f"{prefix}manifest.json", engine="inflate", timings={})


@pytest.fixture
def mine(cloud: Cloud, ann: str, tmp_path: Path) -> Job:
    return model(
        cloud, tmp_path, owner=tokens.read(ann, cloud.environment["MAQUETTE_SESSION_SECRET"]).owner or ""
    )


def test_a_list_gives_links_that_the_distribution_answers(
    rest: Rest, ann: str, mine: Job, distribution: Distribution, browser: httpx.Client
) -> None:
    status, body, _ = rest("GET", "/jobs/{job_id}/artifacts", token=ann, job_id=mine.job_id)
    assert (status, body["expires_in"]) == (200, 900)
    assert {entry["name"] for entry in body["artifacts"]} == {*FILES, "manifest.json"}
    for entry in body["artifacts"]:
        assert urlsplit(entry["url"]).netloc == distribution.domain
        answer = browser.get(entry["url"])
        assert answer.status_code == 200
        assert hashlib.sha256(answer.content).hexdigest() == entry["sha256"]


def test_one_file_is_a_redirect_to_a_link_for_it_alone(
    rest: Rest, ann: str, mine: Job, distribution: Distribution, browser: httpx.Client
) -> None:
    where = {"job_id": mine.job_id, "name": "mesh.glb"}
    status, body, headers = rest("GET", "/jobs/{job_id}/artifacts/{name}", token=ann, **where)
    assert (status, headers["Location"], headers["Cache-Control"]) == (302, body["url"], "no-store")
    assert browser.get(body["url"]).content == FILES["mesh.glb"]
    assert browser.get(body["url"].replace("mesh.glb", "poster.webp")).status_code == 403
    left = int(parse_qs(urlsplit(body["url"]).query)["Expires"][0]) - time.time()
    assert 0 < left <= storage.DOWNLOAD_LINK_SECONDS


@pytest.mark.parametrize("name", [*FILES, "manifest.json"])
def test_a_file_comes_the_same_from_the_bucket_and_by_way_of_the_distribution(
    cloud: Cloud, mine: Job, distribution: Distribution, browser: httpx.Client, use_environment: Use, name: str
) -> None:
    artifact = storage.artifact_prefix(mine.job_id, mine.attempt) + name
    by_way = browser.get(links.to_file(settings(), artifact))
    use_environment(MAQUETTE_LINK_DOMAIN="", MAQUETTE_LINK_KEY_ID="", MAQUETTE_LINK_SECRET_ARN="")
    direct = httpx.get(links.to_file(settings(), artifact))
    assert direct.url.host != distribution.domain
    assert by_way.status_code == direct.status_code == 200
    assert by_way.content == direct.content
    for header in ("Content-Type", "Content-Disposition"):
        assert by_way.headers[header] == direct.headers[header]
    assert by_way.headers["Content-Disposition"] == f'attachment; filename="{name}"'


def test_no_link_leads_to_another_job_or_attempt_or_to_the_bucket_without_its_signature(
    cloud: Cloud, rest: Rest, ann: str, mine: Job, tmp_path: Path, browser: httpx.Client
) -> None:
    theirs = model(cloud, tmp_path, owner="bea")
    later = storage.artifact_prefix(mine.job_id, mine.attempt + 10) + "mesh.glb"
    storage.write_artifact(cloud.settings.artifact_bucket, later, tmp_path / "mesh.glb")
    _, body, _ = rest("GET", "/jobs/{job_id}/artifacts", token=ann, job_id=mine.job_id)
    (url,) = (entry["url"] for entry in body["artifacts"] if entry["name"] == "mesh.glb")
    here = storage.artifact_prefix(mine.job_id, mine.attempt)
    assert browser.get(url).status_code == 200
    for there in (later, storage.artifact_prefix(theirs.job_id, theirs.attempt) + "mesh.glb"):
        assert client("s3").head_object(Bucket=cloud.settings.artifact_bucket, Key=there)
        assert browser.get(url.replace(f"{here}mesh.glb", there)).status_code == 403
    assert browser.get(url.partition("?")[0]).status_code == 403
    assert browser.get(url.replace(KEY_ID, "K0")).status_code == 403


def test_who_may_not_see_a_job_gets_no_link_to_its_files(
    rest: Rest, mine: Job, distribution: Distribution
) -> None:
    bea = session(rest)
    for path in ("/jobs/{job_id}/artifacts", "/jobs/{job_id}/artifacts/{name}"):
        answer = rest("GET", path, token=bea, job_id=mine.job_id, name="mesh.glb")
        assert refused(answer) == (404, "not_found")


def test_links_that_have_ended_open_nothing(
    rest: Rest, ann: str, mine: Job, browser: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "DOWNLOAD_LINK_SECONDS", -1)
    where = {"job_id": mine.job_id, "name": "mesh.glb"}
    _, body, _ = rest("GET", "/jobs/{job_id}/artifacts", token=ann, **where)
    _, one, _ = rest("GET", "/jobs/{job_id}/artifacts/{name}", token=ann, **where)
    for url in (one["url"], *(entry["url"] for entry in body["artifacts"])):
        assert browser.get(url).status_code == 403


def test_no_log_line_tells_a_link(
    rest: Rest, ann: str, mine: Job, distribution: Distribution, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)  # lower than a deployment's own, whose root is heard from WARNING on
    for package in ("functions", "infra"):
        caplog.set_level(logging.DEBUG, logger=package)
    _, body, _ = rest("GET", "/jobs/{job_id}/artifacts", token=ann, job_id=mine.job_id)
    signatures = {parse_qs(urlsplit(entry["url"]).query)["Signature"][0] for entry in body["artifacts"]}
    assert signatures
    assert caplog.text
    assert not [signature for signature in signatures if signature in caplog.text]
    assert "PRIVATE KEY" not in caplog.text


def test_a_secret_that_holds_no_such_key_is_told_and_not_shown(
    rest: Rest, ann: str, mine: Job, distribution: Distribution, use_environment: Use
) -> None:
    secret = client("secretsmanager").create_secret(
        Name=f"other-{uuid.uuid4()}", SecretString="do not show this"
    )
    use_environment(MAQUETTE_LINK_SECRET_ARN=secret["ARN"])
    answer = rest("GET", "/jobs/{job_id}/artifacts", token=ann, job_id=mine.job_id)
    assert refused(answer) == (500, "bad_configuration")
    assert "MAQUETTE_LINK_SECRET_ARN" in answer[1]["error"]["message"]
    assert "do not show" not in json.dumps(answer[1])


# --- the command line, by way of the distribution ---


@pytest.fixture
def gateway(distribution: Distribution, use_environment: Use, tmp_path: Path) -> Iterator[Address]:
    use_environment(MAQUETTE_OPEN_SESSIONS="operator")
    routes = [("POST", "/sessions"), ("GET", "/jobs/{job_id}/artifacts")]
    triggers = Triggers(routes=dict.fromkeys(routes, "functions.app.app"), socket_routes={})
    functions, address = Functions(), bind("127.0.0.1", 0)
    served = Gateway(
        address, triggers, functions, endpoint_url="http://127.0.0.1:1", site_folder=tmp_path / "site"
    )
    served.start()
    yield address
    served.stop()
    functions.stop()


def download(gateway: Address, job: Job, folder: Path) -> list[Path]:
    async def fetch() -> list[Path]:
        async with Service(gateway.url, gateway.socket_url) as service:
            return await service.download(job.job_id, folder)

    return asyncio.run(fetch())


def test_the_command_line_downloads_a_model_by_way_of_the_distribution(
    cloud: Cloud, gateway: Address, distribution: Distribution, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(distribution.certificate))
    paths = download(gateway, model(cloud, tmp_path), tmp_path / "model")
    assert {path.name: path.read_bytes() for path in paths if path.name in FILES} == FILES
    assert [status for status, _ in distribution.answered] == [200] * (len(FILES) + 1)


def test_a_distribution_that_trusts_another_key_is_a_refusal_that_is_told(
    cloud: Cloud,
    gateway: Address,
    distribution: Distribution,
    use_environment: Use,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(distribution.certificate))
    stranger = private_pem(rsa.generate_private_key(public_exponent=65537, key_size=2048))
    secret = client("secretsmanager").create_secret(Name=f"stranger-{uuid.uuid4()}", SecretString=stranger)
    use_environment(MAQUETTE_LINK_SECRET_ARN=secret["ARN"])
    with pytest.raises(InternalError, match=r"refused .*: 403\.$"):
        download(gateway, model(cloud, tmp_path), tmp_path / "model")
