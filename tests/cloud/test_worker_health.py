"""Signs of life: given while the main thread moves, whatever the pipeline does, and looked at from outside."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import gpu_container.health
import gpu_container.worker
from gpu_container.health import BEAT_SECONDS, STUCK_SECONDS, Heartbeat, finding
from gpu_container.worker import Worker
from infra.attempt import Pipeline, Progress
from infra.options import Options
from tests.cloud import stand_in
from tests.cloud.conftest import Clock, Cloud
from tests.cloud.test_protocol_worker import until, waiting

ROOT = Path(__file__).parents[2]


def look(path: Path | None) -> tuple[int, str]:
    """``python -m gpu_container.health``, as the container's health check runs it."""
    given = {"PATH": os.environ["PATH"]} | ({"MAQUETTE_HEALTH_FILE": str(path)} if path else {})
    command = [sys.executable, "-m", "gpu_container.health"]
    answer = subprocess.run(command, cwd=ROOT, env=given, capture_output=True, text=True)
    assert answer.stderr == ""
    return answer.returncode, answer.stdout


class TestTheCheck:
    def test_finds_a_worker_well_that_has_just_given_a_sign(self, tmp_path: Path) -> None:
        sign = tmp_path / "alive"
        Heartbeat(sign).beat()
        assert look(sign) == (0, "")

    def test_finds_a_worker_not_ready_that_has_given_none(self, tmp_path: Path) -> None:
        status, said = look(tmp_path / "alive")
        assert (status, said.count("\n")) == (1, 1)
        assert said.startswith("The worker is not ready: there is no sign of life at")

    @pytest.mark.parametrize(("age", "well"), [(STUCK_SECONDS - 30, True), (STUCK_SECONDS + 1, False)])
    def test_finds_a_worker_stuck_whose_last_sign_is_old(self, tmp_path: Path, age: float, well: bool) -> None:
        sign = tmp_path / "alive"
        sign.touch()
        os.utime(sign, (time.time() - age,) * 2)
        assert (finding(sign) is None) == well
        if not well:
            assert look(sign) == (1, f"The worker's main thread has been stuck for {age:.0f} s.\n")

    def test_does_not_pretend_to_know_what_nobody_tells_it(self) -> None:
        status, said = look(None)
        assert status == 1
        assert "MAQUETTE_HEALTH_FILE is not set" in said

    def test_loads_nothing_heavy(self) -> None:
        program = "import gpu_container.health, sys; print(*{name.partition('.')[0] for name in sys.modules})"
        answer = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
        assert answer.returncode == 0, answer.stderr
        heavy = {"torch", "numpy", "numba", "boto3", "botocore", "PIL", "cv2", "urllib3"}
        assert heavy & set(answer.stdout.split()) == set()


class TestTheHeartbeat:
    def test_touches_its_file_now_and_then(self, tmp_path: Path, clock: Clock) -> None:
        sign, long_ago = tmp_path / "alive", 1_000_000_000
        heartbeat = Heartbeat(sign, clock=clock)
        heartbeat.beat()
        os.utime(sign, (long_ago, long_ago))
        clock.advance(BEAT_SECONDS - 0.1)
        heartbeat.beat()
        assert sign.stat().st_mtime == long_ago
        clock.advance(0.2)
        heartbeat.beat()
        assert finding(sign) is None

    def test_that_nobody_looks_at_is_none(self) -> None:
        Heartbeat(None).beat()

    def test_that_cannot_be_written_is_told_and_stops_nothing(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        Heartbeat(tmp_path / "nowhere" / "alive").beat()
        assert "no sign of life could be left" in caplog.text


class TestAWorker:
    @pytest.fixture(autouse=True)
    def _in_short(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(gpu_container.worker, "RECEIVE_SECONDS", 1)
        monkeypatch.setattr(gpu_container.health, "BEAT_SECONDS", 0.05)

    @pytest.fixture
    def sign(self, tmp_path: Path) -> Path:
        return tmp_path / "alive"

    def beats(self, sign: Path, seconds: float = 20.0) -> bool:
        """Whether a sign comes, after the last one was taken away."""
        sign.unlink(missing_ok=True)
        end = time.monotonic() + seconds
        while time.monotonic() < end and not sign.exists():
            time.sleep(0.02)
        return sign.exists()

    def worker(self, cloud: Cloud, sign: Path, pipeline: Pipeline, lease: float = 30.0) -> Worker:
        return Worker(
            pipeline,
            cloud.table,
            cloud.queue,
            cloud.settings.artifact_bucket,
            lease_seconds=lease,
            deadline_seconds=60.0,
            heartbeat=Heartbeat(sign),
        )

    def test_beats_while_its_pipeline_computes_and_while_it_is_idle(self, cloud: Cloud, sign: Path) -> None:
        begun, go_on = threading.Event(), threading.Event()

        def long(photo: bytes, filename: str, options: Options, folder: Path, progress: Progress) -> Any:
            begun.set()
            go_on.wait()
            return stand_in.quick(photo, filename, options, folder, progress)

        waiting(cloud)
        one = self.worker(cloud, sign, long)
        thread = threading.Thread(target=one.serve)
        thread.start()
        try:
            assert begun.wait(30)
            assert all(self.beats(sign) for _ in range(3))
            go_on.set()
            until(lambda: cloud.table.get("job").terminal)
            assert all(self.beats(sign) for _ in range(3))
        finally:
            go_on.set()
            one.stop()
            thread.join()

    def test_whose_main_thread_is_stuck_beats_no_more(
        self, cloud: Cloud, sign: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        stuck, go_on = threading.Event(), threading.Event()

        def hang(*_: object, **__: object) -> None:
            stuck.set()
            go_on.wait()

        monkeypatch.setattr("infra.queue.JobQueue.hide", hang)
        waiting(cloud)
        one = self.worker(cloud, sign, stand_in.slow, lease=0.5)
        thread = threading.Thread(target=one.serve)
        thread.start()
        try:
            assert stuck.wait(30)
            assert not self.beats(sign, seconds=1.5)
        finally:
            go_on.set()
            one.stop()
            thread.join()

    def test_that_cannot_get_at_its_queue_gives_no_sign(
        self, cloud: Cloud, sign: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tried = threading.Event()

        def refuse(*_: object, **__: object) -> None:
            tried.set()
            raise OSError("no way to the queue")

        with monkeypatch.context() as closed:
            closed.setattr("infra.queue.JobQueue.receive", refuse)
            one = self.worker(cloud, sign, stand_in.quick)
            thread = threading.Thread(target=one.serve)
            thread.start()
            assert tried.wait(30)
            assert not self.beats(sign, seconds=1.5)
        try:
            assert self.beats(sign), "once it can, it is well"
        finally:
            one.stop()
            thread.join()

    def test_process_that_stands_still_is_found_out(
        self, cloud: Cloud, sign: Path, start: Callable[..., subprocess.Popen[bytes]]
    ) -> None:
        process = start("silent", MAQUETTE_HEALTH_FILE=str(sign))
        until(sign.exists)
        assert look(sign) == (0, "")
        process.send_signal(signal.SIGSTOP)
        os.utime(sign, (time.time() - STUCK_SECONDS - 60,) * 2)
        status, said = look(sign)
        assert status == 1
        assert "stuck" in said
        process.send_signal(signal.SIGCONT)
        until(lambda: look(sign) == (0, ""))

    @pytest.fixture
    def start(self, cloud: Cloud, tmp_path: Path) -> Any:
        started: list[subprocess.Popen[bytes]] = []

        def start(pipeline: str, **variables: str) -> subprocess.Popen[bytes]:
            environment = {"PATH": os.environ["PATH"], "TMPDIR": str(tmp_path)}
            command = [sys.executable, "-m", "tests.cloud.stand_in", pipeline]
            process = subprocess.Popen(command, cwd=ROOT, env=environment | cloud.environment | variables)
            started.append(process)
            return process

        yield start
        for process in started:
            process.kill()
            process.wait()
