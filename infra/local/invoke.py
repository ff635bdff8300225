"""Calls a handler of the template as Lambda would: JSON in, JSON out, a context beside it."""

from __future__ import annotations

import importlib
import json
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

Handler = Callable[[Any, Any], Any]

#: what ``get_remaining_time_in_millis`` counts down from
TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True)
class Context:
    """Lambda's context object, as far as it means anything here."""

    function_name: str
    aws_request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    function_version: str = "$LATEST"
    memory_limit_in_mb: int = 512
    deadline: float = field(default_factory=lambda: time.monotonic() + TIMEOUT_SECONDS)

    @property
    def invoked_function_arn(self) -> str:
        """An ARN of the right shape."""
        return f"arn:aws:lambda:us-east-1:000000000000:function:{self.function_name}"

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until Lambda would give up on the call."""
        return max(int((self.deadline - time.monotonic()) * 1000), 0)


class Functions:
    """The handlers, by the path that the template gives them; each one handles one event at a time.

    One at a time because Chalice keeps the request under way in its application object, and because that is how
    a single Lambda environment works.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._executors: dict[str, ThreadPoolExecutor] = {}
        #: set by every call but those of routine: whoever polls for consequences looks more often for a while
        self.activity = threading.Event()

    def submit(self, path: str, event: Any, *, routine: bool = False) -> Future[Any]:
        """Queue a call of the handler at ``package.module.name``."""
        if not routine:
            self.activity.set()
        with self._lock:
            if path not in self._executors:
                self._executors[path] = ThreadPoolExecutor(1, thread_name_prefix=path.rpartition(".")[2])
            return self._executors[path].submit(self._call, path, event)

    def invoke(self, path: str, event: Any, *, routine: bool = False) -> Any:
        """Call the handler and wait; what it raises is raised here."""
        return self.submit(path, event, routine=routine).result()

    def stop(self) -> None:
        """Drop the calls that have not begun, wait for those that have."""
        with self._lock:
            for executor in self._executors.values():
                executor.shutdown(wait=True, cancel_futures=True)

    def _call(self, path: str, event: Any) -> Any:
        # To JSON and back, so that nothing passes here that could not pass through Lambda.
        given = json.loads(json.dumps(event))
        answer = load(path)(given, Context(path.rpartition(".")[2]))
        return json.loads(json.dumps(answer))


def load(path: str) -> Handler:
    """The handler at ``package.module.name``."""
    module, _, name = path.rpartition(".")
    handler: Handler = getattr(importlib.import_module(module), name)
    return handler
