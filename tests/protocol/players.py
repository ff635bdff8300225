"""A queue that does all that SQS may do, and a process that may end between any two of its calls."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from infra.queue import Message

#: receptions after which a message is set aside, as the template has it
MOST_RECEIVES = 3


class Died(BaseException):
    """The process has ended here; no ``except Exception`` of it can tell."""


@dataclass
class Letter:
    """A message in the queue."""

    body: str
    receives: int = 0
    hidden_until: float = 0.0
    receipt: str = ""


class Queue:
    """What :class:`infra.queue.JobQueue` is to its users. It keeps no order, and others may double or lose."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._receipts = itertools.count()
        self.letters: list[Letter] = []
        self.set_aside: list[str] = []

    def send(self, job_id: str) -> None:
        self.letters.append(Letter(json.dumps({"job_id": job_id})))

    def receive(self, which: int, hidden_seconds: float) -> Message | None:
        """Any of those that can be seen."""
        visible = [letter for letter in self.letters if letter.hidden_until <= self._clock()]
        for worn in [letter for letter in visible if letter.receives >= MOST_RECEIVES]:
            visible.remove(worn)
            self.letters.remove(worn)
            self.set_aside.append(worn.body)
        if not visible:
            return None
        letter = visible[which % len(visible)]
        letter.receives += 1
        letter.hidden_until = self._clock() + hidden_seconds
        letter.receipt = str(next(self._receipts))
        return Message(letter.body, letter.receipt)

    def hide(self, message: Message, seconds: float) -> None:
        for letter in self.letters:
            if letter.receipt == message.receipt:
                letter.hidden_until = self._clock() + max(0.0, seconds)

    def delete(self, message: Message) -> None:
        self.letters = [letter for letter in self.letters if letter.receipt != message.receipt]

    def speaks_of(self, job_id: str) -> bool:
        return any(json.loads(letter.body)["job_id"] == job_id for letter in self.letters)


class Fuse:
    """How long a process lives: so many half-calls, the first half before anything is done. None: for ever."""

    def __init__(self) -> None:
        self.left: int | None = None

    def burn(self) -> None:
        if self.left is None:
            return
        if self.left <= 0:
            self.left = None
            raise Died
        self.left -= 1


class Mortal:
    """``whole``, but that the process that calls it may end before or after each call."""

    def __init__(self, whole: Any, fuse: Fuse) -> None:
        self._whole = whole
        self._fuse = fuse

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._whole, name)
        if not callable(found) or name == "clock":
            return found

        def call(*given: Any, **named: Any) -> Any:
            self._fuse.burn()
            answer = found(*given, **named)
            self._fuse.burn()
            return answer

        return call
