"""SIGTERM as the first process of a container hears it, which gets no signal that it has no handler for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cloud.conftest import Cloud
from tests.cloud.ecs_agent import ecs_agent
from tests.cloud.test_protocol_worker import until, waiting

ROOT = Path(__file__).parents[2]
#: runs a command as process 1 of a namespace of its own
FIRST = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc", "--kill-child"]


def _has_namespaces() -> bool:
    try:
        answer = subprocess.run([*FIRST, "sh", "-c", "echo $$"], capture_output=True, text=True)
    except OSError:
        return False
    return answer.stdout == "1\n"


pytestmark = pytest.mark.skipif(
    not _has_namespaces(), reason="this system gives nobody a process 1 of their own"
)


class First:
    """A command that runs as process 1, and what there is to know of it."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self._outside = subprocess.Popen([*FIRST, *command], cwd=ROOT, env=environment)
        children = Path(f"/proc/{self._outside.pid}/task/{self._outside.pid}/children")
        until(lambda: children.read_text().split())
        self.pid = int(children.read_text().split()[0])

    @property
    def hears_sigterm(self) -> bool:
        """Whether it has a handler for it."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        caught = next(line for line in status.splitlines() if line.startswith("SigCgt:"))
        return bool(int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1)

    def terminate(self) -> None:
        os.kill(self.pid, signal.SIGTERM)

    def wait(self) -> int:
        """Its exit status; ECS would kill it after a minute."""
        return self._outside.wait(timeout=60)

    def kill(self) -> None:
        self._outside.kill()  # and with it, by --kill-child, all the others
        self._outside.wait()


@pytest.fixture
def start(cloud: Cloud, tmp_path: Path) -> Iterator[Callable[..., First]]:
    started: list[First] = []

    def start(module: str, *arguments: str, **variables: str) -> First:
        environment = {"PATH": os.environ["PATH"], "TMPDIR": str(tmp_path), "HOME": str(tmp_path / "home")}
        command = [sys.executable, "-m", module, *arguments]
        first = First(command, environment | cloud.environment | variables)
        started.append(first)
        return first

    yield start
    for first in started:
        first.kill()


def test_process_1_does_not_hear_a_signal_that_it_has_no_handler_for(start: Callable[..., First]) -> None:
    """What the others here would pass for nothing without."""
    first = start("http.server", "--bind", "127.0.0.1", "0")
    until(lambda: not first.hears_sigterm)
    first.terminate()
    time.sleep(0.5)
    assert Path(f"/proc/{first.pid}").exists()


@pytest.mark.parametrize("moment", ["at once", "while it loads", "while it warms up"])
def test_a_worker_told_to_go_before_it_is_ready_goes_and_leaves_everything_as_it_was(
    cloud: Cloud, start: Callable[..., First], tmp_path: Path, moment: str
) -> None:
    waiting(cloud)
    first = start("gpu_container.worker")
    until(lambda: first.hears_sigterm)
    if moment != "at once":
        until(lambda: list(tmp_path.glob("maquette-*")))
    if moment == "while it warms up":
        until(lambda: list(tmp_path.glob("maquette-*/*")))  # the first results of its trial run
    first.terminate()
    assert first.wait() == 0
    assert list(tmp_path.glob("maquette-*")) == []
    assert (cloud.table.get("job").status, cloud.table.get("job").attempt) == ("queued", 0)
    assert cloud.messages() == [{"job_id": "job"}]


@pytest.mark.parametrize("pipeline", ["slow", "silent"])
def test_a_worker_told_to_go_in_mid_job_hands_it_back_and_its_protection_after_it(
    cloud: Cloud, start: Callable[..., First], tmp_path: Path, pipeline: str
) -> None:
    waiting(cloud)
    with ecs_agent() as agent:
        first = start("tests.cloud.stand_in", pipeline, ECS_AGENT_URI=agent.uri)
        until(lambda: cloud.table.get("job").stage is not None)
        assert agent.protected
        standing: list[str] = []
        agent.watch = lambda wanted: standing.append(cloud.table.get("job").status)
        first.terminate()
        assert first.wait() == 0
        assert standing == ["queued"]
        assert agent.requests[-1] == {"ProtectionEnabled": False}
    job = cloud.table.get("job")
    assert (job.status, job.attempt, job.attempt_limit) == ("queued", 1, 4)
    assert cloud.messages() == [{"job_id": "job"}]
    assert list(tmp_path.glob("maquette-*")) == []


def test_a_worker_told_to_go_while_its_agent_does_not_answer_goes_all_the_same(
    cloud: Cloud, start: Callable[..., First]
) -> None:
    with ecs_agent() as agent:
        first = start("tests.cloud.stand_in", "quick", ECS_AGENT_URI=agent.uri)
        until(lambda: agent.protected)
        agent.delay = 3.0  # longer than a worker waits
        first.terminate()
        assert first.wait() == 0
