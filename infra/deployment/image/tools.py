"""Programs that build and run images, called: buildah, podman, debootstrap."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from infra.errors import BuildFailed, MissingDependency

#: lines of a failed program's output that are shown
TAIL = 40


def find(name: str) -> str:
    """The program's path.

    Raises:
        MissingDependency: it is not installed.
    """
    path = shutil.which(name)
    if path is None:
        raise MissingDependency(
            f"{name} is not installed. On Debian: apt-get install buildah podman debootstrap"
        )
    return path


def call(command: Sequence[str | Path], *, cwd: Path | None = None, log: Path | None = None) -> str:
    """Run a command to its end; its output, or nothing where ``log`` receives that.

    Raises:
        BuildFailed: it did not end well; the end of what it said is in the message.
    """
    ended = attempt(command, cwd=cwd)
    if log is not None:
        log.write_text(ended.stdout + ended.stderr, encoding="utf-8")
    if ended.returncode != 0:
        said = "\n".join((ended.stdout + ended.stderr).strip().splitlines()[-TAIL:])
        words = " ".join(map(str, command[:3]))
        raise BuildFailed(f"'{words} …' ended with status {ended.returncode}:\n{said}")
    return "" if log else ended.stdout.strip()


def attempt(command: Sequence[str | Path], *, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, whatever that is."""
    return subprocess.run(
        [str(part) for part in command], cwd=cwd, capture_output=True, text=True, errors="replace", check=False
    )


class Container:
    """A running container of an image, as hardened as the template's task definition has it."""

    #: nothing but its volumes can be written; no capability, and no way to get one
    HARDENED = ("--read-only", "--cap-drop=all", "--security-opt=no-new-privileges")

    def __init__(self, image: str, environment: Mapping[str, str], options: Sequence[str]) -> None:
        """``options`` are those of ``podman`` and, after ``run:``, those of ``podman run``."""
        self._podman = [find("podman"), *(option for option in options if not option.startswith("run:"))]
        given = [option.removeprefix("run:") for option in options if option.startswith("run:")]
        variables = [f"--env={name}={value}" for name, value in environment.items()]
        command = ["run", "--detach", "--network=host", *self.HARDENED, *given, *variables, image]
        self.started = time.monotonic()
        self._name = call([*self._podman, *command]).splitlines()[-1]

    @property
    def healthy(self) -> bool:
        """What the image's own health check says."""
        return attempt([*self._podman, "healthcheck", "run", self._name]).returncode == 0

    @property
    def running(self) -> bool:
        return call([*self._podman, "inspect", "--format={{.State.Running}}", self._name]) == "true"

    def inside(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command in it, as its user."""
        return attempt([*self._podman, "exec", self._name, *command])

    def wait_for(self, look: Callable[[], bool], seconds: float) -> float:
        """Seconds since its start when ``look`` was first true.

        Raises:
            BuildFailed: it never was, or the container ended before.
        """
        while not look():
            if not self.running or time.monotonic() - self.started > seconds:
                raise BuildFailed(f"The worker did not get ready. Its log:\n{self.log()}")
            time.sleep(0.5)
        return time.monotonic() - self.started

    def terminate(self) -> tuple[int, float]:
        """SIGTERM to its first process: the exit status, and seconds until it had ended."""
        began = time.monotonic()
        call([*self._podman, "kill", "--signal=TERM", self._name])
        return int(call([*self._podman, "wait", "--interval=50ms", self._name])), time.monotonic() - began

    def log(self) -> str:
        """The end of what it wrote."""
        ended = attempt([*self._podman, "logs", self._name])
        return "\n".join((ended.stdout + ended.stderr).splitlines()[-TAIL:])

    def remove(self) -> None:
        """End it and drop its volumes."""
        call([*self._podman, "rm", "--force", "--volumes", self._name])
