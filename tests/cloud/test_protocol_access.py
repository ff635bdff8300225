"""Tokens, share links and sessions: what each is good for. Who is answered what: tests/access/test_matrix.py"""

from __future__ import annotations

import base64
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import jwt
import pytest

from functions import app
from infra import tokens
from infra.clients import client
from infra.job import Job
from tests.cloud.conftest import SECRET, Cloud, Rest, refused

Use = Callable[..., None]

ROUTES = sorted((method, path) for path, methods in app.app.routes.items() for method in methods)
OF_A_JOB = [(method, path) for method, path in ROUTES if "{job_id}" in path]
WITH_A_TOKEN = [(method, path) for method, path in ROUTES if path != "/sessions"]
#: what the holder of a share link may do
READING = [(method, path) for method, path in OF_A_JOB if method == "GET"]
HOUR = 3600


def share(rest: Rest, token: str, job_id: str, **body: Any) -> str:
    status, answer, _ = rest("POST", "/jobs/{job_id}/shares", token=token, body=body, job_id=job_id)
    assert status == 201
    return str(answer["token"])


def seconds_until(moment: str) -> float:
    return (datetime.fromisoformat(moment) - datetime.now(UTC)).total_seconds()


# --- every route ---


def forged() -> dict[str, str | None]:
    now = int(time.time())
    claims = {"iss": "maquette", "aud": "session", "sub": "operator", "iat": now, "exp": now + HOUR}
    return {
        "no header": None,
        "nothing": "",
        "a scheme alone": "Bearer",
        "another scheme": "Basic b3BlcmF0b3I6",
        "no token": "Bearer ",
        "no JWT": "Bearer abc.def.ghi",
        "bytes that are no text": "Bearer \udcff\udcfe",
        "a header without end": f"Bearer {base64.urlsafe_b64encode(b'[' * 9000).decode()}.e30.e30",
        "another key": "Bearer " + jwt.encode(claims, SECRET[::-1], "HS256"),
        "no signature": "Bearer " + jwt.encode(claims, None, "none"),
        "another algorithm": "Bearer " + jwt.encode(claims, SECRET * 2, "HS512"),
        "past its end": "Bearer " + jwt.encode(claims | {"exp": now - 1}, SECRET, "HS256"),
        "without an end": "Bearer " + jwt.encode({k: v for k, v in claims.items() if k != "exp"}, SECRET),
        "of another issuer": "Bearer " + jwt.encode(claims | {"iss": "elsewhere"}, SECRET, "HS256"),
        "for something else": "Bearer " + jwt.encode(claims | {"aud": "upload"}, SECRET, "HS256"),
        "for both kinds": "Bearer " + jwt.encode(claims | {"aud": ["session", "share"]}, SECRET, "HS256"),
    }


def test_a_token_that_is_not_good_is_as_good_as_none(rest: Rest) -> None:
    for kind, given in forged().items():
        headers = {} if given is None else {"Authorization": given}
        for method, path in WITH_A_TOKEN:
            answer = rest(method, path, headers=headers, body={"filename": "a.png"}, job_id="x", name="y")
            assert refused(answer) == (401, "unauthorized"), (kind, method, path)


@pytest.mark.parametrize(("method", "path"), [(m, p) for m, p in READING if not p.endswith("/events")])
def test_only_events_take_a_token_in_the_address(
    rest: Rest, ann: str, done: Job, method: str, path: str
) -> None:
    answer = rest(method, path, query={"token": ann}, job_id=done.job_id, name="mesh.glb")
    assert refused(answer) == (401, "unauthorized")
    assert rest("GET", "/jobs/{job_id}/events", query={"token": ann}, job_id=done.job_id)[0] == 200


# --- share links ---


def test_a_share_link_leads_to_the_sites_page_and_lasts_a_week(
    rest: Rest, ann: str, done: Job, use_environment: Use
) -> None:
    use_environment(MAQUETTE_SITE_ORIGIN="https://maquette.example")
    status, body, _ = rest("POST", "/jobs/{job_id}/shares", token=ann, job_id=done.job_id)
    assert status == 201
    assert body["url"] == f"https://maquette.example/#/shared/{done.job_id}/{body['token']}"
    assert abs(seconds_until(body["expires_at"]) - 7 * 24 * HOUR) < 60


def test_without_a_site_a_share_is_its_token_alone(rest: Rest, ann: str, done: Job) -> None:
    _, body, _ = rest("POST", "/jobs/{job_id}/shares", token=ann, body={"expires_in": 60}, job_id=done.job_id)
    assert body["url"] is None
    assert seconds_until(body["expires_at"]) <= 60


@pytest.mark.parametrize(("method", "path"), READING)
def test_a_share_link_reads_its_job_as_the_owner_does(
    rest: Rest, ann: str, done: Job, method: str, path: str
) -> None:
    guest = share(rest, ann, done.job_id)
    where = {"job_id": done.job_id, "name": "mesh.glb"}
    status, body, _ = rest(method, path, token=guest, **where)
    owners_status, owners_body, _ = rest(method, path, token=ann, **where)
    assert status == owners_status < 400
    if path == "/jobs/{job_id}":
        for name in ("poster_url",):  # signed anew each time
            assert body["job"].pop(name).partition("?")[0] == owners_body["job"].pop(name).partition("?")[0]
        assert body == owners_body


def test_a_share_link_starts_no_session_of_the_owners(cloud: Cloud, rest: Rest, ann: str, done: Job) -> None:
    status, body, _ = rest("POST", "/sessions", token=share(rest, ann, done.job_id))
    assert status == 201
    assert rest("GET", "/jobs", token=body["token"])[1]["jobs"] == []


def test_a_share_link_ends(rest: Rest, done: Job) -> None:
    ended = tokens.issue_share(done.job_id, SECRET, ends=int(time.time()) - 1, epoch=1)
    assert refused(rest("GET", "/jobs/{job_id}", token=ended, job_id=done.job_id)) == (401, "unauthorized")


def test_a_share_link_ends_with_its_job_at_the_latest(cloud: Cloud, rest: Rest, ann: str, done: Job) -> None:
    leaves_at = int(time.time()) + 2 * HOUR
    client("dynamodb").update_item(
        TableName=cloud.settings.jobs_table,
        Key={"job_id": {"S": done.job_id}},
        UpdateExpression="SET expires_at = :t",
        ExpressionAttributeValues={":t": {"N": str(leaves_at)}},
    )
    _, body, _ = rest("POST", "/jobs/{job_id}/shares", token=ann, job_id=done.job_id)
    assert datetime.fromisoformat(body["expires_at"]).timestamp() == leaves_at
    assert jwt.decode(body["token"], options={"verify_signature": False})["exp"] == leaves_at


def test_a_share_link_of_a_deleted_job_shows_nothing(rest: Rest, ann: str, done: Job) -> None:
    guest = share(rest, ann, done.job_id)
    assert rest("DELETE", "/jobs/{job_id}", token=ann, job_id=done.job_id)[0] == 204
    assert refused(rest("GET", "/jobs/{job_id}", token=guest, job_id=done.job_id)) == (404, "not_found")


def test_what_has_no_model_and_never_will_cannot_be_shared(cloud: Cloud, rest: Rest, ann: str) -> None:
    _, body, _ = rest("POST", "/jobs", token=ann, body={"filename": "a.png"})
    where = {"job_id": body["job"]["job_id"]}
    assert rest("POST", "/jobs/{job_id}/shares", token=ann, **where)[0] == 201
    cloud.table.cancel(where["job_id"])
    assert refused(rest("POST", "/jobs/{job_id}/shares", token=ann, **where)) == (404, "not_found")


@pytest.mark.parametrize(
    "body",
    [{"expires_in": 59}, {"expires_in": 30 * 24 * HOUR + 1}, {"expires_in": True}, {"expires_in": 60.5},
     {"expires_in": "60"}, {"expires_in": None}, {"expiresIn": 60}, [], "no json"],
)  # fmt: skip
def test_a_share_of_a_length_that_cannot_be_is_refused(rest: Rest, ann: str, done: Job, body: Any) -> None:
    answer = rest("POST", "/jobs/{job_id}/shares", token=ann, body=body, job_id=done.job_id)
    assert refused(answer) == (400, "bad_input")


def test_the_two_kinds_of_token_are_not_each_other(rest: Rest) -> None:
    session_token, _ = tokens.issue("robot", SECRET)
    share_token = tokens.issue_share("robot", SECRET, ends=int(time.time()) + HOUR, epoch=3)
    assert tokens.read(session_token, SECRET) == tokens.Bearer(owner="robot")
    assert tokens.read(share_token, SECRET) == tokens.Bearer(job_id="robot", share_epoch=3)


# --- sessions ---


def test_a_session_lasts_as_long_as_its_jobs(rest: Rest) -> None:
    _, body, _ = rest("POST", "/sessions")
    assert abs(seconds_until(body["expires_at"]) - tokens.SESSION_SECONDS) < 60
    claims = jwt.decode(body["token"], options={"verify_signature": False})
    assert claims["exp"] == int(datetime.fromisoformat(body["expires_at"]).timestamp())


def test_a_session_that_holds_is_renewed_for_the_same_owner(rest: Rest, ann: str, done: Job) -> None:
    _, body, _ = rest("POST", "/sessions", token=ann)
    assert [job["job_id"] for job in rest("GET", "/jobs", token=body["token"])[1]["jobs"]] == [done.job_id]


def test_a_session_that_has_ended_is_followed_by_somebody_elses(rest: Rest, done: Job) -> None:
    now = int(time.time())
    claims = {"iss": "maquette", "aud": "session", "sub": done.owner, "iat": now - HOUR, "exp": now - 1}
    _, body, _ = rest("POST", "/sessions", token=jwt.encode(claims, SECRET, "HS256"))
    assert rest("GET", "/jobs", token=body["token"])[1]["jobs"] == []


def test_on_a_machine_of_ones_own_every_session_becomes_the_operators(
    cloud: Cloud, rest: Rest, ann: str, use_environment: Use
) -> None:
    use_environment(MAQUETTE_OPEN_SESSIONS="operator")
    cloud.queued("dropped")
    _, body, _ = rest("POST", "/sessions", token=ann)
    assert [job["job_id"] for job in rest("GET", "/jobs", token=body["token"])[1]["jobs"]] == ["dropped"]


@pytest.fixture(params=["environment", "secrets manager"])
def access_key(request: pytest.FixtureRequest, cloud: Cloud, use_environment: Use) -> str:
    key = "schlüssel"
    if request.param == "environment":
        use_environment(MAQUETTE_ACCESS_KEY=key)
    else:
        name = f"access-key-{uuid.uuid4()}"
        arn = client("secretsmanager").create_secret(Name=name, SecretString=key)["ARN"]
        use_environment(MAQUETTE_ACCESS_KEY_ARN=arn)
    return key


@pytest.mark.parametrize(
    "body", [None, {}, {"access_key": ""}, {"access_key": "schlussel"}, {"access_key": "schlüssel "},
             {"access_key": "\ud800"}]
)  # fmt: skip
def test_where_a_key_is_asked_for_nobody_starts_a_session_without_it(
    rest: Rest, access_key: str, body: Any
) -> None:
    assert refused(rest("POST", "/sessions", body=body)) == (401, "access_key_required")


def test_with_the_key_a_session_starts_and_renews_without_it(rest: Rest, access_key: str) -> None:
    status, body, _ = rest("POST", "/sessions", body={"access_key": access_key})
    assert status == 201
    rest("POST", "/jobs", token=body["token"], body={"filename": "a.png"})
    status, renewed, _ = rest("POST", "/sessions", token=body["token"])
    assert status == 201
    assert len(rest("GET", "/jobs", token=renewed["token"])[1]["jobs"]) == 1
    wrong = rest("POST", "/sessions", token=body["token"], body={"access_key": "wrong"})
    assert refused(wrong) == (401, "access_key_required")


def test_a_share_link_is_no_key(rest: Rest, access_key: str) -> None:
    guest = tokens.issue_share("robot", SECRET, ends=int(time.time()) + HOUR, epoch=1)
    assert refused(rest("POST", "/sessions", token=guest)) == (401, "access_key_required")


def test_where_no_key_is_asked_for_none_is_looked_at(rest: Rest) -> None:
    assert rest("POST", "/sessions", body={"access_key": "whatever"})[0] == 201


@pytest.mark.parametrize("body", [{"access_key": 5}, {"access_key": None}, {"key": "x"}, [], "x"])
def test_a_session_asked_for_in_words_that_make_no_sense_is_refused(rest: Rest, body: Any) -> None:
    assert refused(rest("POST", "/sessions", body=body)) == (400, "bad_input")
