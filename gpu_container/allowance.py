"""How much memory a job may have: one that wants more fails, and the machine goes on.

Two lines of defence. The worker looks several times a second (:meth:`Allowance.crossed`), which ends a job that
grows step by step. And the kernel grants no more than the allowance and a margin (``RLIMIT_DATA``), for code
that grows faster than anybody looks, or lets nobody look meanwhile; it sees a :class:`MemoryError`. Processes
that a job starts inherit the second line.

Both are Linux's; on other systems memory is not watched. Reference: setrlimit(2), proc(5).
"""

from __future__ import annotations

import contextlib
import gc
import resource
import sys
from collections.abc import Iterator
from pathlib import Path

from gpu_container import memory
from infra.errors import OutOfMemory

#: what may be mapped beyond what may be taken: stacks of threads, and rooms that nobody has entered yet
MARGIN_BYTES = 512 * 2**20
#: what whoever holds the job may still need once the allowance is used up
RESERVE_BYTES = 64 * 2**20

#: how libraries say that they were given no memory, where they do not raise MemoryError: torch, OpenCV, C++
_REFUSALS = ("can't allocate memory", "Insufficient memory", "Failed to allocate", "std::bad_alloc")


class Allowance:
    """The most that this process may have in RAM while a job runs, bytes; None: nobody looks."""

    def __init__(self, most: float | None) -> None:
        self.most = most if sys.platform == "linux" else None

    @contextlib.contextmanager
    def granted(self) -> Iterator[None]:
        """A job runs: the kernel gives no more than the allowance and a margin."""
        if self.most is None:
            yield
            return
        before = resource.getrlimit(resource.RLIMIT_DATA)
        mapped, taken = _memory("VmData"), _taken()
        _limit_data(int(mapped + max(self.most - taken, 0) + MARGIN_BYTES))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_DATA, before)

    def crossed(self) -> bool:
        """Whether more is taken than may be."""
        return self.most is not None and _taken() > self.most

    def overdrawn(self) -> bool:
        """Whether it still is when all that nobody uses has been let go."""
        if self.crossed():
            gc.collect()
            memory.give_back()
        return self.crossed()

    def close(self) -> None:
        """Nothing more is granted to this job but a reserve, for whoever is about to end it."""
        _limit_data(_memory("VmData") + RESERVE_BYTES)

    def refusal(self) -> OutOfMemory:
        """What its owner is told."""
        share = f" than the {self.most / 1e9:.1f} GB it may have" if self.most is not None else ""
        return OutOfMemory(
            f"The job wanted more memory{share}. Ask for a smaller resolution, texture_size or view_size."
        )


def is_shortage(error: BaseException) -> bool:
    """Whether ``error`` says that there was no more memory, in whichever library's words."""
    return isinstance(error, MemoryError) or any(words in str(error) for words in _REFUSALS)


def _taken() -> int:
    """Bytes in RAM or swapped out that are nobody else's; pages of files can be read again, so do not count."""
    return _memory("RssAnon", "RssShmem", "VmSwap")


def _memory(*fields: str) -> int:
    """The sum of these fields of ``/proc/self/status``, bytes."""
    wanted = {f"{field}:" for field in fields}
    lines = Path("/proc/self/status").read_text().splitlines()
    return sum(int(line.split()[1]) * 1024 for line in lines if line.partition("\t")[0] in wanted)


def _limit_data(wanted: int) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))
