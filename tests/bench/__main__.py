"""`make bench`: seconds per stage of the warm pipeline, and the orbit against the plain formulas.

Medians over several runs on this machine as it is; whatever else runs on it is in the numbers, so the load is
noted beside them. Writes ``build/bench.json``.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from rich.console import Console
from rich.table import Table

from gpu_container.device import set_threads
from tests.bench import machine, orbit, stages

RESULT = Path(__file__).parents[2] / "build" / "bench.json"


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="three runs of one photo instead of five of each")
    parser.add_argument("photos", nargs="*", type=Path, help="instead of the project's samples")
    asked = parser.parse_args()
    runs = 3 if asked.quick else 5
    photos = asked.photos or stages.sample_photos()
    threads = set_threads()
    console = Console()
    before = machine.load()
    measured = [stages.measure(photo, runs, console) for photo in (photos[:1] if asked.quick else photos)]
    rendered = orbit.measure(measured[0].field, measured[0].grid, runs, console)
    result = {
        "machine": machine.describe(threads),
        "load": {"before": before, "after": machine.load()},
        "runs": runs,
        "pipeline": {one.name: one.as_dict() for one in measured},
        "orbit": rendered.as_dict(),
    }
    console.print(_stages_table(measured, runs))
    console.print(_orbit_table(rendered))
    if before > 1:
        console.print(f"The machine was busy (load {before:.1f} before the start): expect less on a free one.")
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    console.print(f"Written to {RESULT}")


def _stages_table(measured: list[stages.Measured], runs: int) -> Table:
    table = Table(title=f"Warm pipeline, default options, seconds, median of {runs}")
    table.add_column("stage")
    for one in measured:
        table.add_column(f"{one.name} ({one.engine})", justify="right")
    for stage in measured[0].medians:
        table.add_row(stage, *(f"{one.medians.get(stage, 0):.2f}" for one in measured))
    table.add_row("all", *(f"{one.total:.2f}" for one in measured), style="bold")
    return table


def _orbit_table(rendered: orbit.Measured) -> Table:
    table = Table(title=f"Orbit of {rendered.views} views at {rendered.size}², median of {rendered.runs}")
    table.add_column("")
    table.add_column("", justify="right")
    for what, value in rendered.rows():
        table.add_row(what, value)
    return table


main()
