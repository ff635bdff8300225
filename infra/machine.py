"""How much memory there is for work, on this machine or in this container.

Reference: cgroups(7); Linux kernel documentation, "Control Group v2" (memory.max) and "Memory Resource
Controller" (memory.limit_in_bytes).
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

#: the rest is the system's
SHARE = 0.9


def memory_for_work() -> float | None:
    """Nine tenths of what machine or container has, bytes; None where memory is not watched."""
    if sys.platform != "linux":
        return None
    return SHARE * min(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"), *container_limits())


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
