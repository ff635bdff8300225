"""The clock of a run: which stage, how far, how long, and what was worth a notice."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

#: what a run tells while it works: the stage's name and how much of that stage is done, 0..1
Progress = Callable[[str, float], None]


class StageClock:
    """Times the stages of one run and passes its progress on."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self.timings: dict[str, float] = {}  # seconds

    @contextmanager
    def stage(self, name: str) -> Iterator[Callable[[float], None]]:
        """Announce a stage, hand out its progress callback (0..1), and record its seconds when it ends well."""
        started = time.perf_counter()
        self._progress(name, 0.0)
        yield lambda fraction: self._progress(name, min(max(fraction, 0.0), 1.0))
        self._progress(name, 1.0)
        self.timings[name] = time.perf_counter() - started


class Notices(logging.Handler):
    """Collects what this package logs at WARNING from the current thread: it belongs in the manifest too."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread:
            self.messages.append(record.getMessage())

    def __enter__(self) -> Notices:
        logging.getLogger(__package__).addHandler(self)
        return self

    def __exit__(self, *exception: object) -> None:
        logging.getLogger(__package__).removeHandler(self)
