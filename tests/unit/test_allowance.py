"""A job's memory: what is granted, what is refused, and in whose words a refusal comes."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from gpu_container.allowance import Allowance, is_shortage

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory is watched on Linux alone")


def run(program: str) -> str:
    """What a fresh process with an allowance of 300 MB prints."""
    head = "from gpu_container.allowance import Allowance\nallowance = Allowance(300e6)\n"
    answer = subprocess.run([sys.executable, "-c", head + program], cwd=ROOT, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    return answer.stdout.strip()


def test_what_grows_step_by_step_is_seen_to_cross_it() -> None:
    program = (
        "blocks = []\n"
        "with allowance.granted():\n"
        "    while not allowance.crossed():\n"
        "        blocks.append(bytearray(b'x') * 1_000_000)\n"
        "print(len(blocks))\n"
    )
    assert 270 < int(run(program)) <= 300


def test_what_grows_at_one_stroke_is_refused_and_the_process_goes_on() -> None:
    program = (
        "with allowance.granted():\n"
        "    try:\n"
        "        bytearray(b'x') * 2**30\n"
        "    except MemoryError:\n"
        "        print('refused', allowance.crossed())\n"
        "print(len(bytearray(b'x') * 2**30) // 2**30)\n"
    )
    assert run(program).split() == ["refused", "False", "1"], "afterwards it may again"


def test_once_closed_nothing_but_a_reserve_is_given() -> None:
    program = (
        "with allowance.granted():\n"
        "    allowance.close()\n"
        "    kept = bytearray(b'x') * 20_000_000\n"
        "    try:\n"
        "        bytearray(b'x') * 100_000_000\n"
        "    except MemoryError:\n"
        "        print('refused')\n"
    )
    assert run(program) == "refused"


def test_rooms_that_nobody_enters_do_not_count() -> None:
    program = (
        "import mmap\n"
        "with allowance.granted():\n"
        "    room = mmap.mmap(-1, 400_000_000, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)\n"
        "    print(allowance.crossed())\n"
        "    room.write(bytes(320_000_000))\n"
        "    print(allowance.crossed())\n"
    )
    assert run(program).split() == ["False", "True"]


def test_processes_that_a_job_starts_are_held_to_it_too() -> None:
    program = (
        "import subprocess, sys\n"
        "with allowance.granted():\n"
        "    child = subprocess.run([sys.executable, '-c', 'bytearray(b\"x\") * 2**30'], capture_output=True)\n"
        "print(b'MemoryError' in child.stderr)\n"
    )
    assert run(program) == "True"


def test_an_allowance_of_nothing_in_particular_limits_nothing() -> None:
    before = resource.getrlimit(resource.RLIMIT_DATA)
    with Allowance(None).granted():
        assert resource.getrlimit(resource.RLIMIT_DATA) == before
    assert not Allowance(None).crossed()


def test_a_shortage_is_known_in_every_librarys_words() -> None:
    def refused(call: str) -> Exception:
        # more than any machine has mapped, so that nothing need be limited
        calls = {
            "python": lambda: bytearray(2**62),
            "numpy": lambda: np.empty(2**58),
            "torch": lambda: torch.empty(2**58),
            "opencv": lambda: cv2.copyMakeBorder(
                np.zeros((1, 1), np.float64), 0, 2**30, 0, 2**30, cv2.BORDER_CONSTANT
            ),
        }
        with pytest.raises(Exception) as raised:
            calls[call]()
        return raised.value

    for library in ("python", "numpy", "torch", "opencv"):
        assert is_shortage(refused(library)), library
    assert not is_shortage(ValueError("cannot reshape array"))
