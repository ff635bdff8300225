"""``maquette up``: the whole cloud on this machine, until Ctrl-C."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import ExitStack
from types import FrameType

from infra.commands.console import console, shown
from infra.local.cloud import Cloud, CloudOptions


class Interrupted:
    """Set by Ctrl-C, SIGTERM or a closed terminal; a second Ctrl-C ends everything at once.

    Must be made in the main thread.
    """

    def __init__(self) -> None:
        self._event = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._hear)

    def __bool__(self) -> bool:
        return self._event.is_set()

    def wait(self, seconds: float) -> bool:
        """Wait at most so long; whether it has come."""
        return self._event.wait(seconds)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if self._event.is_set():
            os._exit(128 + number)  # the children see their parent gone and follow
        self._event.set()


def up(options: CloudOptions) -> None:
    """Run until interrupted."""
    interrupted = Interrupted()
    with ExitStack() as parts:
        with console.status("Starting …"):
            cloud = parts.enter_context(Cloud(options))
        parts.callback(console.print, "Ending: workers hand back what they have begun …")
        announce(cloud)
        keep_running(cloud, interrupted)


def announce(cloud: Cloud) -> None:
    """Say what runs where."""
    running, workers = cloud.running, len(cloud.workers)
    emulator = "the given endpoint" if cloud.options.endpoint_url else "moto"
    console.print(f"[bold]Maquette runs.[/] {running.url}")
    rows = {
        "REST, site": running.url,
        "WebSocket": running.socket_url,
        "AWS": f"{running.endpoint_url}  ({emulator})",
        "drop folder": f"s3://{running.environment['MAQUETTE_UPLOAD_BUCKET']}/inbox/",
        "kept in": "the given endpoint" if cloud.options.endpoint_url else shown(cloud.folder.path),
        "workers": f"{workers}  (logs: {shown(cloud.folder.logs)})",
    }
    for name, value in rows.items():
        console.print(f"  {name:<12} {value}")
    console.print(
        'Try [bold]maquette submit photo.jpg[/]; or, for the aws CLI: [bold]eval "$(maquette env)"[/]'
    )
    if cloud.options.host not in ("127.0.0.1", "::1", "localhost"):
        console.print("[yellow]It is open to the network:[/] whoever reaches this machine can use it.")
    console.print("Ctrl-C ends it.")


def keep_running(cloud: Cloud, interrupted: Interrupted) -> None:
    """Wait for the interruption, telling what goes wrong meanwhile. Raises when the cloud cannot go on."""
    while not interrupted.wait(0.5):
        tell_complaints(cloud)
        cloud.check()


def tell_complaints(cloud: Cloud) -> None:
    """Print what has gone wrong since the last time."""
    while cloud.complaints:
        console.print(f"[yellow]{cloud.complaints.pop(0)}[/]")
