"""How much memory there is for work: the machine's, or its container's where that is less."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from infra.machine import container_limits, memory_for_work

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory is watched on Linux alone")


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ({"cgroup": "0::/\n", "memory.max": "1000"}, [1000.0]),
        ({"cgroup": "0::/\n", "memory.max": "max"}, []),
        ({"cgroup": "0::/a/b\n", "a/b/memory.max": "max", "a/memory.max": "700"}, [700.0]),
        ({"cgroup": "0::/docker/0123\n", "memory.max": "500"}, [500.0]),
        (
            {"cgroup": "3:cpu:/x\n4:memory:/x\n0::/\n", "memory/x/memory.limit_in_bytes": "600"},
            [600.0],
        ),
        ({"cgroup": ""}, []),
    ],
)
def test_a_containers_limit_is_found_wherever_its_system_tells_it(
    tmp_path: Path, written: dict[str, str], expected: list[float]
) -> None:
    for name, text in written.items():
        path = tmp_path / ("process" if name == "cgroup" else "groups") / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert container_limits(tmp_path / "process", tmp_path / "groups") == expected


def test_unless_told_otherwise_a_tenth_of_the_machine_is_left_to_its_system() -> None:
    limit = memory_for_work()
    assert limit is not None
    total = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal"))
    assert limit <= 0.9 * int(total.split()[1]) * 1024 + 1
