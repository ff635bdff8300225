"""Starting and ending: who is refused, who is told what, and that nobody stays behind."""

from __future__ import annotations

import os
import re
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from infra.errors import NotRunning
from infra.local.moto import MotoServer
from infra.local.state import DataFolder
from tests.cloud.machine import Machine, alive, clean_environment, command, machine, maquette, wait_for


@pytest.fixture(scope="module")
def idle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A cloud without workers, for those who only want it to be there."""
    with machine(tmp_path_factory.mktemp("idle"), "--workers", "0") as running:
        yield running


def test_a_second_cloud_on_the_same_data_folder_is_refused_in_one_sentence(idle: Machine) -> None:
    answer = maquette("up", "--port", "0", "--data", idle.data, "--workers", "0")
    assert answer.returncode == 2
    assert answer.stderr.startswith("already_running:")
    assert idle.running.url in answer.stderr
    assert "Traceback" not in answer.stderr
    assert idle.process.poll() is None


def test_a_taken_port_is_refused_in_one_sentence_and_leaves_no_lock(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        answer = maquette("up", "--port", str(other.getsockname()[1]), "--data", tmp_path / "data")
    assert answer.returncode == 2
    assert answer.stderr.startswith("port_taken:")
    assert "Traceback" not in answer.stderr
    with pytest.raises(NotRunning):
        DataFolder(tmp_path / "data").running()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has all of 127.0.0.0/8 at hand")
def test_everything_listens_on_loopback_alone(idle: Machine) -> None:
    for url in (idle.running.url, idle.running.endpoint_url):
        host, port = re.fullmatch(r"http://(.+):(\d+)", url).groups()  # type: ignore[union-attr]
        assert host == "127.0.0.1"
        with socket.socket() as elsewhere:  # a port that is bound to 127.0.0.1 only is free on 127.0.0.2
            elsewhere.bind(("127.0.0.2", int(port)))


def test_the_note_with_the_secret_is_for_its_owner_alone(idle: Machine) -> None:
    for name in ("cloud.json", "session-secret"):
        assert stat.S_IMODE((idle.data / name).stat().st_mode) == 0o600, name


def test_what_runs_where_is_printed(idle: Machine) -> None:
    wait_for(lambda: "Ctrl-C" in idle.output.read_text(), "the last line")
    text = idle.output.read_text()
    for expected in (idle.running.url, idle.running.socket_url, idle.running.endpoint_url):
        assert expected in text


def test_ctrl_c_ends_every_process_and_lets_go_of_the_folder(tmp_path: Path) -> None:
    with machine(tmp_path / "data", "--workers", "2") as running:
        children = wait_for(lambda: _at_least(3, running), "moto and two workers")
        assert running.interrupt() == 0, running.output.read_text()
        assert alive(children) == set()
        assert "Traceback" not in running.output.read_text()
    assert not (tmp_path / "data" / "cloud.json").exists()
    with pytest.raises(NotRunning):
        DataFolder(tmp_path / "data").running()


def test_no_process_outlives_a_killed_parent(tmp_path: Path) -> None:
    with machine(tmp_path / "data", "--workers", "1") as running:
        children = wait_for(lambda: _at_least(2, running), "moto and a worker")
        running.process.kill()
        running.process.wait()
        wait_for(lambda: not alive(children), "the end of the children", 15)
    # the system has let go of the lock, so the next one starts
    with machine(tmp_path / "data", "--workers", "0") as next_one:
        assert next_one.running.pid == next_one.process.pid


def test_the_cloud_ends_with_a_sentence_when_its_aws_is_gone(tmp_path: Path) -> None:
    with machine(tmp_path / "data", "--workers", "0") as running:
        (moto,) = running.descendants()
        os.kill(moto, signal.SIGKILL)
        assert running.process.wait(30) == 2
        text = running.output.read_text()
        assert "machine_not_ready: The AWS emulator has ended." in text
        assert "Traceback" not in text


def test_a_worker_that_dies_again_and_again_is_reported(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys\n"
        "if 'gpu_container.worker' in sys.orig_argv:\n"
        "    os.write(2, b'no legs to stand on')\n"
        "    os._exit(3)\n"
    )
    with machine(tmp_path / "data", PYTHONPATH=str(tmp_path)) as running:
        wait_for(lambda: "died 3 times in a row (status 3)" in running.output.read_text(), "a complaint")
        assert running.process.poll() is None
        assert "no legs to stand on" in (running.data / "logs" / "worker-1.log").read_text()


def test_missing_packages_are_named_with_the_way_to_get_them(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util as util\n"
        "find = util.find_spec\n"
        "util.find_spec = lambda name, *a: None if name == 'samtranslator' else find(name, *a)\n"
    )
    answer = subprocess.run(
        command("up", "--data", tmp_path / "data"),
        capture_output=True,
        text=True,
        env=clean_environment(PYTHONPATH=str(tmp_path)),
    )
    assert answer.returncode == 2
    assert answer.stderr.startswith("missing_dependency: These packages are missing: samtranslator.")
    assert "make setup" in answer.stderr


def _at_least(count: int, running: Machine) -> set[int] | None:
    found = running.descendants()
    return found if len(found) >= count else None


def test_a_given_endpoint_is_used_and_keeps_everything_from_one_cloud_to_the_next(tmp_path: Path) -> None:
    with MotoServer() as aws:
        flags = ("--workers", "0", "--endpoint-url", f"{aws.endpoint_url}/")
        with machine(tmp_path / "one", *flags) as first:
            assert first.running.endpoint_url == aws.endpoint_url
            assert first.descendants() == set()
            job = first.job(first.drop("inbox/waiting.png", b"photo"))
            assert job.status == "queued"
        with machine(tmp_path / "two", *flags) as second:
            assert [known.job_id for known in second.jobs("inbox/waiting.png")] == [job.job_id]


def test_an_endpoint_that_does_not_answer_is_a_sentence(tmp_path: Path) -> None:
    with socket.socket() as nobody:  # bound, but nobody listens
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        answer = maquette("up", "--port", "0", "--data", tmp_path / "data", "--endpoint-url", url)
    assert answer.returncode == 2
    assert answer.stderr.startswith(f"machine_not_ready: No AWS endpoint answers at {url}")
    assert "Traceback" not in answer.stderr


def test_whoever_opens_it_to_the_network_is_told_and_gets_links_that_work_from_there(tmp_path: Path) -> None:
    with machine(tmp_path / "data", "--workers", "0", "--host", "0.0.0.0") as running:
        wait_for(lambda: "open to the network" in running.output.read_text(), "the warning")
        name = running.running.url.removeprefix("http://").rpartition(":")[0]
        assert name != "0.0.0.0"
        assert httpx.get(f"{running.running.url}/config.json").json()["rest"] == running.running.url
        form = httpx.post(
            f"{running.running.url}/jobs",
            json={"filename": "a.png"},
            headers={
                "Authorization": f"Bearer {httpx.post(f'{running.running.url}/sessions').json()['token']}"
            },
        ).json()["upload"]
        assert form["url"].startswith(f"http://{name}:")
        assert httpx.post(form["url"], data=form["fields"], files={"file": ("a.png", b"-")}).is_success
