"""The gateway: what handlers see of requests and sockets, and what clients see of handlers."""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import boto3
import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from infra.errors import PortTaken
from infra.local.gateway import Address, Gateway, bind
from infra.local.invoke import Functions
from infra.local.sockets import MESSAGE_BYTES
from infra.local.triggers import SocketAuthorizer, Triggers
from tests.cloud.machine import wait_for

events: list[dict[str, Any]] = []
at_work: list[int] = [0, 0]  # now, and at most


def rest(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answers as the ``answer`` header asks, else with the event itself."""
    at_work[0] += 1
    at_work[1] = max(at_work)
    time.sleep(0.01)
    at_work[0] -= 1
    if event["resource"] == "/broken":
        raise RuntimeError("defect")
    if event["resource"] == "/binary":
        return {
            "statusCode": 201,
            "headers": {"Content-Type": "image/png"},
            "multiValueHeaders": {"X-Many": ["one", "two"]},
            "body": base64.b64encode(b"\x89PNG").decode(),
            "isBase64Encoded": True,
        }
    return {"statusCode": 200, "headers": {"Content-Type": "application/json"}, "body": json.dumps(event)}


def authorizer(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Denies those whose token is ``denied``, breaks on ``broken``, lets all others in."""
    assert event["type"] == "REQUEST"
    token = event["queryStringParameters"]["token"]
    if token == "broken":
        raise RuntimeError("defect")
    statement = {
        "Effect": "Deny" if token == "denied" else "Allow",
        "Action": "execute-api:Invoke",
        "Resource": event["methodArn"],
    }
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    return {"principalId": token, "policyDocument": policy, "context": {"owner": f"of {token}"}}


def sockets(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Refuses those whose token is ``no``; breaks on the message ``break``."""
    events.append(event)
    if (event.get("queryStringParameters") or {}).get("token") == "no":
        return {"statusCode": 401}
    if event.get("body") == "break":
        raise RuntimeError("defect")
    return {"statusCode": 200}


TRIGGERS = Triggers(
    routes=dict.fromkeys(
        [
            ("GET", "/things/{id}/parts/{name}"),
            ("POST", "/things"),
            ("GET", "/broken"),
            ("GET", "/binary"),
        ],
        f"{__name__}.rest",
    ),
    preflights={"/things": {"Access-Control-Allow-Origin": "http://127.0.0.1:8000"}},
    socket_routes=dict.fromkeys(("$connect", "$disconnect", "$default", "subscribe"), f"{__name__}.sockets"),
    socket_authorizer=SocketAuthorizer(f"{__name__}.authorizer", "token"),
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site") / "dist"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("<title>the site</title>")
    (folder / "assets" / "app.js").write_text("export {};\n" * 1000)
    (folder / "assets" / "face.woff2").write_bytes(b"wOF2")
    (folder.parent / "secret").write_text("not yours")
    return folder


def served(folder: Path) -> Iterator[Address]:
    functions = Functions()
    address = bind("127.0.0.1", 0)
    gateway = Gateway(address, TRIGGERS, functions, endpoint_url="http://127.0.0.1:1", site_folder=folder)
    gateway.start()
    yield address
    gateway.stop()
    functions.stop()


@pytest.fixture(scope="module")
def gateway(site: Path) -> Iterator[Address]:
    yield from served(site)


@pytest.fixture
def client(gateway: Address) -> Iterator[ClientConnection]:
    events.clear()
    with connect(gateway.socket_url + "?token=yes") as opened:
        mine = connection_id()
        yield opened
    # The farewell comes after the handshake that ends the connection, and must not fall into the next test.
    farewell = {"eventType": "DISCONNECT", "connectionId": mine}
    wait_for(lambda: any(farewell.items() <= e["requestContext"].items() for e in list(events)), "the farewell")


def connection_id() -> str:
    return str(events[0]["requestContext"]["connectionId"])


def management(gateway: Address) -> Any:
    return boto3.client(
        "apigatewaymanagementapi",
        endpoint_url=gateway.url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


def test_a_handler_sees_the_request_as_api_gateway_tells_it(gateway: Address) -> None:
    path = f"/things/{quote('a b/c', safe='')}/parts/mesh.glb?x=1&x=2&y=%C3%BC"
    event = httpx.get(gateway.url + path, headers={"Authorization": "Bearer t"}).json()
    assert event["resource"] == "/things/{id}/parts/{name}"
    assert event["httpMethod"] == event["requestContext"]["httpMethod"] == "GET"
    assert event["requestContext"]["resourcePath"] == event["resource"]
    assert event["pathParameters"] == {"id": "a b/c", "name": "mesh.glb"}
    assert event["multiValueQueryStringParameters"] == {"x": ["1", "2"], "y": ["ü"]}
    assert {name.lower(): value for name, value in event["headers"].items()}["authorization"] == "Bearer t"
    assert event["requestContext"]["identity"]["sourceIp"] == "127.0.0.1"
    assert event["body"] is None
    posted = httpx.post(gateway.url + "/things", json={"a": "ü"}).json()
    assert json.loads(posted["body"]) == {"a": "ü"}
    assert posted["isBase64Encoded"] is False
    assert posted["pathParameters"] is None
    assert posted["queryStringParameters"] is None


def test_a_handlers_answer_reaches_the_client_whole(gateway: Address) -> None:
    answer = httpx.get(gateway.url + "/binary")
    assert (answer.status_code, answer.content) == (201, b"\x89PNG")
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers.get_list("x-many") == ["one", "two"]


def test_a_broken_handler_is_a_502_that_tells_nothing(gateway: Address) -> None:
    answer = httpx.get(gateway.url + "/broken")
    assert answer.status_code == 502
    assert "defect" not in answer.text


def test_rest_handlers_are_called_one_at_a_time(gateway: Address) -> None:
    at_work[:] = [0, 0]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: httpx.post(gateway.url + "/things", json=n), range(16)))
    assert [json.loads(answer.json()["body"]) for answer in answers] == list(range(16))
    assert at_work == [0, 1]


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "TRACE"])
def test_a_method_that_no_function_is_there_for_is_refused(gateway: Address, method: str) -> None:
    answer = httpx.request(method, gateway.url + "/things")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")
    assert answer.json()["error"]["code"] == "method_not_allowed"


def test_a_preflight_request_is_answered_with_the_templates_headers(gateway: Address) -> None:
    answer = httpx.options(gateway.url + "/things")
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "http://127.0.0.1:8000"


def test_the_site_is_served_and_nothing_beside_it(gateway: Address) -> None:
    assert "the site" in httpx.get(gateway.url + "/").text
    script = httpx.get(gateway.url + "/assets/app.js")
    assert "javascript" in script.headers["content-type"]
    for path in ("/%2e%2e/secret", "/assets/%2e%2e/%2e%2e/secret", "/..%2fsecret", "/nothing", "/assets"):
        answer = httpx.get(gateway.url + path)
        assert answer.status_code == 404, path
        assert "not yours" not in answer.text
    places = httpx.get(gateway.url + "/config.json").json()
    assert places == {"rest": gateway.url, "socket": gateway.socket_url}


PATHS_OF_THE_SITE = ("", "index.html", "config.json", "assets/index-0b9d.js")


def test_the_site_runs_its_own_scripts_alone_and_speaks_to_its_cloud_alone(gateway: Address) -> None:
    for path in ("/", "/assets/app.js", "/config.json", "/nothing"):
        headers = httpx.get(gateway.url + path).headers
        policy = dict(part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";"))
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == "'self'"
        assert policy["connect-src"].split() == ["'self'", "blob:", gateway.socket_url, "http://127.0.0.1:1"]
        assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert "camera=(self)" in headers["Permissions-Policy"]


def test_only_files_whose_names_change_with_them_are_kept_unasked(gateway: Address, site: Path) -> None:
    (site / "assets").mkdir(exist_ok=True)
    (site / "assets" / "index-0b9d.js").write_text("")
    kept = {path: httpx.get(f"{gateway.url}/{path}").headers["Cache-Control"] for path in PATHS_OF_THE_SITE}
    assert kept == dict.fromkeys(PATHS_OF_THE_SITE, "no-cache") | {
        "assets/index-0b9d.js": "public, max-age=31536000, immutable"
    }


def test_texts_are_compressed_and_neither_ranges_nor_repeated_questions_suffer(gateway: Address) -> None:
    with httpx.Client(base_url=gateway.url) as browser:
        whole = browser.get("/assets/app.js")
        assert whole.text == "export {};\n" * 1000
        assert whole.headers["content-encoding"] in ("gzip", "deflate")
        assert whole.headers["vary"] == "Accept-Encoding"
        assert whole.num_bytes_downloaded < 500
        again = browser.get("/assets/app.js", headers={"if-none-match": whole.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        part = browser.get("/assets/app.js", headers={"range": "bytes=0-5"})
        assert (part.status_code, part.content) == (206, b"export")
        assert browser.head("/assets/app.js").headers["content-length"] == "11000"
        plain = browser.get("/assets/app.js", headers={"accept-encoding": "identity"})
        assert "content-encoding" not in plain.headers
        assert plain.content == whole.content
        font = browser.get("/assets/face.woff2")
        assert "content-encoding" not in font.headers
        assert font.headers["content-type"] == "font/woff2"


def test_a_visitor_who_says_localhost_is_led_to_the_address_that_the_cloud_answers_to(gateway: Address) -> None:
    answer = httpx.get(f"http://127.0.0.1:{gateway.port}/", headers={"host": f"localhost:{gateway.port}"})
    assert (answer.status_code, answer.headers["location"]) == (307, f"{gateway.url}/")


def test_without_a_site_a_page_says_what_runs_and_how_to_submit(tmp_path: Path) -> None:
    for address in served(tmp_path / "nothing"):
        page = httpx.get(address.url + "/")
        assert page.headers["content-type"].startswith("text/html")
        for text in (address.url, address.socket_url, "maquette submit"):
            assert text in page.text
        style = page.text.partition("<style>")[2].partition("</style>")[0]
        digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
        assert f"style-src 'sha256-{digest}';" in page.headers["content-security-policy"]


def test_a_taken_port_is_refused(gateway: Address) -> None:
    with pytest.raises(PortTaken, match=str(gateway.port)):
        bind("127.0.0.1", gateway.port)


def test_a_refused_connection_never_opens(gateway: Address) -> None:
    events.clear()
    with pytest.raises(InvalidStatus) as refusal:
        connect(gateway.socket_url + "?token=no")
    assert refusal.value.response.status_code == 401
    with pytest.raises(management(gateway).exceptions.GoneException):
        management(gateway).post_to_connection(ConnectionId=connection_id(), Data=b"hello")
    assert [event["requestContext"]["eventType"] for event in events] == ["CONNECT"]


@pytest.mark.parametrize(
    ("query", "status"), [("", 401), ("?token=", 401), ("?token=denied", 403), ("?token=broken", 500)]
)
def test_whom_the_authoriser_does_not_admit_no_function_hears_of(
    gateway: Address, query: str, status: int
) -> None:
    events.clear()
    with pytest.raises(InvalidStatus) as refusal:
        connect(gateway.socket_url + query)
    assert refusal.value.response.status_code == status
    assert events == []


def test_what_the_authoriser_found_out_stays_with_the_connection(client: ClientConnection) -> None:
    client.send("{}")
    wait_for(lambda: len(events) == 2, "the message")
    known = {"principalId": "yes", "owner": "of yes"}
    assert [event["requestContext"]["authorizer"] for event in events] == [known, known]


def test_messages_take_the_route_of_their_action_and_all_others_the_default(client: ClientConnection) -> None:
    sent = ['{"action": "subscribe", "job_id": "j"}', '{"action": "dance"}', "no json", '{"action": 3}', "[]"]
    for text in sent:
        client.send(text)
    wait_for(lambda: len(events) == 6, "all messages")
    opening, *messages = events
    assert opening["queryStringParameters"] == {"token": "yes"}
    assert opening["requestContext"]["routeKey"] == "$connect"
    assert [m["body"] for m in messages] == sent
    assert [m["requestContext"]["routeKey"] for m in messages] == ["subscribe", *["$default"] * 4]
    assert {m["requestContext"]["connectionId"] for m in messages} == {connection_id()}


def test_what_is_posted_to_a_connection_arrives_in_order(gateway: Address, client: ClientConnection) -> None:
    for number in range(20):
        management(gateway).post_to_connection(ConnectionId=connection_id(), Data=f"frame {number} ü".encode())
    assert [client.recv(timeout=10) for _ in range(20)] == [f"frame {number} ü" for number in range(20)]
    described = management(gateway).get_connection(ConnectionId=connection_id())
    assert described["Identity"]["SourceIp"] == "127.0.0.1"
    assert described["ConnectedAt"] <= described["LastActiveAt"]


def test_a_connection_that_is_gone_is_gone(gateway: Address, client: ClientConnection) -> None:
    api = management(gateway)
    client.close()
    wait_for(lambda: events[-1]["requestContext"]["eventType"] == "DISCONNECT", "the farewell")
    for call in (api.get_connection, api.delete_connection):
        with pytest.raises(api.exceptions.GoneException):
            call(ConnectionId=connection_id())
    with pytest.raises(api.exceptions.GoneException):
        api.post_to_connection(ConnectionId=connection_id(), Data=b"anybody?")


def test_a_function_can_close_a_connection(gateway: Address, client: ClientConnection) -> None:
    management(gateway).delete_connection(ConnectionId=connection_id())
    with pytest.raises(ConnectionClosed):
        client.recv(timeout=10)


def test_a_frame_above_the_limit_is_refused(gateway: Address, client: ClientConnection) -> None:
    api = management(gateway)
    with pytest.raises(api.exceptions.PayloadTooLargeException):
        api.post_to_connection(ConnectionId=connection_id(), Data=b"x" * (MESSAGE_BYTES + 1))
    api.post_to_connection(ConnectionId=connection_id(), Data=b"x" * MESSAGE_BYTES)
    assert len(client.recv(timeout=10)) == MESSAGE_BYTES


def test_a_broken_handler_is_told_to_the_client_who_stays_connected(client: ClientConnection) -> None:
    client.send("break")
    assert json.loads(client.recv(timeout=10))["message"] == "Internal server error"
    client.send("again")
    wait_for(lambda: events[-1].get("body") == "again", "the next message")


def test_a_client_that_does_not_read_is_cut_off_and_slows_nobody(
    gateway: Address, client: ClientConnection
) -> None:
    address = ("127.0.0.1", gateway.port)
    with socket.create_connection(address) as deaf:
        events.clear()
        deaf.sendall(
            f"GET /socket?token=yes HTTP/1.1\r\nHost: {address[0]}\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )
        assert deaf.recv(12) == b"HTTP/1.1 101"
        deaf_id = connection_id()
        api, frame = management(gateway), b"x" * MESSAGE_BYTES

        def post_and_post() -> None:
            for _ in range(1000):
                api.post_to_connection(ConnectionId=deaf_id, Data=frame)

        with pytest.raises(api.exceptions.GoneException):
            post_and_post()
        wait_for(lambda: events[-1]["requestContext"]["eventType"] == "DISCONNECT", "the farewell")
    client.send("still there?")
    wait_for(lambda: events[-1].get("body") == "still there?", "the other client")


def test_ending_the_gateway_closes_every_socket(tmp_path: Path) -> None:
    running = served(tmp_path)
    address = next(running)
    with connect(address.socket_url + "?token=yes") as client:
        ending = threading.Thread(target=lambda: next(running, None))
        ending.start()
        with pytest.raises(ConnectionClosed):
            client.recv(timeout=10)
        ending.join(10)
        assert not ending.is_alive()
