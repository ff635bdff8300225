"""Numba functions that are compiled once per machine, and also work where nothing can be written."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

log = logging.getLogger(__name__)

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F) -> F:
    """Compile ``function`` to machine code; it lets go of the interpreter's lock and uses one thread.

    Threads come from the caller: numba's own pool must not be entered from two threads at a time. The machine
    code is kept in ``NUMBA_CACHE_DIR``, else beside the source, else in the user's cache folder; where none of
    them can be written every process compiles for itself.

    It may take numbers to be finite, and sums in any order to be the same.
    """
    return _compiled(function, fastmath=True)


def compiled_exactly(function: F) -> F:
    """:func:`compiled`, with every operation as it is written: numbers may be infinite or undefined."""
    return _compiled(function, fastmath=False)


def _compiled(function: F, fastmath: bool) -> F:
    try:
        return cast(F, numba.njit(function, cache=True, nogil=True, fastmath=fastmath, error_model="numpy"))
    except RuntimeError as error:
        log.info("no folder for compiled code (%s): %s is compiled in this process", error, function.__name__)
        return cast(F, numba.njit(function, nogil=True, fastmath=fastmath, error_model="numpy"))
