"""An AWS endpoint on this machine: moto's server as a process of its own.

    with MotoServer() as aws:
        boto3.client("s3", endpoint_url=aws.endpoint_url, region_name="us-east-1", …)

Its own process, because in a thread of ours it would halve the throughput of both. The child chooses a free
port and tells it on its standard output, so that no port is ever looked up first and lost before it is bound.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import select
import signal
import sys
import threading
import time
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any

from infra.errors import MachineError
from infra.local.keep import Keep
from infra.local.keeper import Keeper
from infra.local.neighbours import is_from_elsewhere, is_own_name
from infra.local.tether import Tethered
from infra.names import visible

#: seconds that the server may take until it answers; importing moto takes two of them on a busy machine
START_SECONDS = 60.0


class MotoServer:
    """A moto server on a free port; ends with :meth:`stop`, with the block, or with this process.

    ``log`` receives one line per request; without it they are dropped. Everything ends with the server, unless
    ``keep`` is a folder: see :mod:`infra.local.keep`.

    Raises:
        MachineError: the server did not start, or ``keep`` cannot be used.
    """

    def __init__(self, *, host: str = "127.0.0.1", log: Path | None = None, keep: Path | None = None) -> None:
        arguments = ["--host", host]
        if keep is not None:
            Keep(keep).close()  # here a folder that cannot be used is an error that somebody sees
            arguments += ["--keep", str(keep)]
        self._child = Tethered(__name__, arguments, environment=_environment(), log=log, read_output=True)
        try:
            self.port = self._read_port()
            self.endpoint_url = f"http://{host}:{self.port}"
            self._wait_until_healthy()
        except BaseException:
            self.stop()
            raise

    @property
    def running(self) -> bool:
        """Whether the process is still there."""
        return self._child.running

    @property
    def pid(self) -> int:
        """The server's process id."""
        return self._child.process.pid

    def stop(self) -> None:
        """End the server and everything it holds."""
        self._child.stop()

    def __enter__(self) -> MotoServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _read_port(self) -> int:
        output = self._child.process.stdout
        if output is None:
            raise MachineError("The AWS emulator was started without an output to read its port from.")
        ready, _, _ = select.select([output], [], [], START_SECONDS)
        line = output.readline().strip() if ready else b""
        if not line.isdigit():
            raise MachineError(
                "The AWS emulator (moto) did not start. See the log moto.log in the data folder."
            )
        return int(line)

    def _wait_until_healthy(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.running:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{self.endpoint_url}/moto-api/data.json", timeout=5).close()  # noqa: S310
                return
            time.sleep(0.05)
        raise MachineError(f"The AWS emulator (moto) does not answer on {self.endpoint_url}.")


def _environment() -> dict[str, str]:
    # moto looks at these itself: a proxy or endpoint of the user's would make it call out.
    unwanted = {"AWS_ENDPOINT_URL", "MOTO_PORT", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"}
    return {name: value for name, value in os.environ.items() if name not in unwanted}


def _one_write_at_a_time(application: Any) -> Any:
    """DynamoDB's requests one after another: moto checks a condition and writes in two steps."""
    lock = threading.Lock()

    def serve(environ: dict[str, Any], start_response: Any) -> Any:
        if not environ.get("HTTP_X_AMZ_TARGET", "").startswith("DynamoDB_"):
            return application(environ, start_response)
        with lock:
            return application(environ, start_response)

    return serve


def _neighbours_alone(application: Any, own: str) -> Any:
    """Refuse the pages of other sites: moto itself asks for no credentials and answers every origin."""

    def serve(environ: dict[str, Any], start_response: Any) -> Any:
        names = {"host": "HTTP_HOST", "origin": "HTTP_ORIGIN", "sec-fetch-site": "HTTP_SEC_FETCH_SITE"}
        headers = {name: environ[variable] for name, variable in names.items() if variable in environ}
        if is_own_name(headers.get("host", own), own) and not is_from_elsewhere(headers, own):
            return application(environ, start_response)
        start_response("403 Forbidden", [("Content-Type", "text/plain")])
        return [b"This machine's own programs and pages are answered, and nobody else.\n"]

    return serve


def main() -> None:
    """Serve until SIGTERM; the first and only line on standard output is the port."""
    parser = argparse.ArgumentParser(prog="infra.local.moto")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--keep", type=Path)
    given = parser.parse_args()

    from moto.moto_server.werkzeug_app import (
        DomainDispatcherApplication,
        MotoRequestHandler,
        create_backend_app,
    )
    from werkzeug.serving import make_server

    application = DomainDispatcherApplication(create_backend_app)
    if given.keep is not None:
        keeper = Keeper(Keep(given.keep))
        keeper.watch()
        application = keeper.serve(application)
    application = _one_write_at_a_time(application)
    application = _neighbours_alone(application, given.host)

    class Handler(MotoRequestHandler):
        def log_request(self, code: Any = "-", size: Any = "-") -> None:
            # Without the query, which is what makes a presigned link more than an address.
            address = visible(getattr(self, "path", "").partition("?")[0])
            self.log("info", '"%s %s" %s %s', self.command, address, code, size)

    server = make_server(given.host, 0, application, threaded=True, request_handler=Handler)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    print(server.port, flush=True)  # noqa: T201
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    server.serve_forever()


if __name__ == "__main__":
    main()
