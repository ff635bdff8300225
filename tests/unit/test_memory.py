"""Peak memory: what the system counts, and a device only where something is on it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from gpu_container import memory

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(sys.platform != "linux", reason="no other system forgets a peak")
def test_the_peak_is_that_of_the_job() -> None:
    program = (
        "from gpu_container import memory\n"
        "def job(count):\n"
        "    memory.reset_peaks()\n"
        "    block = bytearray(b'x') * count\n"
        "    del block\n"
        "    return memory.peak()\n"
        "small, large, small_again = job(1), job(300_000_000), job(1)\n"
        "print(small, large - small, small_again - small)\n"
    )
    answer = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    small, more, after = map(float, answer.stdout.split())
    assert 5 < small < 100, "nothing of what pytest has in memory"
    assert 295 < more < 310
    assert abs(after) < 5


@pytest.mark.skipif(memory._of_libc("malloc_trim") is None, reason="another C library")
def test_what_was_freed_among_what_was_kept_is_given_back() -> None:
    program = (
        "from gpu_container import memory\n"
        "def now():\n"
        "    memory.reset_peaks()\n"
        "    return memory.peak()\n"
        "memory.share_arenas()\n"
        "blocks = [bytes(1000 + i % 7) for i in range(200_000)]\n"
        "full = now()\n"
        "blocks = blocks[::2000]\n"
        "memory.give_back()\n"
        "print(full - now(), len(blocks))\n"
    )
    answer = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    returned, kept = answer.stdout.split()
    assert float(returned) > 150
    assert kept == "100"


def test_a_process_without_torch_does_not_load_it_to_learn_that_it_uses_no_device() -> None:
    program = (
        "import sys\n"
        "from gpu_container import memory\n"
        "memory.reset_peaks()\n"
        "print(memory.device_peak(), 'torch' in sys.modules)\n"
    )
    answer = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert answer.stdout == "None False\n", answer.stderr


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a device")
def test_a_machine_without_a_device_has_no_peak_of_it() -> None:
    memory.reset_peaks()
    assert memory.device_peak() is None


@pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no device")
def test_the_device_peak_is_that_of_the_job() -> None:
    held = torch.zeros(25_000_000, device="cuda")
    memory.reset_peaks()
    peak = memory.device_peak()
    assert peak is not None
    more = torch.zeros(50_000_000, device="cuda")
    del more
    later = memory.device_peak()
    assert later is not None
    assert later - peak == pytest.approx(200, abs=5)
    del held
    memory.reset_peaks()
    lowest = memory.device_peak()
    assert lowest is not None
    assert lowest < peak
