"""Rounds of faults until the time is up, then a table of them; the exit status is 1 when anything did not hold.

python -m tests.chaos [--seed N] [--minutes M] [--jobs J] [--pipeline light|real]
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tests.chaos.round import PIPELINES, Report, play

#: every so many rounds the real pipeline runs: dearer, and the light one leaves more to chance
REAL_EVERY = 3


def main() -> int:
    """One round in this process, or several in processes of their own: each has its own environment."""
    parser = argparse.ArgumentParser(prog="tests.chaos")
    parser.add_argument("--seed", type=int, default=1, help="of the first round; the next has the next")
    parser.add_argument("--minutes", type=float, default=0.0, help="go on with rounds for so long")
    parser.add_argument("--jobs", type=int, default=60)
    parser.add_argument("--pipeline", choices=PIPELINES, default="light")
    parser.add_argument("--report", type=Path, help="write what one round showed there, as JSON")
    given = parser.parse_args()
    if given.minutes <= 0:
        report = play(given.seed, given.jobs, given.pipeline)
        if given.report:
            given.report.write_text(json.dumps(dataclasses.asdict(report)))
        return tell(report)
    until, seed = time.monotonic() + 60 * given.minutes, given.seed
    reports: list[Report] = []
    broken: list[int] = []
    with tempfile.TemporaryDirectory() as folder:
        while time.monotonic() < until:
            pipeline = "real" if seed % REAL_EVERY == 0 else given.pipeline
            path = Path(folder) / f"{seed}.json"
            flags = ["--seed", seed, "--jobs", given.jobs, "--pipeline", pipeline, "--report", path]
            status = subprocess.run(
                [sys.executable, "-m", "tests.chaos", *map(str, flags)], check=False
            ).returncode
            if status:
                broken.append(seed)
            if path.exists():
                reports.append(Report(**json.loads(path.read_text())))
            seed += 1
    print(*table(reports), sep="\n")
    print(f"{seed - given.seed} rounds, " + (f"bad: seeds {broken}" if broken else "all well"))
    return int(bool(broken))


def tell(report: Report) -> int:
    """Print what happened; 0 when all held."""
    statuses = ", ".join(f"{count} {status}" for status, count in sorted(report.statuses.items()))
    attempts = ", ".join(f"{count} at attempt {number}" for number, count in sorted(report.attempts.items()))
    print(
        f"seed {report.seed}: {report.jobs} photos in {report.seconds:.0f} s: {statuses} ({attempts}); "
        f"{report.lives} worker processes, {sum(report.faults.values())} faults, "
        f"{report.refused} refused writes",
        flush=True,
    )
    if report.given_up:
        print("Given up:", *report.given_up, sep="\n  ", flush=True)
    if report.violations:
        print(*report.happened, "What did not hold:", *report.violations, sep="\n  ", flush=True)
    return int(bool(report.violations))


def table(reports: Sequence[Report]) -> list[str]:
    """A line for each round, one for all of them, and how often each fault came to pass."""
    head = (
        "seed",
        "pipeline",
        "photos",
        "models",
        "failed",
        "1 try",
        "2",
        "3",
        "lives",
        "faults",
        "refused",
        "bad",
    )
    rows = [
        [
            report.jobs,
            *(report.statuses.get(status, 0) for status in ("succeeded", "failed")),
            *(report.attempts.get(number, 0) for number in ("1", "2", "3")),
            report.lives,
            sum(report.faults.values()),
            report.refused,
            len(report.violations),
        ]
        for report in reports
    ]
    named = [(report.seed, report.pipeline, *row) for report, row in zip(reports, rows, strict=True)]
    sums = ("all", "", *map(sum, zip(*rows, strict=True)))
    faults: Counter[str] = sum((Counter(report.faults) for report in reports), Counter())
    return [
        *("  ".join(f"{cell!s:>8}" for cell in row) for row in (head, *named, sums)),
        ", ".join(f"{kind} {count}" for kind, count in sorted(faults.items())),
    ]


if __name__ == "__main__":
    sys.exit(main())
