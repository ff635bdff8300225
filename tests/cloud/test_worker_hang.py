"""A worker told to go while AWS does not answer: a connection that falls silent, and a service that does."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from gpu_container.worker import STOP_SECONDS
from tests.cloud.conftest import Cloud
from tests.cloud.test_protocol_worker import until, waiting

ROOT = Path(__file__).parents[2]


class Line:
    """A wire to an address, which can fall silent: it takes what is sent and brings nothing back."""

    def __init__(self, host: str, port: int) -> None:
        self._there = (host, port)
        self._server = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        #: connections that fall silent from now on, each at its next word; None: all
        self.silences: int | None = 0
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.getsockname()[1]}"

    def close(self) -> None:
        self._server.close()
        for connection in self._open:
            connection.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                here, _ = self._server.accept()
                there = socket.create_connection(self._there)
                self._open += [here, there]
                threading.Thread(target=self._carry, args=(here, there, True), daemon=True).start()
                threading.Thread(target=self._carry, args=(there, here, False), daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket, asking: bool) -> None:
        with suppress(OSError):
            while said := source.recv(1 << 16):
                if asking and self._falls_silent():
                    return  # open still, as a connection is whose other end has lost its power
                target.sendall(said)
            target.shutdown(socket.SHUT_WR)

    def _falls_silent(self) -> bool:
        with self._lock:
            if self.silences is None:
                return True
            if self.silences:
                self.silences -= 1
                return True
        return False


@pytest.fixture
def line(cloud: Cloud) -> Iterator[Line]:
    host, _, port = cloud.environment["AWS_ENDPOINT_URL"].removeprefix("http://").partition(":")
    line = Line(host, int(port))
    yield line
    line.close()


@pytest.fixture
def start(cloud: Cloud, line: Line, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    started: list[subprocess.Popen[bytes]] = []

    def start(*arguments: str) -> subprocess.Popen[bytes]:
        environment = {"PATH": os.environ["PATH"], "TMPDIR": str(tmp_path), "HOME": str(tmp_path / "home")}
        environment |= cloud.environment | {"AWS_ENDPOINT_URL_DYNAMODB": line.url}
        command = [sys.executable, "-m", "tests.cloud.stand_in", *arguments]
        started.append(subprocess.Popen(command, cwd=ROOT, env=environment))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def test_a_job_is_handed_back_though_a_connection_falls_silent_in_the_middle_of_it(
    cloud: Cloud, line: Line, start: Callable[..., subprocess.Popen[bytes]]
) -> None:
    waiting(cloud)
    worker = start("silent")
    until(lambda: cloud.table.get("job").stage is not None)
    line.silences = 1
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(timeout=STOP_SECONDS) == 0
    assert line.silences == 0
    job = cloud.table.get("job")
    assert (job.status, job.attempt, job.attempt_limit) == ("queued", 1, 4)
    assert cloud.messages() == [{"job_id": "job"}]


def test_a_worker_goes_in_time_though_the_table_never_answers_and_leaves_the_job_to_its_lease(
    cloud: Cloud, line: Line, start: Callable[..., subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    waiting(cloud)
    worker = start("silent", "4")
    until(lambda: cloud.table.get("job").stage is not None)
    line.silences = None
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(timeout=20) == 0
    assert list(tmp_path.glob("maquette-*")) == []
    assert (cloud.table.get("job").status, cloud.table.get("job").attempt) == ("running", 1)
    assert cloud.hidden_messages() == 1
