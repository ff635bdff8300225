"""`make bench`: seconds per stage of the warm pipeline, orbit and TripoSR against the plain formulas, the site.

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
from tests.bench import machine, model, orbit, site, stages, triposr

RESULT = Path(__file__).parents[2] / "build" / "bench.json"


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="three runs of one photo instead of five of each")
    parser.add_argument("--site", action="store_true", help="the site alone; writes nothing")
    parser.add_argument(
        "--models", action="store_true", help="stages, mesh, texture, files alone; writes nothing"
    )
    parser.add_argument("photos", nargs="*", type=Path, help="instead of the project's samples")
    asked = parser.parse_args()
    runs = 3 if asked.quick else 5
    console = Console()
    if asked.site:
        console.print(f"Load before: {machine.load():.1f}")
        _print_site(site.measure(runs, console), console)
        return
    photos = asked.photos or stages.sample_photos()
    threads = set_threads()
    before = machine.load()
    measured = [stages.measure(photo, runs, console) for photo in (photos[:1] if asked.quick else photos)]
    models = _models(measured[0], runs, console)
    if asked.models:
        console.print(f"Load before: {before:.1f}")
        console.print(_stages_table(measured, runs))
        _print_models(models, runs, console)
        return
    rendered = orbit.measure(measured[0].field, measured[0].grid, runs, console)
    learned = triposr.measure(runs, console)
    seen = site.measure(runs, console)
    result = {
        "machine": machine.describe(threads),
        "load": {"before": before, "after": machine.load()},
        "runs": runs,
        "pipeline": {one.name: one.as_dict() for one in measured},
        "orbit": rendered.as_dict(),
        "model": {one.name: one.as_dict() for one in models},
        "triposr": learned.as_dict(),
        "site": seen.as_dict() if seen else None,
    }
    console.print(_stages_table(measured, runs))
    console.print(
        _table(f"Orbit of {rendered.views} views at {rendered.size}², median of {rendered.runs}", rendered)
    )
    _print_models(models, runs, console)
    console.print(_triposr_parts(learned, runs))
    console.print(_triposr_job(learned, runs))
    _print_site(seen, console)
    if before > 1:
        console.print(f"The machine was busy (load {before:.1f} before the start): expect less on a free one.")
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    console.print(f"Written to {RESULT}")


def _models(photo: stages.Measured, runs: int, console: Console) -> list[model.Measured]:
    """Of a photo by its engine, and of the known scene as TripoSR would see it."""
    given = {photo.name: (photo.field, model.plain_raw(photo.field), photo.field.color)}
    given["the chair"] = triposr.scene_field()
    return [model.measure(name, *ways, runs, console) for name, ways in given.items()]


def _print_models(models: list[model.Measured], runs: int, console: Console) -> None:
    for one in models:
        console.print(_table(f"Mesh, texture and files of {one.name}, median of {runs}", one))


def _print_site(seen: site.Measured | None, console: Console) -> None:
    if seen:
        console.print(_table(f"The site before a cloud on this machine, median of {seen.runs}", seen))


def _stages_table(measured: list[stages.Measured], runs: int) -> Table:
    table = Table(title=f"Warm pipeline, default options, seconds, median of {runs}")
    table.add_column("stage")
    for one in measured:
        table.add_column(f"{one.name} ({one.engine})", justify="right")
    for stage in measured[0].medians:
        table.add_row(stage, *(f"{one.medians.get(stage, 0):.2f}" for one in measured))
    table.add_row("all", *(f"{one.total:.2f}" for one in measured), style="bold")
    return table


def _table(title: str, measured: orbit.Measured | model.Measured | site.Measured) -> Table:
    table = Table(title=title)
    table.add_column("")
    table.add_column("", justify="right")
    for what, value in measured.rows():
        table.add_row(what, value)
    return table


def _triposr_parts(learned: triposr.Measured, runs: int) -> Table:
    told = ", ".join(f"{name} {peak / 1e9:.0f}" for name, peak in learned.peaks.items())
    table = Table(title=f"TripoSR's parts, median of {runs}", caption=f"matrix products, GFLOP/s: {told}")
    for column in ("", "plain, s", "ours, s", "times", "GFLOP", "GFLOP/s", "of peak", "agreement"):
        table.add_column(column, justify="left" if column in ("", "agreement") else "right")
    for name, part in learned.parts.items():
        rate = part.flops / part.ours
        table.add_row(
            name, f"{part.plain:.2f}", f"{part.ours:.2f}", f"{part.ratio:.1f}", f"{part.flops / 1e9:.0f}",
            f"{rate / 1e9:.0f}", f"{rate / learned.peaks['float32']:.0%}", part.agreement,
        )  # fmt: skip
    return table


def _triposr_job(learned: triposr.Measured, runs: int) -> Table:
    table = Table(title=f"TripoSR, a whole job with default options, median of {runs}")
    table.add_column("")
    table.add_column("", justify="right")
    for stage, seconds in learned.stages.items():
        table.add_row(f"{stage}, seconds", f"{seconds:.2f}")
    table.add_row("all, seconds", f"{learned.job:.2f}", style="bold")
    table.add_row("plain network, grid, views and texels, seconds", f"{learned.plain_job:.0f}")
    table.add_row("30 views at 512², seconds", f"{learned.large_views:.2f}")
    table.add_row("their agreement with the plain formulas, decibels", f"{learned.large_decibels:.1f}")
    for resolution, size in learned.memory.items():
        table.add_row(f"peak memory of a process with a {resolution}³ grid, GB", f"{size / 1e9:.2f}")
    return table


main()
