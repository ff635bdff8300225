"""A presigned POST lets exactly one photo in, and only from the site."""

from __future__ import annotations

import httpx
import pytest

from infra import storage
from infra.clients import client
from tests.localstack.conftest import ORIGIN, STRANGE_ORIGINS, Store

KEY = "uploads/0b9d/robot.png"


def post(
    http: httpx.Client,
    form: storage.UploadForm,
    body: bytes = b"12345",
    kind: str = "image/png",
    origin: str | None = None,
    **changes: str,
) -> httpx.Response:
    headers = {"Origin": origin} if origin else {}
    files = {"file": ("robot.png", body, kind)}
    return http.post(form.url, data=form.fields | changes, files=files, headers=headers)


@pytest.fixture
def form(store: Store) -> storage.UploadForm:
    return storage.upload_form(store.uploads, KEY, "image/png")


def test_the_photo_that_was_announced_gets_in(
    http: httpx.Client, store: Store, form: storage.UploadForm
) -> None:
    assert post(http, form).is_success
    stored = client("s3").get_object(Bucket=store.uploads, Key=KEY)
    assert (stored["Body"].read(), stored["ContentType"]) == (b"12345", "image/png")


@pytest.mark.parametrize(
    "changes",
    [
        {"key": "uploads/0b9d/other.png"},
        {"key": "inbox/robot.png"},
        {"key": "uploads/../inbox/robot.png"},
        {"key": "uploads/0b9d/${filename}"},
        {"key": "./uploads/0b9d/robot.png"},
        {"key": "UPLOADS/0B9D/ROBOT.PNG"},
        {"key": "uploads/0b9d/robot.png "},
        {"Content-Type": "text/html"},
        {"Content-Type": "image/svg+xml"},
        {"Content-Type": "image/png; charset=x"},
        {"x-amz-date": "20200101T000000Z"},
        {"x-amz-credential": "AKIDEXAMPLE/20200101/us-east-1/s3/aws4_request"},
    ],
    ids=lambda changes: next(iter(changes.values())),
)
def test_another_key_or_type_is_refused(
    http: httpx.Client, store: Store, form: storage.UploadForm, changes: dict[str, str]
) -> None:
    answer = post(http, form, **changes)
    assert (answer.status_code, "AccessDenied" in answer.text) == (403, True), answer.text
    listed = client("s3").list_objects_v2(Bucket=store.uploads).get("Contents", [])
    assert not {entry["Key"] for entry in listed} & {"uploads/0b9d/other.png", "inbox/robot.png"}


@pytest.mark.parametrize(
    "field", ["Content-Type", "x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature"]
)
def test_a_form_without_one_of_its_fields_is_refused(
    http: httpx.Client, form: storage.UploadForm, field: str
) -> None:
    rest = {name: value for name, value in form.fields.items() if name != field}
    assert post(http, storage.UploadForm(form.url, rest)).status_code in (400, 403)


def test_a_form_for_one_bucket_opens_no_other(
    http: httpx.Client, store: Store, form: storage.UploadForm
) -> None:
    stolen = storage.UploadForm(form.url.replace(store.uploads, store.artifacts), form.fields)
    assert stolen.url != form.url
    assert post(http, stolen).status_code == 403


@pytest.mark.parametrize(("size", "code"), [(0, "EntityTooSmall"), (65, "EntityTooLarge")])
def test_an_empty_photo_and_one_too_large_are_refused(
    http: httpx.Client,
    store: Store,
    size: int,
    code: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(storage, "MAX_PHOTO_BYTES", 64)
    form = storage.upload_form(store.uploads, KEY, "image/png")
    answer = post(http, form, body=b"x" * size)
    assert (answer.status_code, code in answer.text) == (400, True), answer.text


def test_a_form_that_has_ended_is_refused(
    http: httpx.Client, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "UPLOAD_LINK_SECONDS", -1)
    answer = post(http, storage.upload_form(store.uploads, KEY, "image/png"))
    assert (answer.status_code, "expired" in answer.text) == (403, True), answer.text


def test_only_the_site_may_ask_from_a_browser(http: httpx.Client, form: storage.UploadForm) -> None:
    asked = {"Access-Control-Request-Method": "POST"}
    allowed = http.options(form.url, headers={"Origin": ORIGIN, **asked})
    assert allowed.headers["Access-Control-Allow-Origin"] == ORIGIN
    for origin in STRANGE_ORIGINS:
        refused = http.options(form.url, headers={"Origin": origin, **asked})
        assert refused.status_code == 403
        assert "Access-Control-Allow-Origin" not in refused.headers
    assert post(http, form, origin=ORIGIN).headers["Access-Control-Allow-Origin"] == ORIGIN
