"""How much memory a job has taken at its peak, megabytes of a million bytes; and that it is given back.

Reference: proc(5), ``VmHWM`` in ``/proc/pid/status`` and ``/proc/pid/clear_refs``. ``getrusage`` serves other
systems: its peak is that of a whole life, and on Linux counts what the parent had in memory when it forked.
mallopt(3), malloc_trim(3): GNU's C library alone has them.
"""

from __future__ import annotations

import contextlib
import ctypes
import resource
import sys
from pathlib import Path
from typing import Any

_PROCESS = Path("/proc/self")
_RESET_PEAK = "5"
#: malloc.h
_M_ARENA_MAX = -8
_ARENAS = 2


def share_arenas() -> None:
    """All threads of this process shall take memory from the same few places, from now on.

    Else each has one of its own, where what earlier jobs have left lies scattered: a worker that is given job
    after job grows, and takes half as much again at its peak.
    """
    if (mallopt := _of_libc("mallopt")) is not None:
        mallopt(_M_ARENA_MAX, _ARENAS)


def give_back() -> None:
    """Return to the system what has been freed."""
    if (malloc_trim := _of_libc("malloc_trim")) is not None:
        malloc_trim(0)


def reset_peaks() -> None:
    """A job begins: forget the peaks of earlier ones, where the system can."""
    with contextlib.suppress(OSError):
        (_PROCESS / "clear_refs").write_text(_RESET_PEAK)
    if (cuda := _cuda()) is not None:
        cuda.reset_peak_memory_stats()


def peak() -> float:
    """Most memory that this process had in RAM at once, since :func:`reset_peaks` or since it began."""
    try:
        lines = (_PROCESS / "status").read_text().splitlines()
    except OSError:
        return (
            resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6
        )
    kibibytes = next(line.split()[1] for line in lines if line.startswith("VmHWM:"))
    return int(kibibytes) * 1024 / 1e6


def device_peak() -> float | None:
    """Most memory that tensors had on the CUDA device since :func:`reset_peaks`; None where there is none."""
    cuda = _cuda()
    return None if cuda is None else cuda.max_memory_allocated() / 1e6


def _of_libc(name: str) -> Any:
    return getattr(ctypes.CDLL(None), name, None)


def _cuda() -> Any:
    # A process that has not loaded torch has nothing on a device, and need not load it to learn so.
    torch = sys.modules.get("torch")
    return torch.cuda if torch is not None and torch.cuda.is_available() else None
