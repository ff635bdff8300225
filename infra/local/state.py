"""The data folder of a local cloud: its lock, logs and secret, and the note by which other commands find it.

::

    objects/          photos and models, cloud.sqlite what belongs to them: see :mod:`infra.local.keep`
    lock              held while a cloud runs; the system lets go of it however the process ends
    cloud.json        where everything is, readable by its owner alone
    session-secret    signs session tokens; stays the same from one run to the next
    logs/             of the last run: cloud.log, moto.log, worker-1.log …
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from infra.errors import AlreadyRunning, MachineError, NotRunning


def default_folder() -> Path:
    """``$MAQUETTE_DATA``, else the user's state folder: one cloud per user, found from any directory.

    Reference: XDG Base Directory Specification.
    """
    given = os.environ.get("MAQUETTE_DATA")
    if given:
        return Path(given)
    state = os.environ.get("XDG_STATE_HOME")
    return (Path(state) if state else Path.home() / ".local" / "state") / "maquette"


@dataclass(frozen=True)
class Running:
    """What a running cloud tells of itself."""

    pid: int
    #: REST, WebSocket and site
    url: str
    socket_url: str
    #: AWS
    endpoint_url: str
    #: everything that a function or a worker reads
    environment: Mapping[str, str]


class DataFolder:
    """One cloud's folder; made when it is not there."""

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().absolute()
        self._lock = FileLock(self.path / "lock")

    @property
    def logs(self) -> Path:
        """Where every process writes its log."""
        return self.path / "logs"

    def claim(self) -> None:
        """Become the folder's one cloud, or raise :class:`infra.errors.AlreadyRunning`."""
        try:
            self.logs.mkdir(parents=True, exist_ok=True)
            # Not at once: whoever asks whether a cloud runs holds the lock for a moment.
            self._lock.acquire(timeout=1.0)
            self._note.unlink(missing_ok=True)  # of one that was killed
            for old in self.logs.glob("*.log"):
                old.unlink()
        except Timeout:
            raise AlreadyRunning(self._who_runs()) from None
        except OSError as error:
            raise MachineError(
                f"Cannot write to the data folder {self.path} ({error.strerror}). Choose another with --data."
            ) from error

    def release(self) -> None:
        """Remove the note and let go of the lock."""
        self._note.unlink(missing_ok=True)
        self._lock.release()

    def tell(self, running: Running) -> None:
        """Leave the note for other commands; it holds a secret."""
        _write_private(self._note, json.dumps(asdict(running), indent=1))

    def running(self) -> Running:
        """What the folder's cloud tells of itself, or :class:`infra.errors.NotRunning`."""
        if self._is_locked():
            try:
                return Running(**json.loads(self._note.read_text(encoding="utf-8")))
            except FileNotFoundError:
                raise NotRunning("The local cloud is starting or ending; try again in a moment.") from None
        raise NotRunning(f"No local cloud runs on {self.path}. Start one with: maquette up")

    def session_secret(self) -> str:
        """The key that signs sessions, made at the first call."""
        path = self.path / "session-secret"
        if not path.exists():
            _write_private(path, secrets.token_hex(32))
        return path.read_text(encoding="utf-8").strip()

    @property
    def _note(self) -> Path:
        return self.path / "cloud.json"

    def _is_locked(self) -> bool:
        if not (self.path / "lock").exists():
            return False
        probe = FileLock(self.path / "lock")
        try:
            probe.acquire(timeout=0)
        except Timeout:
            return True
        probe.release()
        return False

    def _who_runs(self) -> str:
        try:
            running = self.running()
        except NotRunning:
            return f"A local cloud is already starting on {self.path}."
        return (
            f"A local cloud already runs on {self.path}: {running.url} (process {running.pid}). "
            "Use it, end it with Ctrl-C, or give this one another folder with --data."
        )


def _write_private(path: Path, text: str) -> None:
    """Write in one step, for the owner's eyes only."""
    new = path.with_name(f"{path.name}.new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    new.replace(path)
