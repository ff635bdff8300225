"""A server on one's own machine answers that machine's programs and pages, and no page from elsewhere."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import httpx
import pytest

from infra.local.gateway import Address, Gateway, bind
from infra.local.invoke import Functions
from infra.local.neighbours import is_from_elsewhere, is_own_name
from infra.local.triggers import Triggers

OWN = ["127.0.0.1", "127.0.0.1:8000", "[::1]", "[::1]:8000", "10.0.0.7:8000", "localhost", "LOCALHOST:8000",
       "localhost.", "studio.localhost:8000", "maquette", socket.gethostname(), "models.example"]  # fmt: skip
STRANGE = ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "127.0.0.1.nip.io", "evil.example.",
           "localhost.evil.example", "evil-models.example", "models.example.evil.example", "xmodels.example",
           "me@evil.example", "127.0.0.1@evil.example", "evil.example@127.0.0.1", "evil.example#127.0.0.1", "[",
           "evil.example?localhost", "[::1].evil.example", "127.0.0.1 evil.example", ":1", "1.2.3"]  # fmt: skip


def test_a_name_that_only_this_machine_has_is_its_own() -> None:
    assert [name for name in OWN if not is_own_name(name, "models.example")] == []


def test_a_name_that_somebody_else_can_have_is_not() -> None:
    assert [name for name in STRANGE if is_own_name(name, "models.example")] == []


def test_a_page_tells_where_it_comes_from() -> None:
    for origin in ("http://127.0.0.1:8000", "http://localhost:8000", "http://models.example"):
        assert not is_from_elsewhere({"origin": origin}, "models.example")
    for origin in ("null", "", "https://evil.example", "http://models.example.evil.example", "file://", "x"):
        assert is_from_elsewhere({"origin": origin}, "models.example")
    assert is_from_elsewhere({"sec-fetch-site": "cross-site"}, "models.example")
    for programs_and_pages in ({}, {"sec-fetch-site": "same-site"}, {"sec-fetch-site": "none"}):
        assert not is_from_elsewhere(programs_and_pages, "models.example")


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Address]:
    folder = tmp_path_factory.mktemp("site")
    (folder / "index.html").write_text("<title>site</title>")
    (folder.parent / "secret.txt").write_text("secret")
    address, functions = bind("127.0.0.1", 0), Functions()
    triggers = Triggers(routes={}, socket_routes={})
    served = Gateway(address, triggers, functions, endpoint_url="http://127.0.0.1:1", site_folder=folder)
    served.start()
    yield address
    served.stop()
    functions.stop()


def status(gateway: Address, target: str, host: str | None = None) -> int:
    """Of a request in plain bytes: no client would send some of these."""
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=10) as connection:
        name = f"127.0.0.1:{gateway.port}" if host is None else host
        connection.sendall(f"GET {target} HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    assert b"secret" not in answer
    return int(answer.split(b" ", 2)[1])


def test_who_was_led_here_by_a_strange_name_is_told_so(gateway: Address) -> None:
    for target in ("/", "/config.json", "/sessions", "/jobs", "/socket?token=x", "/@connections/x"):
        assert {status(gateway, target, name) for name in STRANGE} <= {421, 400}
    assert status(gateway, "/config.json", "evil.example") == 421
    assert status(gateway, "/config.json", "localhost") == 200


def test_no_way_of_writing_an_address_leads_out_of_the_site(gateway: Address) -> None:
    assert status(gateway, "/index.html") == 200
    ways = [
        "/../secret.txt", "/..%2fsecret.txt", "/%2e%2e/secret.txt", "/%2e%2e%2fsecret.txt", "//secret.txt",
        "/%252e%252e%252fsecret.txt", "/..%5csecret.txt", "/..\\secret.txt", "/./../secret.txt", "/%00",
        "/assets/../../secret.txt", "/index.html%00", "/index.html%00.txt", "/..%00/secret.txt", "/index.html.",
        "/index.html/..", "/index.html/../../secret.txt", "/%c0%ae%c0%ae/secret.txt", "/%ff",
        "/~root/secret.txt", "/%ef%bc%8e%ef%bc%8e/secret.txt", "/%0d%0aX-Evil:%201", "/" + "a" * 4000,
        "/" + "a/" * 2000,
    ]  # fmt: skip
    assert {way: status(gateway, way) for way in ways} == dict.fromkeys(ways, 404)


def test_moto_answers_programs_and_the_site_and_no_page_from_elsewhere(
    moto_environment: dict[str, str],
) -> None:
    url = moto_environment["AWS_ENDPOINT_URL"]
    port = url.rpartition(":")[2]

    def ask(method: str = "GET", **headers: str) -> httpx.Response:
        return httpx.request(
            method, url, headers={name.replace("_", "-"): value for name, value in headers.items()}
        )

    assert ask().status_code == 200
    assert ask(origin="http://127.0.0.1:8000", sec_fetch_site="same-site").status_code == 200
    elsewhere = [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"sec_fetch_site": "cross-site"},
        {"host": f"evil.example:{port}"},
    ]
    for headers in elsewhere:
        for method in ("GET", "POST", "PUT", "OPTIONS"):
            answer = ask(method, **headers)
            assert answer.status_code == 403
            assert "Access-Control-Allow-Origin" not in answer.headers
