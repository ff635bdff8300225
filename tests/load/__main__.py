"""How much the local cloud bears: many jobs of 50 ms, many sockets. Nothing may be lost; the figures are told.

python -m tests.load [--jobs 500] [--sockets 2] [--workers 3]     sockets for each job; writes build/load.json
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import resource
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

from infra.local.tether import Tethered
from tests.cloud.machine import Machine, machine
from tests.load.crowd import Crowd

RESULT = Path("build") / "load.json"
#: seconds between two looks at the processes' memory
LOOK_SECONDS = 1.0


def main() -> int:
    """0 when every job succeeded and every socket saw it."""
    parser = argparse.ArgumentParser(prog="tests.load")
    parser.add_argument("--jobs", type=int, default=500)
    parser.add_argument("--sockets", type=int, default=2)
    parser.add_argument("--workers", type=int, default=3)
    given = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # a socket is a file, here and in the cloud
    crowd = Crowd()
    with (
        tempfile.TemporaryDirectory() as folder,
        machine(Path(folder) / "data", "--workers", "0") as cloud,
        working(cloud, given.workers) as workers,
        watching(cloud, workers) as memory,
    ):
        began = time.perf_counter()
        running = cloud.running
        asyncio.run(crowd.visit(running.url, running.socket_url, given.jobs, given.sockets))
        seconds = time.perf_counter() - began
    return tell(crowd, memory, given.jobs, given.sockets, seconds)


@contextlib.contextmanager
def working(cloud: Machine, count: int) -> Iterator[list[Tethered]]:
    """Worker processes of the cloud."""
    environment = {**os.environ, **cloud.running.environment, "PYTHONPATH": str(Path.cwd())}
    with contextlib.ExitStack() as parts:
        workers = []
        for number in range(count):
            log = cloud.data / "logs" / f"worker-{number}.log"
            workers.append(Tethered("tests.load.worker", environment=environment, log=log))
            parts.callback(workers[-1].stop)
        yield workers


@contextlib.contextmanager
def watching(cloud: Machine, workers: list[Tethered]) -> Iterator[dict[str, list[float]]]:
    """Megabytes of the cloud's process, the emulator's and the first worker's, again and again."""
    emulator = min(cloud.descendants() - {worker.process.pid for worker in workers})
    watched = {"cloud": cloud.process.pid, "moto": emulator, "worker": workers[0].process.pid}
    seen: dict[str, list[float]] = {name: [] for name in watched}
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(LOOK_SECONDS):
            for name, pid in watched.items():
                status = Path(f"/proc/{pid}/status").read_text()
                line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
                seen[name].append(int(line.split()[1]) / 1024)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join()


def tell(crowd: Crowd, memory: dict[str, list[float]], jobs: int, sockets: int, seconds: float) -> int:
    """Print the figures, write them down; 0 when nothing was lost."""
    lost = jobs * sockets - sum(end == "succeeded" for end in crowd.ends.values())
    figures = {
        "jobs": jobs,
        "sockets": jobs * sockets,
        "seconds": round(seconds, 1),
        "sockets that did not see their job succeed": lost,
        "photo sent to queued, median, p95, seconds": quantiles(list(crowd.queued.values())),
        "table write to socket, median, p95, seconds": quantiles(crowd.frames),
        "frames": len(crowd.frames),
        **{f"memory of {name}, a quarter, half, end, MB": quarters(seen) for name, seen in memory.items()},
    }
    table = Table("", "", title="The local cloud under load")
    for name, value in figures.items():
        table.add_row(name, " ".join(map(str, value)) if isinstance(value, list) else str(value))
    Console().print(table)
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(figures, indent=1) + "\n")
    return int(lost != 0)


def quantiles(values: list[float]) -> list[float]:
    """Median and 95th percentile, milliseconds kept."""
    if len(values) < 2:
        return []
    return [round(statistics.median(values), 3), round(statistics.quantiles(values, n=20)[-1], 3)]


def quarters(values: list[float]) -> list[int]:
    """After a quarter of the run, half of it, and at its end."""
    return (
        [round(values[min(int(len(values) * share), len(values) - 1)]) for share in (0.25, 0.5, 1)]
        if values
        else []
    )


if __name__ == "__main__":
    sys.exit(main())
