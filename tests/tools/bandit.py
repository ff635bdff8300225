"""What bandit finds in the code, held against what is known and has its reason. ``make bandit``

    python -m tests.tools.bandit BANDIT

Ends with 1 for a finding without a reason, and for a reason without its finding.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable

ROOMS = ["functions", "infra", "gpu_container"]

#: asked of no file: they point at an import, or at every call that starts a process, whatever it is
NOT_ASKED = {
    "B403": "pickle is imported for its errors; checkpoints are read with weights_only",
    "B404": "programs are started: ffmpeg, ours, those of a deployment",
    "B603": "each from a list and never by way of a shell",
}
#: by file and kind
EXPLAINED = {
    ("gpu_container/pixels.py", "B101"): "tells the type checker what Pillow promises of a copy",
    (
        "infra/cli.py",
        "B606",
    ): "`maquette run` becomes the pipeline's program: this interpreter, a list, no shell",
    ("infra/commands/service.py", "B105"): "there is no token before the session has begun",
    ("infra/economy/scenarios.py", "B311"): "a simulation's chance is no secret, and repeats with its seed",
    ("infra/economy/simulation.py", "B311"): "the same",
    ("infra/local/gateway.py", "B104"): "asks whether it was told to listen everywhere; it is only when it was",
    ("infra/local/keep.py", "B608"): "names of tables and columns are ours; values are parameters",
    ("infra/local/moto.py", "B310"): "the address is the one that this process has just made, http",
}


def main() -> None:
    """Run bandit and judge what it says."""
    ended = subprocess.run(
        [sys.argv[1], "--quiet", "--recursive", *ROOMS, "--skip", ",".join(NOT_ASKED), "--format", "json"],
        capture_output=True,
        text=True,
    )
    report = json.loads(ended.stdout)
    found = {
        (
            result["filename"].removeprefix("./"),
            result["test_id"],
        ): f"{result['line_number']}: {result['issue_text']}"
        for result in report["results"]
    }
    problems = [
        f"{file}:{found[file, kind]} ({kind})" for file, kind in sorted(found.keys() - EXPLAINED.keys())
    ]
    problems += [
        f"{file}: {kind} is not there any more" for file, kind in sorted(EXPLAINED.keys() - found.keys())
    ]
    problems += [f"{error['filename']}: {error['reason']}" for error in report["errors"]]
    _end(problems)


def _end(problems: Iterable[str]) -> None:
    for problem in problems:
        print(problem, file=sys.stderr)
    if problems:
        raise SystemExit(1)
    print(f"bandit: nothing but the {len(EXPLAINED)} findings that have their reasons.")


if __name__ == "__main__":
    main()
