"""Is the worker of this container well? Its main thread leaves a sign of life; this looks how old that is.

    python -m gpu_container.health        exit status 0: well; 1: not, and a sentence why

The sign is the time of a file's last change. The main thread holds the job and its lease, so a worker whose
main thread is stuck, or cannot get at its queue, does nothing good any more, while a pipeline that computes for
minutes in its own thread is well. There is no file before the queue has answered once: until then a worker is
not ready, and whoever runs this grants it the time to get so. Nothing heavy is imported: this runs every half
minute beside the worker.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from pathlib import Path

from infra.settings import settings

log = logging.getLogger(__name__)

#: The sign of life is renewed this often at most, seconds.
BEAT_SECONDS = 5.0
#: A main thread that has given no sign for so long is stuck; the longest honest silence is a call to AWS that
#: nobody answers, tried again and again.
STUCK_SECONDS = 180.0


class Heartbeat:
    """Gives the sign of life at ``path``; None: nobody looks, so none is given."""

    def __init__(self, path: Path | None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._clock = clock
        self._next_at = float("-inf")

    def beat(self) -> None:
        """A sign of life, if it is time for one. Call this from every loop of the main thread."""
        if self._path is None or self._clock() < self._next_at:
            return
        self._next_at = self._clock() + BEAT_SECONDS
        try:
            self._path.touch()
        except OSError as error:  # whoever looks will find an old sign and say so; the job need not suffer
            log.warning("no sign of life could be left at %s: %s", self._path, error)


def finding(path: Path | None) -> str | None:
    """What is wrong with the worker whose sign of life is at ``path``; None: nothing."""
    if path is None:
        return "MAQUETTE_HEALTH_FILE is not set: nobody can say how the worker is."
    try:
        age = time.time() - path.stat().st_mtime
    except OSError as error:
        return f"The worker is not ready: there is no sign of life at {path} ({error.strerror})."
    if age > STUCK_SECONDS:
        return f"The worker's main thread has been stuck for {age:.0f} s."
    return None


def main() -> int:
    """Look once; the exit status."""
    wrong = finding(settings().health_file)
    if wrong is not None:
        sys.stdout.write(f"{wrong}\n")
    return 0 if wrong is None else 1


if __name__ == "__main__":
    sys.exit(main())
