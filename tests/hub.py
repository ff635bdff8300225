"""A hub on this machine that serves files with ranges, and misbehaves when it is told to."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Fault:
    """What the hub does instead of answering one request well."""

    #: answer with this status and no file
    status: int | None = None
    #: send the client there
    location: str | None = None
    #: hang up after this many bytes of the body
    cut: int | None = None
    #: send the whole file whatever range was asked for
    no_ranges: bool = False
    #: begin this many bytes later than the client asked, and say so
    shift: int = 0
    #: do not tell how long the body is: hanging up is its end
    no_length: bool = False


@dataclass
class Hub:
    """Files by path; each request takes the next of ``faults``, while there are any."""

    url: str
    files: dict[str, bytes] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    #: path and Range header of every request so far
    requests: list[tuple[str, str | None]] = field(default_factory=list)


@contextmanager
def hub() -> Iterator[Hub]:
    """A running hub on a free port of 127.0.0.1."""
    serving = Hub("")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:  # the name that http.server looks for
            answer(self, serving)

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        serving.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield serving
        finally:
            server.shutdown()
            thread.join()


def answer(handler: BaseHTTPRequestHandler, serving: Hub) -> None:
    asked = handler.headers.get("Range")
    serving.requests.append((handler.path, asked))
    fault = serving.faults.pop(0) if serving.faults else Fault()
    body = serving.files.get(handler.path)
    if fault.location is not None:
        refuse(handler, 302, fault.location)
        return
    if fault.status is not None or body is None:
        refuse(handler, fault.status or 404)
        return
    start = 0
    if asked and not fault.no_ranges:
        start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1])  # type: ignore[index]
        if start >= len(body):
            refuse(handler, 416)
            return
        start += fault.shift
        handler.send_response(206)
        handler.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
    else:
        handler.send_response(200)
    if fault.no_length:
        handler.send_header("Connection", "close")
    else:
        handler.send_header("Content-Length", str(len(body) - start))
    handler.end_headers()
    try:
        handler.wfile.write(body[start:][: fault.cut])
    except ConnectionError:  # the client has seen enough
        handler.close_connection = True
    if fault.cut is not None or fault.no_length:
        handler.close_connection = True


def refuse(handler: BaseHTTPRequestHandler, status: int, location: str | None = None) -> None:
    handler.send_response(status)
    handler.send_header("Content-Length", "0")
    if location:
        handler.send_header("Location", location)
    handler.end_headers()


def deaf_port() -> int:
    """A port of 127.0.0.1 at which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
