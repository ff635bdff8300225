"""How much memory a job may have: one that wants more fails, and the machine goes on.

Two lines of defence. The worker looks several times a second (:meth:`Allowance.crossed`), which ends a job that
grows step by step. And the kernel grants no more than the allowance and a margin (``RLIMIT_DATA``), for code
that grows faster than anybody looks, or lets nobody look meanwhile; it sees a :class:`MemoryError`. Processes
that a job starts inherit the second line.

Both are Linux's; on other systems memory is not watched. Reference: setrlimit(2), proc(5), cgroups(7).
"""

from __future__ import annotations

import contextlib
import gc
import os
import resource
import sys
from collections.abc import Iterator
from pathlib import Path

from infra.errors import OutOfMemory

#: what of the memory that there is a worker may have; the rest is its system's
SHARE = 0.9
#: what may be mapped beyond what may be taken: stacks of threads, and rooms that nobody has entered yet
MARGIN_BYTES = 512 * 2**20
#: what whoever holds the job may still need once the allowance is used up
RESERVE_BYTES = 64 * 2**20

#: how libraries say that they were given no memory, where they do not raise MemoryError: torch, OpenCV, C++
_REFUSALS = ("can't allocate memory", "Insufficient memory", "Failed to allocate", "std::bad_alloc")


class Allowance:
    """The most that this process may have in RAM while a job runs, bytes; None: nobody looks."""

    def __init__(self, most: float | None) -> None:
        self.most = most

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


def for_this_machine() -> float | None:
    """Nine tenths of what machine or container has, bytes; None where nobody looks."""
    if sys.platform != "linux":
        return None
    return SHARE * min(_machine(), *container_limits())


def is_shortage(error: BaseException) -> bool:
    """Whether ``error`` says that there was no more memory, in whichever library's words."""
    return isinstance(error, MemoryError) or any(words in str(error) for words in _REFUSALS)


def container_limits(process: Path = Path("/proc/self"), groups: Path = Path("/sys/fs/cgroup")) -> list[float]:
    """What the process's control groups, old or new, may have, bytes; those without a limit are left out."""
    limits = []
    for line in (process / "cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers not in ("", "memory"):
            continue
        root, name = (groups / "memory", "memory.limit_in_bytes") if controllers else (groups, "memory.max")
        group = root / path.lstrip("/")
        # A container sees its own group as the root, whatever path it is told: look all the way up.
        for place in (group, *group.parents[: len(group.relative_to(root).parts)]):
            with contextlib.suppress(OSError, ValueError):  # no such file, or "max"
                limits.append(float((place / name).read_text()))
    return limits


def _machine() -> float:
    return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))


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
