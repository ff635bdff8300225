"""One port for all that browsers and functions speak to: REST, WebSocket, ``@connections`` and the site."""

from __future__ import annotations

import asyncio
import socket
import threading
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from infra.errors import MachineError, PortTaken
from infra.local import rest, site
from infra.local.invoke import Functions
from infra.local.neighbours import is_own_name
from infra.local.sockets import SOCKET_PATH, Sockets
from infra.local.triggers import Triggers
from infra.names import visible

#: API Gateway's limit on a request's body, bytes
BODY_BYTES = 10 * 1024 * 1024
#: seconds to begin and to end
START_SECONDS, STOP_SECONDS = 30.0, 5.0


@dataclass(frozen=True)
class Address:
    """A bound port, known also when any free one was asked for. ``name`` is what others call the host."""

    listener: socket.socket
    name: str
    port: int

    @property
    def url(self) -> str:
        """The address for REST and the site."""
        return f"http://{self._authority}"

    @property
    def socket_url(self) -> str:
        """The address for WebSockets."""
        return f"ws://{self._authority}{SOCKET_PATH}"

    @property
    def _authority(self) -> str:
        return f"[{self.name}]:{self.port}" if ":" in self.name else f"{self.name}:{self.port}"


def bind(host: str, port: int) -> Address:
    """Take the port now, so that nobody else can; raises :class:`infra.errors.PortTaken`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen()
    except OSError as error:
        listener.close()
        raise PortTaken(
            f"Cannot listen on {host}:{port} ({error.strerror}). Choose another port with --port."
        ) from error
    return Address(listener, reachable_name(host), int(listener.getsockname()[1]))


def reachable_name(host: str) -> str:
    """What to call ``host`` in links: a machine that listens everywhere is known by its own address."""
    if host not in ("0.0.0.0", "::", ""):  # noqa: S104
        return host
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # an address for documentation (RFC 5737); nothing is sent
            return str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.1"


def _by_name(address: Address) -> Middleware:
    """Answer those alone who call this machine by a name of its own: a stranger's may lead a browser here."""

    @web.middleware
    async def answer(request: web.Request, handler: Handler) -> web.StreamResponse:
        if is_own_name(request.host, address.name):
            return await handler(request)
        said = f"This cloud answers at {address.url}, and not as {visible(request.host)}."
        error = {"code": "bad_input", "message": said}
        return web.json_response({"error": error}, status=421)

    return answer


async def _end_all() -> None:
    """Requests whose functions still run: nobody waits for their answers any more."""
    pending = asyncio.all_tasks() - {asyncio.current_task()}
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)


class Gateway:
    """The HTTP server, in a thread with an event loop of its own."""

    def __init__(
        self,
        address: Address,
        triggers: Triggers,
        functions: Functions,
        *,
        endpoint_url: str,
        site_folder: Path = site.SITE,
    ) -> None:
        self._address = address
        self._triggers = triggers
        self._functions = functions
        self._endpoint_url = endpoint_url
        self._site_folder = site_folder
        self._started: Future[None] = Future()
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="gateway", daemon=True)

    def start(self) -> None:
        """Serve; returns when the first request would be answered."""
        self._thread.start()
        self._started.result(timeout=START_SECONDS)

    def stop(self) -> None:
        """Close every socket and the port."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(STOP_SECONDS)
        self._address.listener.close()

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        except Exception as error:
            if self._started.done():
                raise
            self._started.set_exception(MachineError(f"The gateway did not start: {error}"))
        finally:
            self._loop.run_until_complete(_end_all())
            self._loop.close()

    async def _serve(self) -> None:
        application = web.Application(client_max_size=BODY_BYTES, middlewares=[_by_name(self._address)])
        sockets = Sockets(self._triggers, self._functions)
        sockets.add_routes(application.router)
        rest.add_routes(application.router, self._triggers, self._functions)
        site.add_routes(
            application.router,
            url=self._address.url,
            socket_url=self._address.socket_url,
            endpoint_url=self._endpoint_url,
            folder=self._site_folder,
        )
        # No access log: the addresses of sockets carry tokens.
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        try:
            await web.SockSite(runner, self._address.listener).start()
            self._started.set_result(None)
            await self._stop.wait()
            await sockets.close_all()
        finally:
            await runner.cleanup()
