"""WebSocket: who may connect, who may subscribe to what, what they hear."""

from __future__ import annotations

import json
import time
from typing import Any

import jwt
import pytest

from functions import app
from functions.fanout import push
from infra import tokens
from infra.clients import client
from infra.connections import ConnectionTable, job_topic
from infra.errors import InternalError
from infra.settings import settings
from tests.cloud.conftest import SECRET, Cloud, SocketServer


def socket(kind: str, connection_id: str = "c=", body: Any = None, token: str | None = None) -> int:
    """One event of the WebSocket API; the status answered, the authoriser's when it denies."""
    event: dict[str, Any] = {"requestContext": {"eventType": kind, "connectionId": connection_id}}
    if kind == "CONNECT":
        verdict = authorize(token)
        if verdict["policyDocument"]["Statement"][0]["Effect"] != "Allow":
            assert verdict["context"] == {}
            return 403
        event["requestContext"]["authorizer"] = verdict["context"]
    if body is not None:
        event["body"] = body if isinstance(body, str) else json.dumps(body)
    return int(app.on_socket(event, None)["statusCode"])


def authorize(token: str | None) -> dict[str, Any]:
    """What the authoriser says of a new connection."""
    event: dict[str, Any] = {"type": "REQUEST", "methodArn": "arn:aws:execute-api:x:1:api/live/$connect"}
    if token is not None:
        event["queryStringParameters"] = {"token": token}
    verdict: dict[str, Any] = app.authorize_socket(event, None)
    (statement,) = verdict["policyDocument"]["Statement"]
    assert statement["Action"] == "execute-api:Invoke"
    assert statement["Resource"] == event["methodArn"]
    return verdict


def connect(owner: str, connection_id: str = "c=") -> None:
    assert socket("CONNECT", connection_id, token=tokens.issue(owner, SECRET)[0]) == 200


def link(job_id: str, epoch: int = 1) -> str:
    return tokens.issue_share(job_id, SECRET, ends=int(time.time()) + 60, epoch=epoch)


def connections_open(cloud: Cloud) -> int:
    return len(client("dynamodb").scan(TableName=cloud.settings.connections_table)["Items"])


def test_connecting_sends_nothing_yet(cloud: Cloud, socket_server: SocketServer) -> None:
    connect("ann")
    assert connections_open(cloud) == 1
    assert socket_server.frames == []


def forged() -> dict[str, str | None]:
    now = int(time.time())
    claims = {"iss": "maquette", "aud": "session", "sub": "ann", "iat": now, "exp": now + 60}
    return {
        "none at all": None,
        "empty": "",
        "not a token": "abc.def.ghi",
        "no text": "\udcff",
        "another key": jwt.encode(claims, SECRET + "!", "HS256"),
        "unsigned": jwt.encode(claims, None, "none"),
        "expired": jwt.encode(claims | {"exp": now - 1}, SECRET, "HS256"),
        "without an end": jwt.encode({k: v for k, v in claims.items() if k != "exp"}, SECRET, "HS256"),
        "for something else": jwt.encode(claims | {"aud": "upload"}, SECRET, "HS256"),
        "for two things": jwt.encode(claims | {"aud": ["session", "share"]}, SECRET, "HS256"),
        "another issuer": jwt.encode(claims | {"iss": "elsewhere"}, SECRET, "HS256"),
        "another algorithm": jwt.encode(claims, SECRET * 2, "HS512"),
    }


@pytest.mark.parametrize("kind", forged())
def test_a_token_that_is_not_good_opens_nothing(cloud: Cloud, kind: str) -> None:
    assert socket("CONNECT", token=forged()[kind]) == 403
    assert connections_open(cloud) == 0


def test_a_session_speaks_for_its_owner_and_a_share_link_for_its_job(cloud: Cloud) -> None:
    session, share = tokens.issue("ann", SECRET)[0], link("j", epoch=2)
    assert authorize(session)["context"] == {"owner": "ann"}
    assert authorize(share)["context"] == {"shared_job_id": "j", "share_epoch": "2"}


@pytest.mark.parametrize("known", [None, {}, {"owner": "ann", "shared_job_id": "j"}])
def test_what_came_past_the_authoriser_opens_nothing(cloud: Cloud, known: dict[str, str] | None) -> None:
    context = {"eventType": "CONNECT", "connectionId": "c=", "authorizer": known}
    with pytest.raises(InternalError):
        app.on_socket({"requestContext": context, "queryStringParameters": {"token": "x"}}, None)
    assert connections_open(cloud) == 0


def test_subscribing_answers_with_a_snapshot(cloud: Cloud, socket_server: SocketServer) -> None:
    job = cloud.queued(owner="ann")
    connect("ann")
    assert socket("MESSAGE", body={"action": "subscribe", "job_id": job.job_id}) == 200
    assert socket_server.to("c=") == [{"type": "job", "job": job.as_public()}]
    assert ConnectionTable(cloud.settings.connections_table).followers(job_topic(job.job_id)) == ["c="]


@pytest.mark.parametrize("owner", ["bea", "operator", ""])
def test_someone_elses_job_looks_like_no_job(cloud: Cloud, socket_server: SocketServer, owner: str) -> None:
    cloud.queued("anns", owner="ann")
    connect(owner)
    for job_id in ("anns", "nobodys"):
        assert socket("MESSAGE", body={"action": "subscribe", "job_id": job_id}) == 200
    theirs, nobodys = socket_server.to("c=")
    assert theirs == {"type": "error", "error": {"code": "not_found", "message": "There is no job anns."}}
    assert nobodys == {"type": "error", "error": {"code": "not_found", "message": "There is no job nobodys."}}
    assert ConnectionTable(cloud.settings.connections_table).followers(job_topic("anns")) == []


def test_a_connection_that_never_connected_follows_nothing(cloud: Cloud, socket_server: SocketServer) -> None:
    cloud.queued("anns", owner="ann")
    socket("MESSAGE", "ghost", body={"action": "subscribe", "job_id": "anns"})
    assert [frame["type"] for frame in socket_server.to("ghost")] == ["error"]
    assert connections_open(cloud) == 0


def test_a_ping_is_answered_with_a_pong(cloud: Cloud, socket_server: SocketServer) -> None:
    connect("ann")
    assert socket("MESSAGE", body={"action": "ping"}) == 200
    assert socket_server.to("c=") == [{"type": "pong"}]


@pytest.mark.parametrize(
    "body", ["", "not json", "[]", "null", "{}", '{"action": 5}',
             '{"action": "subscribe", "job_id": 7}', '{"action": "subscribe", "job_id": ""}']
)  # fmt: skip
def test_a_frame_that_is_not_understood_is_answered_not_dropped(
    cloud: Cloud, socket_server: SocketServer, body: str
) -> None:
    connect("ann")
    assert socket("MESSAGE", body=body) == 200
    (frame,) = socket_server.to("c=")
    assert (frame["type"], frame["error"]["code"]) == ("error", "bad_input")


def test_disconnecting_forgets_the_connection_and_may_come_twice(cloud: Cloud) -> None:
    connect("ann")
    assert [socket("DISCONNECT"), socket("DISCONNECT")] == [200, 200]
    assert connections_open(cloud) == 0


def test_subscribing_to_no_job_follows_all_that_the_owner_has_or_will_have(
    cloud: Cloud, socket_server: SocketServer
) -> None:
    connect("ann")
    assert socket("MESSAGE", body={"action": "subscribe"}) == 200
    assert socket_server.to("c=") == [{"type": "subscribed"}]
    for owner in ("ann", "bea"):
        push(cloud.queued(f"{owner}s", owner=owner), settings())
    assert [frame["job"]["job_id"] for frame in socket_server.to("c=")[1:]] == ["anns"]


def test_another_subscription_takes_the_place_of_the_one_before(
    cloud: Cloud, socket_server: SocketServer
) -> None:
    first, second = (cloud.queued(name, owner="ann") for name in ("first", "second"))
    connect("ann")
    socket("MESSAGE", body={"action": "subscribe"})
    socket("MESSAGE", body={"action": "subscribe", "job_id": "first"})
    before = len(socket_server.frames)
    push(first, settings())
    push(second, settings())
    assert [frame["job"]["job_id"] for frame in socket_server.to("c=")[before:]] == ["first"]


def test_following_all_takes_the_place_of_following_one(cloud: Cloud, socket_server: SocketServer) -> None:
    jobs = [cloud.queued(name, owner="ann") for name in ("first", "second")]
    connect("ann")
    socket("MESSAGE", body={"action": "subscribe", "job_id": "first"})
    socket("MESSAGE", body={"action": "subscribe"})
    before = len(socket_server.frames)
    for job in jobs:
        push(job, settings())
    assert [frame["job"]["job_id"] for frame in socket_server.to("c=")[before:]] == ["first", "second"]


def test_a_share_link_follows_its_job_and_nothing_else(cloud: Cloud, socket_server: SocketServer) -> None:
    _, other = (cloud.queued(name, owner="ann") for name in ("shared", "other"))
    shared = cloud.table.share("shared")
    assert socket("CONNECT", token=link("shared")) == 200
    for body in ({"action": "subscribe"}, {"action": "subscribe", "job_id": "other"}):
        socket("MESSAGE", body=body)
    assert [frame["error"]["code"] for frame in socket_server.to("c=")] == ["not_found", "not_found"]
    socket("MESSAGE", body={"action": "subscribe", "job_id": "shared"})
    push(other, settings())
    push(shared, settings())
    assert [frame["job"]["job_id"] for frame in socket_server.to("c=")[2:]] == ["shared", "shared"]


def test_the_topic_of_an_owner_cannot_be_reached_by_a_job_of_that_name(
    cloud: Cloud, socket_server: SocketServer
) -> None:
    assert socket("CONNECT", token=link("owner#ann")) == 200
    socket("MESSAGE", body={"action": "subscribe", "job_id": "owner#ann"})
    push(cloud.queued("anns", owner="ann"), settings())
    assert [frame["type"] for frame in socket_server.to("c=")] == ["error"]
