"""What happens to the cloud while it works, and when: drawn from a seed before anything begins."""

from __future__ import annotations

import contextlib
import logging
import os
import random
import resource
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from infra.local.tether import Tethered

log = logging.getLogger("tests.chaos")

#: of each kind, one for so many jobs, and at least one
ONE_FOR = {
    "kill": 8,
    "pause": 15,
    "repeat event": 5,
    "repeat message": 5,
    "restart gateway": 30,
    "fill disk": 20,
}
#: seconds beyond its lease that a paused worker sleeps: before another claims its job, meanwhile, or afterwards
OVERSLEPT = (0.8, 3.0)
#: seconds without a gateway, and with a full disk
GONE, FULL = 1.0, 1.5
#: seconds after which there will be no worker
LONGEST_START = 120.0
#: bytes of a file on a full disk
LITTLE = 100_000


@dataclass(frozen=True)
class Fault:
    """One thing that happens ``at`` so many seconds; ``draw`` (0..1) says to whom."""

    at: float
    kind: str
    draw: float


def schedule(seed: int, jobs: int, seconds: float) -> list[Fault]:
    """All that will happen, in order. The same seed gives the same."""
    drawn = random.Random(seed)
    faults = [
        Fault(drawn.uniform(0.1, 1.0) * seconds, kind, drawn.random())
        for kind, jobs_for_one in ONE_FOR.items()
        for _ in range(max(1, round(jobs / jobs_for_one)))
    ]
    return sorted(faults, key=lambda fault: fault.at)


class Place:
    """One place for a worker, and the processes that fill it one after the other."""

    def __init__(self, number: int, seed: int, pipeline: str, log_file: Path) -> None:
        self._seed = f"{seed}-{number}"
        self._pipeline = pipeline
        self._log_file = log_file
        self.lives = 1
        self._child = self._launch()

    @property
    def pid(self) -> int:
        return self._child.process.pid

    def fill(self) -> None:
        """Another process where the last one has ended."""
        if not self._child.running:
            self._child.sweep()
            self.lives += 1
            self._child = self._launch()

    def _launch(self) -> Tethered:
        return Tethered(
            "tests.chaos.worker",
            [f"{self._seed}-{self.lives}", self._pipeline],
            log=self._log_file,
            environment={**os.environ, "PYTHONPATH": str(Path.cwd())},
        )

    def send(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def stop(self) -> None:
        self._child.stop(5.0)


def fill(places: Sequence[Place]) -> None:
    """Another process wherever one has ended, as the cloud itself sees to it."""
    for place in places:
        place.fill()


class Faults(threading.Thread):
    """Lets a schedule happen. A fault of a worker waits for one that holds a job, so that none is in vain."""

    def __init__(
        self,
        planned: Sequence[Fault],
        places: Sequence[Place],
        holders: Callable[[], Sequence[int]],
        others: Mapping[str, Callable[[float], None]],
        lease_seconds: float,
    ) -> None:
        """``holders``: process ids of workers that hold a job now. ``others``: what else can happen."""
        super().__init__(name="faults", daemon=True)
        self._planned = planned
        self._places = places
        self._holders = holders
        self._others = others
        self._lease_seconds = lease_seconds
        self._ended = threading.Event()
        self.happened: list[str] = []
        self.counts: Counter[str] = Counter()
        #: processes of workers that a fault befell
        self.struck: set[int] = set()

    def run(self) -> None:
        began = time.monotonic()
        while not self._holders():  # nothing can befall workers that are not there yet
            if self._ended.wait(0.1) or time.monotonic() > began + LONGEST_START:
                return
        began = time.monotonic()
        for fault in self._planned:
            if self._ended.wait(max(0.0, began + fault.at - time.monotonic())):
                return
            try:
                told = self._happen(fault)
            except OSError as error:
                told = f"{fault.kind}: {error}"
            self.happened.append(f"{time.monotonic() - began:6.1f} s  {told}")

    def stop(self) -> None:
        self._ended.set()
        self.join()

    def _happen(self, fault: Fault) -> str:
        if fault.kind in self._others:
            self._others[fault.kind](fault.draw)
            self.counts[fault.kind] += 1
            return fault.kind
        place = self._busy(fault.draw)
        if place is None:
            return f"{fault.kind}: nobody had a job"
        told = f"{fault.kind}: worker {self._places.index(place) + 1} (process {place.pid})"
        self.struck.add(place.pid)
        match fault.kind:
            case "kill":
                place.send(signal.SIGKILL)
            case "pause":
                place.send(signal.SIGSTOP)
                shortest, longest = OVERSLEPT
                self._ended.wait(self._lease_seconds + shortest + fault.draw * (longest - shortest))
                place.send(signal.SIGCONT)
            case "fill disk":
                before = resource.prlimit(place.pid, resource.RLIMIT_FSIZE, (LITTLE, resource.RLIM_INFINITY))
                self._ended.wait(FULL)
                resource.prlimit(place.pid, resource.RLIMIT_FSIZE, before)
        self.counts[fault.kind] += 1
        return told

    def _busy(self, draw: float) -> Place | None:
        deadline = time.monotonic() + 5.0
        while time.monotonic() < deadline and not self._ended.wait(0.02):
            pids = self._holders()
            busy = [place for place in self._places if place.pid in pids]
            if busy:
                return busy[int(draw * len(busy))]
        return None
