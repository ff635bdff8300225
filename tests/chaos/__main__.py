"""Rounds of faults until the time is up; the exit status is 1 when anything did not hold.

python -m tests.chaos [--seed N] [--minutes M] [--jobs J] [--pipeline light|real]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time

from tests.chaos.round import Report, play


def main() -> int:
    """One round in this process, or several in processes of their own: each has its own environment."""
    parser = argparse.ArgumentParser(prog="tests.chaos")
    parser.add_argument("--seed", type=int, default=1, help="of the first round; the next has the next")
    parser.add_argument("--minutes", type=float, default=0.0, help="go on with rounds for so long")
    parser.add_argument("--jobs", type=int, default=60)
    parser.add_argument("--pipeline", choices=("light", "real"), default="light")
    given = parser.parse_args()
    if given.minutes <= 0:
        return tell(play(given.seed, given.jobs, given.pipeline))
    until, seed, bad = time.monotonic() + 60 * given.minutes, given.seed, []
    while time.monotonic() < until:
        # every third with the real pipeline: dearer, and the light one leaves more to chance
        pipeline = "real" if seed % 3 == 0 else given.pipeline
        flags = ["--seed", str(seed), "--jobs", str(given.jobs), "--pipeline", pipeline]
        if subprocess.run([sys.executable, "-m", "tests.chaos", *flags], check=False).returncode:
            bad.append(seed)
        seed += 1
    print(f"{seed - given.seed} rounds, {f'bad: {bad}' if bad else 'all well'}")
    return int(bool(bad))


def tell(report: Report) -> int:
    """Print what happened; 0 when all held."""
    statuses = ", ".join(f"{count} {status}" for status, count in sorted(report.statuses.items()))
    attempts = ", ".join(f"{count} at attempt {number}" for number, count in sorted(report.attempts.items()))
    print(
        f"seed {report.seed}: {report.jobs} photos in {report.seconds:.0f} s: {statuses} ({attempts}); "
        f"{report.lives} worker processes, {len(report.happened)} faults, {report.refused} refused writes"
    )
    if report.violations:
        print(*report.happened, "What did not hold:", *report.violations, sep="\n  ")
    return int(bool(report.violations))


if __name__ == "__main__":
    sys.exit(main())
