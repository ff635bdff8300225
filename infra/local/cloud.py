"""The whole cloud on one machine: starts its parts in order, ends them in the opposite order.

    with Cloud(CloudOptions(data=Path("…"))) as cloud:
        print(cloud.running.url)
        …

============================  =====================================================================
AWS                           here
============================  =====================================================================
S3, SQS, DynamoDB, …          moto, a process of its own that keeps what it holds in the data folder
                              (or any endpoint that is given)
S3 → Lambda                   :mod:`infra.local.uploads`
DynamoDB Streams → Lambda     :mod:`infra.local.streams`
EventBridge Scheduler         :mod:`infra.local.clock`
API Gateway, CloudFront       :mod:`infra.local.gateway`
GPU tasks                     :mod:`infra.local.workers`, processes of ``gpu_container.worker``
============================  =====================================================================
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import TracebackType

from infra import telemetry
from infra.errors import BadConfiguration, MachineError, MissingDependency
from infra.local import resources
from infra.local.background import Background
from infra.local.clock import Clock
from infra.local.endpoint import DUMMY_KEY, Endpoint, adopt
from infra.local.gateway import Address, Gateway, bind
from infra.local.invoke import Functions, load
from infra.local.moto import MotoServer
from infra.local.resources import Resources
from infra.local.state import DataFolder, Running, default_folder
from infra.local.streams import StreamDispatcher
from infra.local.uploads import UploadDispatcher
from infra.local.workers import Worker
from infra.machine import memory_for_work

log = logging.getLogger(__name__)

DEFAULT_PORT = 8000
#: seconds that a silent worker keeps its job here; on AWS it is a minute, but here somebody is watching
LEASE_SECONDS = 15
#: bytes left on the disk at which its user is told: some ten models more
LITTLE_SPACE = 200 * 2**20


@dataclass(frozen=True)
class CloudOptions:
    """What ``maquette up`` may be told."""

    host: str = "127.0.0.1"
    #: 0 takes a free one
    port: int = DEFAULT_PORT
    #: an AWS endpoint to use in place of moto
    endpoint_url: str | None = None
    workers: int = 1
    data: Path = field(default_factory=default_folder)


class Cloud:
    """One running cloud. Raises, when it starts: PortTaken, AlreadyRunning, BadConfiguration, MachineError."""

    def __init__(self, options: CloudOptions) -> None:
        self.options = options
        self.folder = DataFolder(options.data)
        #: sentences about what goes wrong while it runs, for whoever watches
        self.complaints: list[str] = []
        self.workers: list[Worker] = []
        self._told_of_disk = False
        self._parts = contextlib.ExitStack()
        self._moto: MotoServer | None = None
        self._address: Address
        self._open_gateway: Callable[[Address], Gateway]
        self._gateway: Gateway | None = None

    def __enter__(self) -> Cloud:
        with contextlib.ExitStack() as parts:
            self._start(parts)
            self._parts = parts.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._parts.close()

    def check(self) -> None:
        """Raise :class:`infra.errors.MachineError` when the cloud cannot go on."""
        if self._moto is not None and not self._moto.running:
            raise MachineError(f"The AWS emulator has ended. Its log: {self.folder.logs / 'moto.log'}")
        if not self._told_of_disk and shutil.disk_usage(self.folder.path).free < LITTLE_SPACE:
            self._told_of_disk = True
            self.complaints.append(f"The disk is nearly full: photos and models lie in {self.folder.path}.")

    def stop_gateway(self) -> None:
        """Take REST, sockets and site away, as when a gateway dies; all else goes on."""
        if self._gateway is not None:
            self._gateway.stop()

    def start_gateway(self) -> None:
        """Serve them; at the same address as before."""
        if self._gateway is not None:
            self._address = bind(self.options.host, self._address.port)
        self._gateway = self._open_gateway(self._address)
        self._gateway.start()

    def _start(self, parts: contextlib.ExitStack) -> None:
        address = bind(self.options.host, self.options.port)
        parts.callback(address.listener.close)
        self.folder.claim()
        parts.callback(self.folder.release)
        _log_to(self.folder.logs / "cloud.log", parts)
        # JSON is for the workers, which have processes of their own: it would take this one's log file away.
        log_form = os.environ.pop("MAQUETTE_LOG", "")

        adopt({})
        endpoint = self._endpoint(address, parts)
        created = resources.create(endpoint, parameters={"SiteOrigin": address.url})
        environment = self._environment(created, address)
        adopt(environment)
        functions = Functions()
        parts.callback(functions.stop)
        _import_handlers(created)

        self._address = address
        self._open_gateway = partial(
            Gateway, triggers=created.triggers, functions=functions, endpoint_url=endpoint.url
        )
        parts.callback(self.stop_gateway)
        self.start_gateway()
        _start_all(_dispatchers(created, functions), parts)
        for number in range(1, self.options.workers + 1):
            log_file = self.folder.logs / f"worker-{number}.log"
            self.workers.append(
                Worker(number, {**os.environ, "MAQUETTE_LOG": log_form}, log_file, self.complaints.append)
            )
        parts.callback(_wait_for, self.workers)
        _start_all(self.workers, parts)

        self.running = Running(os.getpid(), address.url, address.socket_url, endpoint.url, environment)
        self.folder.tell(self.running)

    def _endpoint(self, address: Address, parts: contextlib.ExitStack) -> Endpoint:
        if self.options.endpoint_url is None:
            # It listens where the gateway does: the links it is asked for must work for the same people.
            self._moto = MotoServer(host=address.name, log=self.folder.logs / "moto.log", keep=self.folder.path)
            parts.callback(self._moto.stop)
            return Endpoint(self._moto.endpoint_url)
        endpoint = Endpoint(
            self.options.endpoint_url.rstrip("/"),
            os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1",
            os.environ.get("AWS_ACCESS_KEY_ID", DUMMY_KEY),
            os.environ.get("AWS_SECRET_ACCESS_KEY", DUMMY_KEY),
        )
        _check_reachable(endpoint)
        return endpoint

    def _environment(self, created: Resources, address: Address) -> dict[str, str]:
        workers, memory = max(self.options.workers, 1), memory_for_work()
        defaults = {
            "MAQUETTE_LEASE_SECONDS": str(LEASE_SECONDS),
            "MAQUETTE_THREADS": str(max((os.cpu_count() or 1) // workers, 1)),
        }
        if memory is not None:
            defaults["MAQUETTE_JOB_MEMORY"] = f"{memory / workers / 1e6:.0f}"
        chosen = {name: os.environ.get(name, value) for name, value in defaults.items()}
        if os.environ.get("MAQUETTE_ACCESS_KEY"):  # in the note, so that this user's commands need not be told
            chosen["MAQUETTE_ACCESS_KEY"] = os.environ["MAQUETTE_ACCESS_KEY"]
        secret = self.folder.session_secret()
        given = created.environment(socket_endpoint=address.url, session_secret=secret)
        return {**chosen, **given, "MAQUETTE_SITE_ORIGIN": address.url}


def _dispatchers(created: Resources, functions: Functions) -> list[Background]:
    triggers = created.triggers
    return [
        *(UploadDispatcher(created.endpoint, trigger, functions) for trigger in triggers.uploads.values()),
        *(StreamDispatcher(created.endpoint, trigger, functions) for trigger in triggers.streams),
        *(Clock(trigger, functions) for trigger in triggers.schedules),
    ]


def _start_all(backgrounds: list[Background] | list[Worker], parts: contextlib.ExitStack) -> None:
    for background in backgrounds:
        background.start()
        parts.callback(background.stop)


def _wait_for(workers: list[Worker]) -> None:
    # After all of them have been asked to end: they hand their jobs back side by side.
    for worker in workers:
        worker.wait()


def _import_handlers(created: Resources) -> None:
    """Import the functions now: a mistake in them should end the start, not the first request."""
    triggers = created.triggers
    paths = {*triggers.routes.values(), *triggers.socket_routes.values()}
    paths |= {trigger.handler for trigger in triggers.uploads.values()}
    paths |= {trigger.handler for trigger in triggers.streams}
    paths |= {trigger.handler for trigger in triggers.schedules}
    for path in sorted(paths):
        try:
            load(path)
        except ModuleNotFoundError as error:
            raise MissingDependency(f"{path} needs the package {error.name}. Run: make setup") from error
        except AttributeError as error:
            raise BadConfiguration(f"The template names the handler {path}, which does not exist.") from error


def _check_reachable(endpoint: Endpoint) -> None:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        endpoint.client("s3").list_buckets()
    except (BotoCoreError, ClientError) as error:
        raise MachineError(f"No AWS endpoint answers at {endpoint.url}: {error}") from error


def _log_to(path: Path, parts: contextlib.ExitStack) -> None:
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(telemetry.Text())
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    # Links are as good as keys, so no log may hold them.
    for talkative in ("botocore", "httpx", "websockets"):
        logging.getLogger(talkative).setLevel(logging.WARNING)
    parts.callback(handler.close)
    parts.callback(root.removeHandler, handler)
