"""Scale-in protection: on before a message is received, off while idle, and what a refusal leads to."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest

import gpu_container.protection
import gpu_container.worker
from gpu_container.protection import (
    EXPIRES_MINUTES,
    IDLE_SECONDS,
    LONGEST_SECONDS,
    PATIENCE_SECONDS,
    REST_SECONDS,
    Protection,
)
from gpu_container.worker import Worker
from infra.attempt import Pipeline
from infra.clients import client
from tests.cloud import ecs_agent, stand_in
from tests.cloud.conftest import Clock, Cloud
from tests.cloud.ecs_agent import Agent
from tests.cloud.test_protocol_worker import nothing_left, until, waiting

ON = {"ProtectionEnabled": True, "ExpiresInMinutes": EXPIRES_MINUTES}
OFF = {"ProtectionEnabled": False}


@pytest.fixture
def agent() -> Iterator[Agent]:
    with ecs_agent.ecs_agent() as agent:
        yield agent


@pytest.fixture
def protection(agent: Agent, clock: Clock) -> Protection:
    return Protection(agent.uri, clock=clock)


class TestProtection:
    def test_outside_of_ecs_is_nobodys_business(self) -> None:
        protection = Protection(None)
        assert protection.ready()
        protection.renew()
        protection.idle()
        protection.release()

    def test_is_asked_for_once_and_then_held(self, agent: Agent, protection: Protection) -> None:
        assert all(protection.ready() for _ in range(5))
        assert agent.requests == [ON]

    def test_of_a_worker_that_waits_in_vain_is_let_go_and_taken_again_after_a_rest(
        self, agent: Agent, protection: Protection, clock: Clock
    ) -> None:
        assert protection.ready()
        clock.advance(IDLE_SECONDS - 0.1)
        protection.idle()
        assert agent.protected
        clock.advance(0.1)
        protection.idle()
        assert not agent.protected
        clock.advance(REST_SECONDS - 0.1)
        assert not protection.ready()
        assert agent.requests == [ON, OFF]
        clock.advance(0.2)
        assert protection.ready()
        assert agent.requests == [ON, OFF, ON]

    def test_of_an_idle_worker_asks_the_agent_seldom_and_leaves_it_free_a_fifth_of_the_time(
        self, agent: Agent, protection: Protection, clock: Clock
    ) -> None:
        begin, free = clock.now, 0.0
        while clock.now < begin + 3600:
            pause = 0.1
            if protection.ready():
                pause = 3.0
                clock.advance(pause)
                protection.idle()
            else:
                clock.advance(pause)
            free += pause * (not agent.protected)
        assert len(agent.requests) <= 2 * 3600 / (IDLE_SECONDS + REST_SECONDS)
        assert free / 3600 > 0.2

    def test_of_a_long_job_never_lapses_and_is_renewed_every_few_minutes(
        self, agent: Agent, protection: Protection, clock: Clock
    ) -> None:
        expires = [0.0]

        def watch(wanted: dict[str, Any]) -> None:
            expires[0] = clock.now + wanted["ExpiresInMinutes"] * 60

        agent.watch = watch
        assert protection.ready()
        for _ in range(3600):
            clock.advance(1.0)
            protection.renew()
            assert clock.now < expires[0] - EXPIRES_MINUTES * 30
        assert agent.requests == [ON] * (1 + 3600 // (EXPIRES_MINUTES * 30))

    def test_after_a_long_job_goes_with_the_first_receive_that_brings_nothing(
        self, agent: Agent, protection: Protection, clock: Clock
    ) -> None:
        assert protection.ready()
        clock.advance(120)
        protection.renew()
        assert protection.ready()
        protection.idle()
        assert not agent.protected

    def test_is_released_once(self, agent: Agent, protection: Protection) -> None:
        protection.release()
        assert agent.requests == []
        assert protection.ready()
        protection.release()
        protection.release()
        assert agent.requests == [ON, OFF]


REFUSALS = {
    "DEPLOYMENT_BLOCKED": ecs_agent.BLOCKED,
    "AccessDeniedException, User is not authorized": ecs_agent.DENIED,
    "ThrottlingException, Rate exceeded": ecs_agent.THROTTLED,
    "ResourceNotFoundException": ecs_agent.UNKNOWN_TASK,
    "Timed out calling ECS": ecs_agent.TIMED_OUT,
    "maximum request limit": ecs_agent.TOO_MANY,
    "status 200": ecs_agent.UNPROTECTED,
    "its answer has status 200": ecs_agent.EMPTY,
    "[]": ecs_agent.A_LIST,
}


class TestARefusal:
    @pytest.mark.parametrize(("reason", "answer"), REFUSALS.items())
    def test_is_told_with_its_reason_and_no_message_may_be_received(
        self,
        agent: Agent,
        protection: Protection,
        caplog: pytest.LogCaptureFixture,
        reason: str,
        answer: ecs_agent.Answer,
    ) -> None:
        agent.answer = answer
        assert not protection.ready()
        (record,) = caplog.records
        assert record.levelno == logging.WARNING
        assert reason in record.getMessage()
        assert "no further job is taken for now" in record.getMessage()

    def test_is_followed_by_further_requests_ever_more_seldom(
        self, agent: Agent, protection: Protection, clock: Clock
    ) -> None:
        agent.answer = ecs_agent.THROTTLED
        begin, asked_at = clock.now, []
        agent.watch = lambda wanted: asked_at.append(clock.now - begin)
        while clock.now < begin + 600:
            protection.ready()
            clock.advance(0.1)
        pauses = [later - earlier for earlier, later in pairwise(asked_at)]
        assert [round(pause) for pause in pauses[:4]] == [5, 10, 20, 40]
        assert all(pause == pytest.approx(LONGEST_SECONDS, abs=0.2) for pause in pauses[4:])

    def test_that_lasts_does_not_stop_the_work_for_ever(
        self, agent: Agent, protection: Protection, clock: Clock, caplog: pytest.LogCaptureFixture
    ) -> None:
        agent.answer = ecs_agent.DENIED
        begin = clock.now
        while not protection.ready():
            clock.advance(0.5)
        assert clock.now - begin == pytest.approx(PATIENCE_SECONDS, abs=1.0)
        for _ in range(600):  # receives that bring nothing must not keep it from asking again
            protection.idle()
            clock.advance(3.0)
            assert protection.ready()
        assert len(agent.requests) > 20
        assert "going on without" in caplog.records[-1].getMessage()

    def test_that_ends_is_forgotten(self, agent: Agent, protection: Protection, clock: Clock) -> None:
        agent.answer = ecs_agent.BLOCKED
        assert not protection.ready()
        agent.answer = None
        assert not protection.ready(), "not before its time"
        clock.advance(5.1)
        assert protection.ready()
        assert agent.protected
        clock.advance(IDLE_SECONDS)
        protection.idle()
        agent.answer = ecs_agent.BLOCKED
        clock.advance(REST_SECONDS + 0.1)
        assert not protection.ready(), "a new refusal is met with new patience"

    def test_of_a_renewal_leaves_what_was_granted(
        self, agent: Agent, protection: Protection, clock: Clock, caplog: pytest.LogCaptureFixture
    ) -> None:
        assert protection.ready()
        agent.answer = ecs_agent.THROTTLED
        clock.advance(EXPIRES_MINUTES * 30 + 1)
        protection.renew()
        assert "still protected for a while" in caplog.text
        assert protection.ready()
        agent.answer = None
        clock.advance(6)
        protection.renew()
        assert len(agent.requests) == 3

    def test_to_let_go_is_told_and_does_not_shorten_the_rest(
        self, agent: Agent, protection: Protection, clock: Clock, caplog: pytest.LogCaptureFixture
    ) -> None:
        assert protection.ready()
        agent.answer = ecs_agent.THROTTLED
        clock.advance(IDLE_SECONDS)
        protection.idle()
        assert f"by itself in {EXPIRES_MINUTES} minutes" in caplog.text
        assert not protection.ready()

    def test_by_an_agent_that_is_gone_is_one_like_any_other(
        self, clock: Clock, caplog: pytest.LogCaptureFixture
    ) -> None:
        with socket.socket() as nobody:  # bound, but nobody listens
            nobody.bind(("127.0.0.1", 0))
            uri = f"http://127.0.0.1:{nobody.getsockname()[1]}/api/123-abc"
            assert not Protection(uri, clock=clock).ready()
        assert "The ECS agent does not answer" in caplog.text

    def test_by_an_agent_that_takes_too_long_is_one_like_any_other(
        self,
        agent: Agent,
        protection: Protection,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        monkeypatch.setattr(gpu_container.protection, "TIMEOUT_SECONDS", 0.1)
        agent.delay = 1.0
        assert not protection.ready()
        assert "The ECS agent does not answer: timed out" in caplog.text

    def test_by_an_agent_that_hangs_up_is_one_like_any_other(
        self, clock: Clock, caplog: pytest.LogCaptureFixture
    ) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            hanging_up = threading.Thread(target=lambda: server.accept()[0].close())
            hanging_up.start()
            uri = f"http://127.0.0.1:{server.getsockname()[1]}/api/123-abc"
            assert not Protection(uri, clock=clock).ready()
            hanging_up.join()
        assert "The ECS agent does not answer" in caplog.text

    def test_is_not_asked_of_a_proxy(self, agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, "http://127.0.0.1:9")
        assert Protection(agent.uri).ready()


class TestAWorker:
    @pytest.fixture(autouse=True)
    def _in_short(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(gpu_container.worker, "RECEIVE_SECONDS", 1)
        monkeypatch.setattr(gpu_container.protection, "IDLE_SECONDS", 0.3)
        monkeypatch.setattr(gpu_container.protection, "REST_SECONDS", 0.3)
        monkeypatch.setattr(gpu_container.protection, "ASK_AGAIN_SECONDS", 0.1)

    def worker(self, cloud: Cloud, agent: Agent, pipeline: Pipeline = stand_in.quick) -> Worker:
        return Worker(
            pipeline,
            cloud.table,
            cloud.queue,
            cloud.settings.artifact_bucket,
            lease_seconds=30.0,
            deadline_seconds=60.0,
            protection=Protection(agent.uri),
        )

    def test_is_protected_from_before_it_receives_until_after_it_has_finished(
        self, cloud: Cloud, agent: Agent, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        steps: list[str] = []
        agent.watch = lambda wanted: steps.append("on" if wanted["ProtectionEnabled"] else "off")
        sqs = client("sqs")
        for name in ("receive_message", "delete_message"):
            monkeypatch.setattr(sqs, name, noted(steps, name, getattr(sqs, name)))
        waiting(cloud)
        one = self.worker(cloud, agent)
        one.serve_one()
        assert steps == ["on", "receive_message", "delete_message"]
        one.serve_one()
        assert steps[3:] == ["receive_message", "off"], "and then it is free"

    def test_can_never_be_ended_with_a_message_in_its_hands(self, cloud: Cloud, agent: Agent) -> None:
        """Whenever ECS could choose it, whatever arrives at whatever moment: it holds nothing."""
        one = self.worker(cloud, agent)
        thread = threading.Thread(target=one.serve)
        thread.start()
        looks = 0
        try:
            for number in range(6):
                waiting(cloud, f"job-{number}")
                while not cloud.table.get(f"job-{number}").terminal or agent.protected:
                    with agent.lock:  # it cannot be protected while we look
                        if not agent.protected:
                            looks += 1
                            assert cloud.hidden_messages() == 0
                            assert [job for job in cloud.jobs() if job.status == "running"] == []
        finally:
            one.stop()
            thread.join()
        assert looks > 6
        assert {job.status for job in cloud.jobs()} == {"succeeded"}
        assert nothing_left(cloud)

    def test_that_is_refused_leaves_the_messages_to_others_until_it_is_not(
        self, cloud: Cloud, agent: Agent
    ) -> None:
        agent.answer = ecs_agent.BLOCKED
        waiting(cloud)
        one = self.worker(cloud, agent)
        for _ in range(5):
            one.serve_one()
        assert (cloud.visible_messages(), cloud.table.get("job").status) == (1, "queued")
        agent.answer = None
        until(lambda: one.serve_one() or cloud.table.get("job").terminal)
        assert cloud.table.get("job").status == "succeeded"

    def test_that_is_refused_for_long_works_all_the_same(
        self, cloud: Cloud, agent: Agent, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(gpu_container.protection, "PATIENCE_SECONDS", 0.5)
        agent.answer = ecs_agent.DENIED
        waiting(cloud)
        one = self.worker(cloud, agent)
        until(lambda: one.serve_one() or cloud.table.get("job").terminal)
        assert cloud.table.get("job").status == "succeeded"

    def test_told_to_go_gives_its_protection_back_after_its_job(self, cloud: Cloud, agent: Agent) -> None:
        waiting(cloud)
        standing: list[str] = []

        def watch(wanted: dict[str, Any]) -> None:
            if not wanted["ProtectionEnabled"]:
                standing.append(cloud.table.get("job").status)

        agent.watch = watch
        one = self.worker(cloud, agent, stand_in.slow)
        thread = threading.Thread(target=one.serve)
        thread.start()
        until(lambda: cloud.table.get("job").status == "running")
        one.stop()
        thread.join()
        assert standing == ["queued"]
        assert not agent.protected


def noted(steps: list[str], name: str, call: Any) -> Any:
    """``call``, noted in ``steps`` when it begins."""

    def note(**given: Any) -> Any:
        steps.append(name)
        return call(**given)

    return note
