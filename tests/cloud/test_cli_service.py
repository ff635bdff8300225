"""The command line's client of the service: lost connections, old news, damaged downloads."""

from __future__ import annotations

import asyncio
import hashlib
import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from infra.commands.service import Service, error_named
from infra.errors import DownloadCorrupt, InternalError, NotFound, NotRunning, UnsupportedImage
from infra.local.gateway import Address, Gateway, bind
from infra.local.invoke import Functions
from infra.local.triggers import Triggers

TRIGGERS = Triggers(
    routes=dict.fromkeys([("POST", "/sessions"), ("GET", "/jobs/{job_id}/artifacts")], f"{__name__}.rest"),
    socket_routes=dict.fromkeys(("$connect", "subscribe"), f"{__name__}.sockets"),
)
#: what the service at the other end does
artifacts: list[dict[str, str]] = []
on_subscribe: list[Callable[[Callable[[Any], None], Callable[[], None]], None]] = []
refused: list[int] = []


def rest(event: dict[str, Any], context: Any) -> dict[str, Any]:
    body = {"token": "a+token/="} if event["resource"] == "/sessions" else {"artifacts": artifacts}
    return {"statusCode": 200, "headers": {"Content-Type": "application/json"}, "body": json.dumps(body)}


def sockets(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Each subscription takes the next of ``on_subscribe``, which may post frames and hang up."""
    if event["requestContext"]["routeKey"] == "$connect":
        assert event["queryStringParameters"] == {"token": "a+token/="}
        return {"statusCode": refused[0] if refused else 200}
    connection = {"ConnectionId": event["requestContext"]["connectionId"]}
    api = boto3.client(
        "apigatewaymanagementapi",
        endpoint_url=f"http://{event['requestContext']['domainName']}",
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    on_subscribe.pop(0)(
        lambda frame: api.post_to_connection(**connection, Data=json.dumps(frame).encode()),
        lambda: api.delete_connection(**connection),
    )
    return {"statusCode": 200}


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Address]:
    artifacts.clear()
    on_subscribe.clear()
    refused.clear()
    functions, address = Functions(), bind("127.0.0.1", 0)
    served = Gateway(
        address, TRIGGERS, functions, endpoint_url="http://127.0.0.1:1", site_folder=tmp_path / "site"
    )
    served.start()
    yield address
    served.stop()
    functions.stop()


def snapshots(gateway: Address) -> list[int]:
    async def collect() -> list[int]:
        async with Service(gateway.url, gateway.socket_url) as service:
            return [job["seq"] async for job in service.snapshots("job")]

    return asyncio.run(collect())


def job(seq: int, status: str = "running") -> dict[str, Any]:
    return {"type": "job", "job": {"job_id": "job", "seq": seq, "status": status}}


def test_a_lost_connection_is_made_again_and_old_news_are_dropped(gateway: Address) -> None:
    def first(post: Callable[[Any], None], hang_up: Callable[[], None]) -> None:
        for frame in (job(1), job(4), {"type": "pong"}):
            post(frame)
        hang_up()

    def second(post: Callable[[Any], None], hang_up: Callable[[], None]) -> None:
        for frame in (job(3), job(4), job(6), job(5), job(7, "succeeded")):
            post(frame)

    on_subscribe.extend([first, second])
    heard = snapshots(gateway)
    assert heard == sorted(set(heard))
    assert heard[-3:] == [4, 6, 7]
    assert on_subscribe == []


def test_a_job_that_had_ended_while_nobody_listened_is_heard_of_at_once(gateway: Address) -> None:
    on_subscribe.extend([lambda post, hang_up: hang_up(), lambda post, hang_up: post(job(9, "failed"))])
    assert snapshots(gateway) == [9]


def test_an_error_frame_ends_the_listening_with_that_error(gateway: Address) -> None:
    frame = {"type": "error", "error": {"code": "not_found", "message": "no such job"}}
    on_subscribe.append(lambda post, hang_up: post(frame))
    with pytest.raises(NotFound, match="no such job"):
        snapshots(gateway)


def test_a_refused_session_is_not_tried_again(gateway: Address) -> None:
    refused.append(401)
    with pytest.raises(InternalError, match="refused this session"):
        snapshots(gateway)


def test_where_nobody_answers_a_sentence_says_so() -> None:
    with socket.socket() as nobody:  # bound, but nobody listens
        nobody.bind(("127.0.0.1", 0))
        with pytest.raises(NotRunning, match="Nothing answers at http://127"):
            snapshots(Address(nobody, "127.0.0.1", nobody.getsockname()[1]))


def test_downloads_are_held_against_the_manifest(gateway: Address, tmp_path: Path) -> None:
    site, out = tmp_path / "site", tmp_path / "out"
    site.mkdir()
    bodies = {"mesh.glb": b"glTF whole", "poster.webp": b"RIFF whole"}
    entries = [{"name": n, "sha256": hashlib.sha256(b).hexdigest()} for n, b in bodies.items()]
    bodies["manifest.json"] = json.dumps({"files": entries}).encode()
    for name, body in bodies.items():
        (site / name).write_bytes(body)
        # a name is a name, whatever the service calls it
        artifacts.append({"name": f"../{name}", "url": f"{gateway.url}/{name}"})

    async def download() -> list[Path]:
        async with Service(gateway.url, gateway.socket_url) as service:
            return await service.download("job", out)

    assert asyncio.run(download()) == sorted(out / name for name in bodies)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == bodies
    (site / "mesh.glb").write_bytes(b"glTF damaged")
    with pytest.raises(DownloadCorrupt, match=r"mesh\.glb of job job"):
        asyncio.run(download())


def test_codes_become_the_errors_of_the_tree() -> None:
    known = error_named({"code": "unsupported_image", "message": "no pixels"})
    assert (type(known), known.message) == (UnsupportedImage, "no pixels")
    unknown = error_named({"code": "from_the_future", "message": "something new"})
    assert (type(unknown), unknown.message) == (InternalError, "something new")
