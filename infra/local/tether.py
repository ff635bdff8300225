"""Runs a module in a child process that cannot outlive its parent.

``python -m infra.local.tether MODULE ARGUMENT…`` holds the reading end of a pipe on its standard input. When
the parent ends, however it ends, the kernel closes the writing end and the child sees end-of-file: it gets
SIGTERM, then, after a grace, SIGKILL together with whatever it has started. Unlike ``PR_SET_PDEATHSIG`` this
works on every POSIX system and does not depend on which of the parent's threads did the starting.
"""

from __future__ import annotations

import contextlib
import os
import runpy
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

#: seconds between SIGTERM and SIGKILL once the parent is gone
GRACE_SECONDS = 3.0


class Tethered:
    """A running child; ``process`` is the child itself, not a wrapper around it.

    ``log`` receives its standard error and, unless ``read_output``, its standard output.
    """

    def __init__(
        self,
        module: str,
        arguments: Sequence[str] = (),
        *,
        environment: Mapping[str, str] | None = None,
        log: Path | None = None,
        read_output: bool = False,
    ) -> None:
        with contextlib.ExitStack() as stack:
            errors: IO[bytes] | int = stack.enter_context(log.open("ab")) if log else subprocess.DEVNULL
            self.process = subprocess.Popen(
                # -P: a folder named like one of our packages in the current directory must not shadow it.
                [sys.executable, "-P", "-m", "infra.local.tether", module, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE if read_output else errors,
                stderr=errors,
                env=None if environment is None else dict(environment),
                # A terminal's Ctrl-C reaches the parent alone: it decides in which order things end.
                start_new_session=True,
            )

    @property
    def running(self) -> bool:
        """Whether the process is still there."""
        return self.process.poll() is None

    def terminate(self) -> None:
        """Ask the process to end; returns at once."""
        if self.running:
            self.process.terminate()

    def stop(self, timeout: float = 5.0) -> int:
        """SIGTERM, at most ``timeout`` seconds of patience, SIGKILL; answers the exit status."""
        self.terminate()
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.sweep()
        return self.process.returncode

    def sweep(self) -> None:
        """End what a dead child left behind in its process group, and close its pipes."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()


def _end_with_parent(lifeline: int) -> None:
    while os.read(lifeline, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_SECONDS)
    os.killpg(0, signal.SIGKILL)


def main() -> None:
    """Tie this process to its parent, then become the module named on the command line."""
    module, *arguments = sys.argv[1:]
    lifeline = os.dup(0)  # not inheritable: the module's own children see an empty standard input
    with Path(os.devnull).open("rb") as empty:
        os.dup2(empty.fileno(), 0)
    threading.Thread(target=_end_with_parent, args=(lifeline,), name="lifeline", daemon=True).start()
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
