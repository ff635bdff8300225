"""Scale-in protection: while this task may hold a job, ECS ends another one, or none.

Protection comes before a message does, so there is no moment at which ECS could choose a task that has just
received one::

    take it ──▶ receive, receive, … ──▶ nothing came for a while ──▶ let go ──▶ rest ──┐
       ▲            │ a job: keep it, renew it every few minutes                       │
       └────────────┴──────────────────────────────────────────────────────────────────┘

A task that is never without it could never be ended: therefore the rest, in which nothing is received. ECS may
choose the task then; and where the service already has as many protected tasks as it wants, ECS refuses to give
it back (``DEPLOYMENT_BLOCKED``), which leaves the task free to be chosen. An idle worker makes two calls in
twenty seconds, a busy one a call in five minutes. Protection that is not renewed ends by itself, so none stays
behind when a worker could not give it back.

A worker that is refused receives nothing for a minute, while it asks again: most likely it is to go, or ECS is
out of breath. Then it works unprotected, and goes on asking. Otherwise a missing permission would stop every
worker while photos wait, and what an unprotected one risks is little: told to go in mid-job, it hands the job
back, which costs the time spent on it and no attempt.

Reference: Amazon ECS Developer Guide, "Amazon ECS task scale-in protection endpoint". The agent calls
``ecs:UpdateTaskProtection`` with the role of the task, and gives that four seconds.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import urlsplit

from infra.errors import MachineError

log = logging.getLogger(__name__)

#: Protection is asked for this long, minutes, and renewed when half of it is over.
EXPIRES_MINUTES = 10
#: A worker that holds it lets go after so many seconds without a message,
IDLE_SECONDS = 15.0
#: and is free to be ended for so long, before it takes protection again.
REST_SECONDS = 5.0
#: A refused worker asks again after so many seconds, doubled each time up to the second number.
ASK_AGAIN_SECONDS, LONGEST_SECONDS = 5.0, 60.0
#: So long it receives nothing for want of protection.
PATIENCE_SECONDS = 60.0
#: The agent's own limit and a second for the way.
TIMEOUT_SECONDS = 5.0


class Protection:
    """Scale-in protection of the task that this process runs in.

    ``agent_uri`` is ``ECS_AGENT_URI``; None outside of ECS, where nobody scales and every call does nothing.
    ``clock`` gives seconds, from wherever it likes.
    """

    def __init__(self, agent_uri: str | None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._agent_uri = agent_uri
        self._clock = clock
        self._taken_at = self._held_until = float("-inf")
        self._ask_at = float("-inf")
        self._refused_since: float | None = None
        self._refusals = 0

    def ready(self) -> bool:
        """Whether a message may be received now. Takes protection where there is none, if it is time to."""
        self.renew()
        if self._agent_uri is None or self._clock() < self._held_until:
            return True
        return self._refused_since is not None and self._clock() - self._refused_since >= PATIENCE_SECONDS

    def renew(self) -> None:
        """Take or renew it, if it is time to; call this often. Trouble is logged, and a reason to ask again."""
        now = self._clock()
        if self._agent_uri is None or now < self._ask_at or now < self._held_until - EXPIRES_MINUTES * 30:
            return
        try:
            _put(self._agent_uri, {"ProtectionEnabled": True, "ExpiresInMinutes": EXPIRES_MINUTES})
        except MachineError as error:
            self._refused(now, error)
            return
        if self._refused_since is not None:
            log.info("protected from scale-in again")
        if now >= self._held_until:
            self._taken_at = now
        self._held_until = now + EXPIRES_MINUTES * 60
        self._refused_since, self._refusals = None, 0

    def idle(self) -> None:
        """Nothing came. Lets go if it has been held for a while, so that ECS may end this task if it wants."""
        now = self._clock()
        if now < self._held_until and now - self._taken_at >= IDLE_SECONDS:
            self.release()
            self._ask_at = self._clock() + REST_SECONDS

    def release(self) -> None:
        """Let go, if it is held. If ECS cannot be told, it learns by the clock."""
        if self._agent_uri is None or self._clock() >= self._held_until:
            return
        self._held_until = float("-inf")
        try:
            _put(self._agent_uri, {"ProtectionEnabled": False})
        except MachineError as error:
            log.warning("%s It ends by itself in %d minutes at the latest.", error.message, EXPIRES_MINUTES)

    def _refused(self, now: float, error: MachineError) -> None:
        if self._refused_since is None:
            self._refused_since = now
        pause = min(ASK_AGAIN_SECONDS * 2**self._refusals, LONGEST_SECONDS)
        self._refusals += 1
        self._ask_at = self._clock() + pause
        if now < self._held_until:
            state = "still protected for a while"
        elif now - self._refused_since < PATIENCE_SECONDS:
            state = "no further job is taken for now"
        else:
            state = "going on without"
        log.warning("%s Asking again in %.0f s; %s.", error.message, pause, state)


def _put(agent_uri: str, wanted: dict[str, Any]) -> None:
    """One request to the agent. Raises :class:`MachineError` unless the answer says that it is as wanted."""
    address = urlsplit(f"{agent_uri}/task-protection/v1/state")
    # No urllib.request: it would ask a proxy, where the environment names one.
    connection = HTTPConnection(address.netloc, timeout=TIMEOUT_SECONDS)
    try:
        connection.request("PUT", address.path, json.dumps(wanted), {"Content-Type": "application/json"})
        response = connection.getresponse()
        status, body = response.status, response.read(1 << 16)
    except (OSError, HTTPException) as error:
        raise MachineError(f"The ECS agent does not answer: {error or type(error).__name__}.") from error
    finally:
        connection.close()
    reason = _refusal(status, body, wanted["ProtectionEnabled"])
    if reason is not None:
        action = "protect this task" if wanted["ProtectionEnabled"] else "end this task's protection"
        raise MachineError(f"ECS does not {action}: {reason}.")


def _refusal(status: int, body: bytes, wanted: bool) -> str | None:
    """Why an answer is none that was hoped for; None when it is.

    Three forms are known: ``protection``; ``failure``, with status 200 too: ECS would not; ``error``: it could
    not be asked. The agent's own rate limit answers in plain text.
    """
    try:
        answer = json.loads(body)
        if status == 200 and answer.get("protection", {}).get("ProtectionEnabled") is wanted:
            return None
        failure, error = answer.get("failure", {}), answer.get("error", {})
        said = [failure.get("Reason"), failure.get("Detail"), error.get("Code"), error.get("Message")]
    except (ValueError, AttributeError):
        said = [body.decode(errors="replace")[:200].strip()]
    return ", ".join(str(part).rstrip(".") for part in said if part) or f"its answer has status {status}"
