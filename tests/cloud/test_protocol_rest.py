"""REST, called as API Gateway calls it."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from functions import app
from infra import storage, tokens
from infra.clients import client
from infra.dynamodb import to_dynamodb
from infra.job import Job
from infra.options import Options
from tests.cloud.conftest import SECRET, Cloud, Rest, refused, session

Use = Callable[..., None]


def test_a_photo_goes_from_announcement_to_queue(cloud: Cloud, rest: Rest, ann: str) -> None:
    given = {"filename": "robot.png", "options": {"resolution": 64}}
    status, body, _ = rest("POST", "/jobs", token=ann, body=given)
    assert (status, body["job"]["status"], body["job"]["options"]["resolution"]) == (201, "awaiting_upload", 64)
    job = cloud.table.get(body["job"]["job_id"])

    answer = httpx.post(
        body["upload"]["url"],
        data=body["upload"]["fields"],
        files={"file": ("robot.png", b"12345", "image/png")},
    )
    assert answer.is_success
    stored = client("s3").get_object(Bucket=cloud.settings.upload_bucket, Key=job.source.key)
    assert (stored["Body"].read(), stored["ContentType"]) == (b"12345", "image/png")

    thing = {"key": job.source.key, "size": 5, "eTag": "x"}
    app.on_upload({"Records": [{"s3": {"bucket": {"name": job.source.bucket}, "object": thing}}]}, None)
    status, body, _ = rest("GET", "/jobs/{job_id}", token=ann, job_id=job.job_id)
    assert (status, body["job"]["status"]) == (200, "queued")


def test_a_visitor_may_have_so_many_jobs_under_way_and_no_more(
    cloud: Cloud, rest: Rest, ann: str, use_environment: Use
) -> None:
    use_environment(MAQUETTE_OWNER_JOBS="3")
    begun = [rest("POST", "/jobs", token=ann, body={"filename": "a.png"}) for _ in range(3)]
    assert [status for status, _, _ in begun] == [201] * 3

    assert refused(rest("POST", "/jobs", token=ann, body={"filename": "a.png"})) == (429, "too_many_jobs")
    assert rest("POST", "/jobs", token=session(rest), body={"filename": "a.png"})[0] == 201
    assert len(rest("GET", "/jobs", token=ann)[1]["jobs"]) == 3

    cloud.table.cancel(begun[0][1]["job"]["job_id"])
    assert rest("POST", "/jobs", token=ann, body={"filename": "a.png"})[0] == 201


def test_jobs_that_were_canceled_hide_none_that_are_under_way(
    cloud: Cloud, rest: Rest, ann: str, use_environment: Use
) -> None:
    use_environment(MAQUETTE_OWNER_JOBS="3")
    for _ in range(2):
        assert rest("POST", "/jobs", token=ann, body={"filename": "a.png"})[0] == 201
    for _ in range(10):
        _, body, _ = rest("POST", "/jobs", token=ann, body={"filename": "a.png"})
        cloud.table.cancel(body["job"]["job_id"])
    assert rest("POST", "/jobs", token=ann, body={"filename": "a.png"})[0] == 201

    assert refused(rest("POST", "/jobs", token=ann, body={"filename": "a.png"})) == (429, "too_many_jobs")


def test_the_operator_may_have_as_many_as_there_are(rest: Rest, use_environment: Use) -> None:
    use_environment(MAQUETTE_OWNER_JOBS="1", MAQUETTE_OPEN_SESSIONS="operator")
    operator = session(rest)
    for _ in range(3):
        assert rest("POST", "/jobs", token=operator, body={"filename": "a.png"})[0] == 201


def test_the_form_fixes_key_type_and_size_and_ends_soon(cloud: Cloud, rest: Rest, ann: str) -> None:
    _, body, _ = rest("POST", "/jobs", token=ann, body={"filename": "../../e vil/${filename}.JPG"})
    fields = body["upload"]["fields"]
    job_id = body["job"]["job_id"]
    assert fields["key"] == f"uploads/{job_id}/__filename_.JPG"
    from datetime import UTC, datetime

    policy = json.loads(base64.b64decode(fields["policy"]))
    conditions = policy["conditions"]
    assert {"key": fields["key"]} in conditions
    assert {"bucket": cloud.settings.upload_bucket} in conditions
    assert {"Content-Type": "image/jpeg"} in conditions
    assert ["content-length-range", 1, storage.MAX_PHOTO_BYTES] in conditions
    remaining = datetime.fromisoformat(policy["expiration"]) - datetime.now(UTC)
    assert 0 < remaining.total_seconds() <= 300


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("", "bad_input"),
        ("{", "bad_input"),
        ("[]", "bad_input"),
        ("[" * 99_999, "bad_input"),
        ({}, "bad_input"),
        ({"filename": 7}, "bad_input"),
        ({"filename": "  "}, "bad_input"),
        ({"filename": "a.png", "owner": "operator"}, "bad_input"),
        ({"filename": "a.png", "key": "inbox/a.png"}, "bad_input"),
        ({"filename": "a.svg"}, "invalid_option"),
        ({"filename": "a"}, "invalid_option"),
        ({"filename": "a.png", "content_type": "text/html"}, "invalid_option"),
        ({"filename": "a.png", "content_type": ["image/png"]}, "invalid_option"),
        ({"filename": "a.png", "options": {"resolution": 9999}}, "invalid_option"),
        ({"filename": "a.png", "options": {"nonsense": 1}}, "invalid_option"),
        ({"filename": "a.png", "options": [1]}, "invalid_option"),
    ],
)
def test_an_announcement_that_makes_no_sense_makes_no_job(
    cloud: Cloud, rest: Rest, ann: str, body: Any, code: str
) -> None:
    assert refused(rest("POST", "/jobs", token=ann, body=body)) == (400, code)
    assert cloud.jobs() == []


def test_jobs_are_listed_newest_first_with_a_cursor(cloud: Cloud, rest: Rest, ann: str) -> None:
    made = [
        rest("POST", "/jobs", token=ann, body={"filename": f"{n}.png"})[1]["job"]["job_id"] for n in range(3)
    ]
    _, first, _ = rest("GET", "/jobs", token=ann, query={"limit": "2"})
    _, second, _ = rest("GET", "/jobs", token=ann, query={"limit": "2", "cursor": first["cursor"]})
    assert [job["job_id"] for job in first["jobs"] + second["jobs"]] == made[::-1]
    assert second["cursor"] is None


def test_pages_give_every_job_once_with_a_poster_where_there_is_one(
    cloud: Cloud, rest: Rest, ann: str, done: Job
) -> None:
    for number in range(6):
        cloud.queued(f"queued-{number}", owner=done.owner)
    seen, cursor = [], None
    while True:
        query = {"limit": "2"} | ({"cursor": cursor} if cursor else {})
        _, page, _ = rest("GET", "/jobs", token=ann, query=query)
        assert len(page["jobs"]) <= 2
        seen += page["jobs"]
        cursor = page["cursor"]
        if cursor is None:
            break
    assert [job["job_id"] for job in seen] == [*(f"queued-{n}" for n in range(5, -1, -1)), done.job_id]
    assert [job["poster_url"] is None for job in seen] == [True] * 6 + [False]
    assert httpx.get(seen[-1]["poster_url"]).content == b"RIFF!"


def test_a_list_of_a_hundred_models_is_one_question_to_the_table_and_none_to_the_bucket(
    cloud: Cloud, rest: Rest, ann: str, done: Job
) -> None:
    for number in range(99):
        item = dataclasses.replace(done, job_id=f"{number}", created_at=done.created_at - number).as_item()
        client("dynamodb").put_item(TableName=cloud.settings.jobs_table, Item=to_dynamodb(item))
    asked: list[str] = []

    def note(model: Any, **_: Any) -> None:
        asked.append(model.name)

    services = [client(name) for name in ("dynamodb", "s3")]
    for service in services:
        service.meta.events.register("before-call", note)
    try:
        _, body, _ = rest("GET", "/jobs", token=ann, query={"limit": "100"})
    finally:
        for service in services:
            service.meta.events.unregister("before-call", note)
    assert len({job["poster_url"].partition("?")[0] for job in body["jobs"]}) == 1
    assert (len(body["jobs"]), asked) == (100, ["Query"])


def cursor(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()


@pytest.mark.parametrize(
    "query",
    [
        *({"limit": text} for text in ("0", "101", "-1", "²", "", "1.0", "9" * 5000)),
        *({"cursor": text} for text in ("x", "", "\udcff", "e30=", cursor("[" * 5000))),
        *({"cursor": cursor(value)} for value in (None, 7, [], [1], [1, ""], [1, "é"], [1, 2], ["1", "x"])),
        *({"cursor": cursor(value)} for value in ([-1, "x"], [1e200, "x"], [float("nan"), "x"], [1, "x" * 65])),
    ],
)
def test_a_list_that_cannot_be_given_is_refused(rest: Rest, ann: str, query: dict[str, str]) -> None:
    assert refused(rest("GET", "/jobs", token=ann, query=query)) == (400, "bad_input")


def test_a_cursor_of_anothers_list_leads_into_ones_own(cloud: Cloud, rest: Rest, ann: str, done: Job) -> None:
    cloud.queued("anns", owner=done.owner)
    _, page, _ = rest("GET", "/jobs", token=ann, query={"limit": "1"})
    bea = session(rest)
    assert rest("GET", "/jobs", token=bea, query={"cursor": page["cursor"]})[1] == {"jobs": [], "cursor": None}


def test_the_place_in_the_queue_counts_down_as_others_are_taken(cloud: Cloud, rest: Rest, ann: str) -> None:
    owner = tokens.read(ann, SECRET).owner or ""
    names = ["first", "second", "third"]
    for name in names:
        cloud.queued(name, owner="bea" if name == "first" else owner)

    def place(name: str) -> int | None:
        return rest("GET", "/jobs/{job_id}", token=ann, job_id=name)[1]["job"]["queue_position"]

    assert [place("second"), place("third")] == [2, 3]
    cloud.table.claim("first", "worker", lease_seconds=60, deadline_seconds=900)
    assert [place("second"), place("third")] == [1, 2]
    cloud.table.claim("second", "worker", lease_seconds=60, deadline_seconds=900)
    assert [place("second"), place("third")] == [None, 1]


def test_a_very_long_line_is_not_counted_to_its_end(
    cloud: Cloud, rest: Rest, ann: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.listing._LONGEST_LINE", 2)
    owner = tokens.read(ann, SECRET).owner or ""
    for name in ("first", "second", "third"):
        cloud.queued(name, owner=owner)
    places = [
        rest("GET", "/jobs/{job_id}", token=ann, job_id=n)[1]["job"]["queue_position"]
        for n in ("first", "second", "third")
    ]
    assert places == [1, 2, None]


def test_artifacts_come_with_what_the_manifest_says_and_a_link_that_works(
    cloud: Cloud, rest: Rest, ann: str, done: Job
) -> None:
    manifest = client("s3").get_object(Bucket=cloud.settings.artifact_bucket, Key=done.manifest_key)
    status, body, headers = rest("GET", "/jobs/{job_id}/artifacts", token=ann, job_id=done.job_id)
    assert status == 200
    assert headers["Cache-Control"] == "no-store"
    assert [(entry["name"], entry["bytes"]) for entry in body["artifacts"]] == [
        ("mesh.glb", 5),
        ("poster.webp", 5),
        ("manifest.json", len(manifest["Body"].read())),
    ]
    for entry in body["artifacts"]:
        file = httpx.get(entry["url"])
        assert hashlib.sha256(file.content).hexdigest() == entry["sha256"]
        assert file.headers["Content-Type"] == entry["type"]
    answer = httpx.get(body["artifacts"][0]["url"])
    assert answer.content == b"glTF!"
    assert answer.headers["Content-Type"] == "model/gltf-binary"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="mesh.glb"'


def test_one_artifact_is_a_redirect_to_a_short_lived_link(rest: Rest, ann: str, done: Job) -> None:
    where = {"job_id": done.job_id, "name": "poster.webp"}
    status, body, headers = rest("GET", "/jobs/{job_id}/artifacts/{name}", token=ann, **where)
    assert (status, headers["Location"]) == (302, body["url"])
    link = parse_qs(urlsplit(headers["Location"]).query)
    assert int(link["X-Amz-Expires"][0]) <= 900
    assert httpx.get(headers["Location"]).content == b"RIFF!"


@pytest.mark.parametrize(
    "name", ["input.png", "../manifest.json", "..%2F1%2Fmesh.glb", "", "mesh.glb/", "MESH.GLB"]
)
def test_only_files_of_the_manifest_can_be_had(rest: Rest, ann: str, done: Job, name: str) -> None:
    answer = rest("GET", "/jobs/{job_id}/artifacts/{name}", token=ann, job_id=done.job_id, name=name)
    assert refused(answer) == (404, "not_found")


def test_a_job_that_has_not_succeeded_has_no_artifacts(cloud: Cloud, rest: Rest, ann: str) -> None:
    _, body, _ = rest("POST", "/jobs", token=ann, body={"filename": "a.png"})
    answer = rest("GET", "/jobs/{job_id}/artifacts", token=ann, job_id=body["job"]["job_id"])
    assert refused(answer) == (404, "not_found")


def test_nobody_sees_anothers_jobs_in_the_list(cloud: Cloud, rest: Rest, done: Job) -> None:
    cloud.queued("dropped")
    _, body, _ = rest("GET", "/jobs", token=session(rest))
    assert body == {"jobs": [], "cursor": None}


def test_an_ordinary_session_is_nobody_in_particular(cloud: Cloud, rest: Rest) -> None:
    for _ in range(2):
        rest("POST", "/jobs", token=session(rest), body={"filename": "a.png"})
    owners = {job.owner for job in cloud.jobs()}
    assert len(owners) == 2
    assert "operator" not in owners


def test_on_a_machine_of_ones_own_every_session_sees_the_drop_folder(
    cloud: Cloud, rest: Rest, use_environment: Use
) -> None:
    use_environment(MAQUETTE_OPEN_SESSIONS="operator")
    dropped = cloud.queued("dropped")
    _, body, _ = rest("GET", "/jobs", token=session(rest))
    assert body["jobs"] == [dropped.as_public() | {"poster_url": None}]


def test_the_session_key_may_lie_in_secrets_manager(
    cloud: Cloud, rest: Rest, monkeypatch: pytest.MonkeyPatch, use_environment: Use
) -> None:
    arn = client("secretsmanager").create_secret(Name="key", SecretString="a stored key that is long enough")[
        "ARN"
    ]
    monkeypatch.delenv("MAQUETTE_SESSION_SECRET")
    use_environment(MAQUETTE_SESSION_SECRET_ARN=arn)
    assert rest("GET", "/jobs", token=session(rest))[0] == 200


@pytest.mark.parametrize("origin", [None, "https://maquette.example"])
def test_exactly_one_other_origin_may_read_answers(
    rest: Rest, use_environment: Use, origin: str | None
) -> None:
    if origin:
        use_environment(MAQUETTE_SITE_ORIGIN=origin)
    for answer in (rest("POST", "/sessions"), rest("GET", "/jobs"), rest("DELETE", "/jobs")):
        assert answer[2].get("Access-Control-Allow-Origin") == origin


def test_refusals_of_the_framework_have_the_same_form(rest: Rest, ann: str) -> None:
    assert refused(rest("DELETE", "/jobs", token=ann))[0] == 405
    plain = rest("POST", "/jobs", token=ann, body="a=b", headers={"Content-Type": "text/plain"})
    assert refused(plain)[0] == 415


def test_a_defect_of_ours_is_said_without_its_trace(rest: Rest, ann: str, use_environment: Use) -> None:
    use_environment(MAQUETTE_JOBS_TABLE="not-there")
    answer = rest("GET", "/jobs", token=ann)
    assert refused(answer) == (500, "internal_error")
    assert "not-there" not in json.dumps(answer[1])


def test_options_come_back_whole_and_the_same_at_every_reading(cloud: Cloud, rest: Rest, ann: str) -> None:
    _, created, _ = rest("POST", "/jobs", token=ann, body={"filename": "a.png", "options": {"views": 8}})
    _, read, _ = rest("GET", "/jobs/{job_id}", token=ann, job_id=created["job"]["job_id"])
    assert read["job"] == created["job"] | {"poster_url": None, "queue_position": None}
    assert read["job"]["options"] == Options(views=8).as_dict()
