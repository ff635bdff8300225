"""What the numbers were measured on."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path

import torch

PACKAGES = ("torch", "numpy", "numba", "opencv-python-headless", "imageio-ffmpeg", "xatlas")


def describe(threads: int) -> dict[str, object]:
    """Processor, cores, memory, accelerator and versions."""
    return {
        "cpu": _from_proc("/proc/cpuinfo", "model name") or platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "threads": threads,
        "memory": _from_proc("/proc/meminfo", "MemTotal"),
        "accelerator": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
    }


def load() -> float:
    """How many processes wanted to run over the last minute."""
    return os.getloadavg()[0]


def _from_proc(path: str, key: str) -> str | None:
    """The first value of ``key`` in one of Linux's lists of facts."""
    file = Path(path)
    if not file.exists():
        return None
    for line in file.read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == key:
            return value.strip()
    return None
