"""A thread that repeats one step until it is told to stop, and survives the step's failures."""

from __future__ import annotations

import logging
import threading

log = logging.getLogger(__name__)

#: seconds: first and longest pause after a failed step
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 10.0


class Background:
    """Subclasses say what to do once in :meth:`step`; ``stopping`` tells them to come to an end."""

    def __init__(self, name: str) -> None:
        self.stopping = threading.Event()
        # A daemon: a call to AWS under way must not hold up the end of the process.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin repeating."""
        self._thread.start()

    def stop(self) -> None:
        """Ask for the end; returns at once."""
        self.stopping.set()

    def join(self, timeout: float) -> None:
        """Wait for the step under way."""
        if self._thread.is_alive():
            self._thread.join(timeout)

    def step(self) -> None:
        """Do the work once, waiting inside it for something to do."""
        raise NotImplementedError

    def _run(self) -> None:
        failures = 0
        while not self.stopping.is_set():
            try:
                self.step()
                failures = 0
            except Exception:
                if self.stopping.is_set():
                    return  # the other end has gone first
                pause = min(FIRST_PAUSE * 2**failures, LONGEST_PAUSE)
                failures += 1
                log.exception("%s failed; again in %.1f s", self._thread.name, pause)
                self.stopping.wait(pause)
