"""A presigned GET hands out one file, for a while, as an attachment of its own type."""

from __future__ import annotations

import httpx
import pytest

from infra import storage
from infra.clients import client
from tests.localstack.conftest import ORIGIN, STRANGE_ORIGINS, Store

KEY = "jobs/0b9d/1/mesh.glb"


@pytest.fixture
def link(store: Store) -> str:
    for key in (KEY, "jobs/0b9d/1/mesh.stl", "jobs/f00d/1/mesh.glb"):
        client("s3").put_object(Bucket=store.artifacts, Key=key, Body=b"glTF", ContentType="text/html")
    return storage.download_link(store.artifacts, KEY)


def test_the_file_comes_as_an_attachment_of_its_own_type(http: httpx.Client, link: str) -> None:
    answer = http.get(link)
    assert (answer.status_code, answer.content) == (200, b"glTF")
    assert answer.headers["Content-Type"] == "model/gltf-binary"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="mesh.glb"'


@pytest.mark.parametrize("other", ["jobs/0b9d/1/mesh.stl", "jobs/f00d/1/mesh.glb"])
def test_a_link_opens_no_other_file(http: httpx.Client, link: str, other: str) -> None:
    assert http.get(link.replace(KEY, other)).status_code == 403


@pytest.mark.parametrize(
    ("part", "forged"),
    [
        ("model%2Fgltf-binary", "text%2Fhtml"),
        ("attachment", "inline"),
        ("X-Amz-Expires=900", "X-Amz-Expires=9000"),
    ],
)
def test_nothing_about_a_link_can_be_changed(http: httpx.Client, link: str, part: str, forged: str) -> None:
    assert part in link
    answer = http.get(link.replace(part, forged))
    assert (answer.status_code, "SignatureDoesNotMatch" in answer.text) == (403, True), answer.text


def test_a_link_only_reads(http: httpx.Client, link: str) -> None:
    assert http.put(link, content=b"else").status_code == 403
    assert http.delete(link).status_code == 403


def test_a_link_ends(http: httpx.Client, store: Store, link: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "DOWNLOAD_LINK_SECONDS", -1)
    answer = http.get(storage.download_link(store.artifacts, KEY))
    assert (answer.status_code, "expired" in answer.text) == (403, True), answer.text


def test_only_the_site_may_read_from_a_browser(http: httpx.Client, link: str) -> None:
    assert http.get(link, headers={"Origin": ORIGIN}).headers["Access-Control-Allow-Origin"] == ORIGIN
    for origin in STRANGE_ORIGINS:
        asked = {"Origin": origin, "Access-Control-Request-Method": "GET"}
        assert http.options(link, headers=asked).status_code == 403
        assert "Access-Control-Allow-Origin" not in http.get(link, headers={"Origin": origin}).headers
