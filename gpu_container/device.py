"""Where tensors live, how many threads work, and what happens when a device's memory runs out."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numba
import torch

log = logging.getLogger(__name__)

#: points evaluated in one call of a Field, to begin with
CHUNK = 1 << 20
#: below this, halving again would not help
SMALLEST_CHUNK = 1 << 12
#: points that a thread takes at a time
PART = 1 << 15

#: what torch hands to MKL's vector mathematics on a CPU, of all that this project could call
VECTOR_MATHEMATICS = (
    *(torch.acos, torch.asin, torch.atan, torch.cos, torch.erf, torch.erfc, torch.exp, torch.expm1),
    *(torch.log, torch.log10, torch.log1p, torch.log2, torch.sin, torch.sqrt, torch.tan, torch.tanh),
)


def settle_vector_mathematics() -> None:
    """Call each of them once, for one number, while nobody else does.

    MKL 2024.2, in torch's own builds, chooses its kernel in a function's first call. Where several threads
    make that call together, one of them may take the least accurate kernel for its share of the numbers
    (relative errors of 1e-4, seen in ``exp``), and the same photo then does not give the same bytes
    (https://github.com/pytorch/pytorch/issues/188792).
    """
    for dtype in (torch.float32, torch.float64):
        for function in VECTOR_MATHEMATICS:
            function(torch.full((1,), 0.5, dtype=dtype))


settle_vector_mathematics()  # as this module loads: before anyone can have started a thread that calculates


def pick_device() -> torch.device:
    """CUDA when there is one, the CPU otherwise."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def set_threads(count: int | None = None) -> int:
    """The one place that says how many threads torch and numba use; returns the number.

    Defaults to the cores this process may run on (a container's share, not the machine's).
    """
    threads = count or len(os.sched_getaffinity(0))
    torch.set_num_threads(threads)
    numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))  # type: ignore[attr-defined]
    return threads


def evaluate(
    function: Callable[[torch.Tensor], torch.Tensor], points: torch.Tensor, chunk: int = CHUNK
) -> torch.Tensor:
    """``function(points)`` in chunks; running out of device memory halves the chunk and goes on.

    Args:
        function: ``(m, 3) -> (m, ...)``, such as a Field's ``density`` or ``color``.
        points: ``(n, 3) float32``.

    Raises:
        torch.OutOfMemoryError: even ``SMALLEST_CHUNK`` points did not fit. The pipeline then moves the
            field to the CPU.
    """
    results: list[torch.Tensor] = []
    start = 0
    while start < len(points) or not results:
        try:
            results.append(function(points[start : start + chunk]))
        except torch.OutOfMemoryError:
            if chunk <= SMALLEST_CHUNK:
                raise
            torch.cuda.empty_cache()
            chunk //= 2
            log.warning("out of memory on %s: going on with %d points at a time", points.device, chunk)
            continue
        start += chunk
    return torch.cat(results) if len(results) > 1 else results[0]


def in_parts(work: Callable[[slice], None], total: int, size: int = PART) -> None:
    """``work`` on each part of ``size`` of ``total`` things, side by side in as many threads as torch has.

    For machine code and numpy, which let go of the interpreter's lock.
    """
    parts = [slice(start, min(start + size, total)) for start in range(0, total, size)]
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        list(pool.map(work, parts))
