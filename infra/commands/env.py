"""``maquette env``: what a shell must know to talk to the running cloud with the aws CLI or plain boto3."""

from __future__ import annotations

import shlex
from pathlib import Path

from infra.commands.console import output
from infra.local.endpoint import LEADING_ELSEWHERE, leading_elsewhere
from infra.local.state import DataFolder


def env(data: Path) -> None:
    """Print shell commands. The session secret stays where it is: no client needs it."""
    running = DataFolder(data).running()
    unwanted = sorted({*LEADING_ELSEWHERE, *leading_elsewhere()})
    output.print(f"unset {' '.join(unwanted)}", markup=False, soft_wrap=True)
    addresses = {"MAQUETTE_URL": running.url, "MAQUETTE_SOCKET_URL": running.socket_url}
    for name, value in sorted({**running.environment, **addresses}.items()):
        if name != "MAQUETTE_SESSION_SECRET":
            output.print(f"export {name}={shlex.quote(value)}", markup=False, soft_wrap=True)
