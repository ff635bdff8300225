"""``maquette env``: what a shell must know to talk to the running cloud with the aws CLI or plain boto3."""

from __future__ import annotations

import shlex
from pathlib import Path

from infra.commands.console import output
from infra.local.state import DataFolder


def env(data: Path) -> None:
    """Print one export per line. The session secret stays where it is: no client needs it."""
    running = DataFolder(data).running()
    addresses = {"MAQUETTE_URL": running.url, "MAQUETTE_SOCKET_URL": running.socket_url}
    for name, value in sorted({**running.environment, **addresses}.items()):
        if name != "MAQUETTE_SESSION_SECRET":
            output.print(f"export {name}={shlex.quote(value)}", markup=False, soft_wrap=True)
