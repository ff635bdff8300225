"""The GPU tasks' part: worker processes, replaced when they die."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from infra.local.background import Background
from infra.local.tether import Tethered

log = logging.getLogger(__name__)

MODULE = "gpu_container.worker"
#: seconds between two looks at a process
LOOK_SECONDS = 0.1
#: seconds: first and longest pause before a dead worker is replaced
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 30.0
#: a worker that lived this many seconds has started well; its death is no sign of a crash loop
WELL_SECONDS = 30.0
#: deaths in a row, none after a good start, that make a crash loop
CRASH_LOOP = 3
#: seconds that a worker may take to end: time to hand a job back
STOP_SECONDS = 10.0


class Worker(Background):
    """One place for a worker, and the processes that fill it one after the other.

    ``complain`` is called with a sentence when the worker dies again and again.
    """

    def __init__(
        self, number: int, environment: Mapping[str, str], log_file: Path, complain: Callable[[str], None]
    ) -> None:
        super().__init__(f"worker {number}")
        self.number = number
        self._environment = environment
        self._log_file = log_file
        self._complain = complain
        self._deaths = 0
        self._process = self._launch()

    @property
    def pid(self) -> int:
        """Process id of the worker there is now."""
        return self._process.process.pid

    @property
    def crashing(self) -> bool:
        """Whether it dies again and again."""
        return self._deaths >= CRASH_LOOP

    def step(self) -> None:
        """Look at the process; replace it when it is dead."""
        if self.stopping.wait(LOOK_SECONDS) or self._process.running:
            return
        status = self._process.process.returncode
        self._process.sweep()
        self._deaths = 1 if time.monotonic() - self._started > WELL_SECONDS else self._deaths + 1
        log.warning("worker %d ended with status %d; a new one takes its place", self.number, status)
        if self._deaths == CRASH_LOOP:
            self._complain(
                f"Worker {self.number} died {CRASH_LOOP} times in a row (status {status}). "
                f"Its log: {self._log_file}"
            )
        if not self.stopping.wait(min(FIRST_PAUSE * 2 ** (self._deaths - 1), LONGEST_PAUSE)):
            self._process = self._launch()

    def stop(self) -> None:
        """Ask the process for its end; returns at once."""
        super().stop()
        self._process.terminate()

    def wait(self) -> None:
        """Wait for the end asked for, and enforce it when it does not come."""
        self.join(timeout=2 * LOOK_SECONDS + 1)
        self._process.stop(STOP_SECONDS)

    def _launch(self) -> Tethered:
        self._started = time.monotonic()
        return Tethered(MODULE, environment=self._environment, log=self._log_file)
