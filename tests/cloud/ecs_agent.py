"""The task protection endpoint of the ECS agent, as a worker sees it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TASK = "arn:aws:ecs:eu-west-1:123456789012:task/maquette/1234567890abcdef0"

#: an answer: status, body
Answer = tuple[int, bytes]


def _json(status: int, **body: Any) -> Answer:
    return status, json.dumps(body).encode()


#: answers in the forms that the agent gives them
BLOCKED = _json(200, failure={"Arn": TASK, "Detail": None, "Reason": "DEPLOYMENT_BLOCKED"})
DENIED = _json(
    400,
    requestID="88afd974-d9ba-48b3-9c2c-76f764fa848d",
    error={"Arn": TASK, "Code": "AccessDeniedException", "Message": "User is not authorized."},
)
THROTTLED = _json(
    400, requestID="12345-abc", error={"Arn": TASK, "Code": "ThrottlingException", "Message": "Rate exceeded"}
)
UNKNOWN_TASK = _json(404, error={"Code": "ResourceNotFoundException", "Message": "Failed to find a task."})
TIMED_OUT = _json(
    504, error={"Arn": TASK, "Code": "RequestCanceled", "Message": "Timed out calling ECS Task Protection API"}
)
TOO_MANY = (429, b"You have reached maximum request limit.")
UNPROTECTED = _json(200, protection={"ExpirationDate": None, "ProtectionEnabled": False, "TaskArn": TASK})
EMPTY = (200, b"")
A_LIST = (200, b"[]")


@dataclass
class Agent:
    """Grants what it is asked for, unless :attr:`answer` says otherwise."""

    uri: str
    answer: Answer | None = None
    #: seconds that it takes its time
    delay: float = 0.0
    protected: bool = False
    #: bodies of the requests, in order
    requests: list[dict[str, Any]] = field(default_factory=list)
    #: called at every request, before it is answered
    watch: Callable[[dict[str, Any]], None] = lambda wanted: None
    #: held while protection changes
    lock: threading.Lock = field(default_factory=threading.Lock)

    def handle(self, path: str, wanted: dict[str, Any]) -> Answer:
        self.requests.append(wanted)
        self.watch(wanted)
        time.sleep(self.delay)
        if not path.endswith("/api/123-abc/task-protection/v1/state"):
            return 404, b"404 page not found"
        if self.answer is not None:
            return self.answer
        with self.lock:
            self.protected = wanted["ProtectionEnabled"]
        expires = "2030-01-01T00:00:00.000Z" if self.protected else None
        return _json(
            200,
            protection={"ExpirationDate": expires, "ProtectionEnabled": self.protected, "TaskArn": TASK},
        )


@contextmanager
def ecs_agent() -> Iterator[Agent]:
    """One that listens on this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            assert self.headers["Content-Type"] == "application/json"
            wanted = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, body = agent.handle(self.path, wanted)
            try:
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            except ConnectionError:
                pass  # the worker has not waited

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        agent = Agent(f"http://127.0.0.1:{server.server_port}/api/123-abc")
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield agent
        finally:
            server.shutdown()
            thread.join()
