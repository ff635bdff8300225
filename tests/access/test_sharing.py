"""Links to a job can be taken back, and then are as good as none."""

from __future__ import annotations

import time
from typing import Any

import pytest

from functions.fanout import push
from infra import tokens
from infra.errors import Unauthorized
from infra.job import Job
from infra.settings import settings
from tests.cloud.conftest import SECRET, Cloud, Rest, SocketServer, refused
from tests.cloud.test_protocol_access import READING, share
from tests.cloud.test_protocol_sockets import connect, socket


def take_back(rest: Rest, token: str, job_id: str) -> None:
    status, body, headers = rest("DELETE", "/jobs/{job_id}/shares", token=token, job_id=job_id)
    assert (status, body, headers["Cache-Control"]) == (204, "", "no-store")


@pytest.mark.parametrize(("method", "path"), READING)
def test_a_link_that_was_taken_back_is_answered_like_one_to_no_job(
    rest: Rest, ann: str, done: Job, method: str, path: str
) -> None:
    guest = share(rest, ann, done.job_id)
    where = {"job_id": done.job_id, "name": "mesh.glb"}
    assert rest(method, path, token=guest, **where)[0] < 400
    take_back(rest, ann, done.job_id)
    answer = rest(method, path, token=guest, **where)
    assert refused(answer) == (404, "not_found")
    assert answer[1]["error"]["message"] == f"There is no job {done.job_id}."
    assert rest(method, path, token=ann, **where)[0] < 400


def test_all_links_go_at_once_and_later_ones_hold(rest: Rest, ann: str, done: Job) -> None:
    before = [share(rest, ann, done.job_id, expires_in=seconds) for seconds in (60, 3600)]
    take_back(rest, ann, done.job_id)
    take_back(rest, ann, done.job_id)
    after = share(rest, ann, done.job_id)
    found = [rest("GET", "/jobs/{job_id}", token=link, job_id=done.job_id)[0] for link in (*before, after)]
    assert found == [404, 404, 200]


def test_taking_back_what_was_never_shared_changes_nothing(
    cloud: Cloud, rest: Rest, ann: str, done: Job
) -> None:
    take_back(rest, ann, done.job_id)
    assert cloud.table.get(done.job_id) == done


def test_sharing_and_taking_back_leave_the_model_as_it_is(
    cloud: Cloud, rest: Rest, ann: str, done: Job
) -> None:
    share(rest, ann, done.job_id)
    take_back(rest, ann, done.job_id)
    bookkeeping = ("seq", "updated_at")
    before, now = done.as_public(), cloud.table.get(done.job_id).as_public()
    assert now["seq"] > before["seq"]
    assert {n: v for n, v in now.items() if n not in bookkeeping} == {
        n: v for n, v in before.items() if n not in bookkeeping
    }


def test_a_second_link_leaves_the_first_as_it_is(cloud: Cloud, rest: Rest, ann: str, done: Job) -> None:
    first = share(rest, ann, done.job_id)
    once = cloud.table.get(done.job_id)
    share(rest, ann, done.job_id)
    assert cloud.table.get(done.job_id) == once
    assert rest("GET", "/jobs/{job_id}", token=first, job_id=done.job_id)[0] == 200


# --- sockets ---


def test_a_socket_opened_with_a_link_hears_no_more_once_it_is_taken_back(
    cloud: Cloud, rest: Rest, ann: str, done: Job, socket_server: SocketServer
) -> None:
    guest = share(rest, ann, done.job_id)
    connect(done.owner, "owner=")
    assert socket("CONNECT", "guest=", token=guest) == 200
    for name in ("owner=", "guest="):
        socket("MESSAGE", name, body={"action": "subscribe", "job_id": done.job_id})
        assert [frame["type"] for frame in socket_server.to(name)] == ["job"]
    push(cloud.table.get(done.job_id), settings())
    take_back(rest, ann, done.job_id)
    push(cloud.table.get(done.job_id), settings())
    assert len(socket_server.to("owner=")) == 3
    assert len(socket_server.to("guest=")) == 2

    socket("MESSAGE", "guest=", body={"action": "subscribe", "job_id": done.job_id})
    share(rest, ann, done.job_id)
    push(cloud.table.get(done.job_id), settings())
    (said,) = socket_server.to("guest=")[2:]
    assert said["error"] == {"code": "not_found", "message": f"There is no job {done.job_id}."}


def test_a_link_that_was_taken_back_still_connects_and_is_told_nothing(
    cloud: Cloud, rest: Rest, ann: str, done: Job, socket_server: SocketServer
) -> None:
    # The authoriser knows signatures alone: it is asked once, and a record may change at any time after.
    guest = share(rest, ann, done.job_id)
    take_back(rest, ann, done.job_id)
    assert socket("CONNECT", token=guest) == 200
    for body in ({"action": "subscribe", "job_id": done.job_id}, {"action": "subscribe"}):
        socket("MESSAGE", body=body)
    push(cloud.table.get(done.job_id), settings())
    assert [frame.get("error", {}).get("code") for frame in socket_server.to("c=")] == ["not_found"] * 2


@pytest.mark.parametrize("epoch", [None, 0, -1, True, "1", 1.0, [1], {"1": 1}])
def test_a_link_of_no_epoch_is_no_link(epoch: Any) -> None:
    import jwt

    claims = {"iss": "maquette", "aud": "share", "sub": "job", "exp": int(time.time()) + 60, "epoch": epoch}
    with pytest.raises(Unauthorized):
        tokens.read(jwt.encode({k: v for k, v in claims.items() if v is not None}, SECRET, "HS256"), SECRET)
