"""``maquette submit``: photos into a running cloud, progress while they are worked on, models out of it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from infra.commands import Via
from infra.commands.console import console, output, plain, show_error, shown, size_text
from infra.commands.dropping import DropFolder
from infra.commands.service import Service, error_named
from infra.errors import BadInput, MaquetteError
from infra.local.state import Running
from infra.names import folders


@dataclass
class Outcome:
    """What became of one photo."""

    photo: Path
    folder: Path
    job: dict[str, Any] = field(default_factory=dict)
    files: list[Path] = field(default_factory=list)
    seconds: float = 0.0
    error: MaquetteError | None = None

    @property
    def manifest(self) -> dict[str, Any]:
        """The manifest as downloaded; empty when there is none."""
        path = self.folder / "manifest.json"
        return dict(json.loads(path.read_text(encoding="utf-8"))) if path in self.files else {}


def submit(
    running: Running,
    photos: Sequence[Path],
    options: Mapping[str, Any],
    *,
    via: Via,
    out: Path,
    check: Callable[[], None] = lambda: None,
) -> list[Outcome]:
    """Submit all photos at once, follow them with a bar each, download what came of them.

    ``check`` is called now and then and may raise to end it all: a cloud of our own may have died.
    """
    for photo in photos:
        if not photo.is_file():
            raise BadInput(f"There is no file {photo}.")
    outcomes = [Outcome(photo, folder) for photo, folder in folders(photos, out)]
    asyncio.run(_submit_all(running, outcomes, options, via, check))
    return outcomes


def hand_in(running: Running, photos: Sequence[Path], options: Mapping[str, Any], *, via: Via) -> list[str]:
    """Submit all photos and wait for nothing; their job ids."""

    async def all_of_them() -> list[str]:
        async with _service(running) as service:
            place = _place(running, service, via)
            return list(await asyncio.gather(*(place(photo, options) for photo in photos)))

    return asyncio.run(all_of_them())


def _service(running: Running) -> Service:
    return Service(running.url, running.socket_url, running.environment.get("MAQUETTE_ACCESS_KEY"))


async def _submit_all(
    running: Running,
    outcomes: list[Outcome],
    options: Mapping[str, Any],
    via: Via,
    check: Callable[[], None],
) -> None:
    bars = Bars()
    async with _service(running) as service:
        place = _place(running, service, via)
        with bars:
            work = [asyncio.create_task(_submit_one(service, place, o, options, bars)) for o in outcomes]
            try:
                while not all(task.done() for task in work):
                    await asyncio.wait(work, timeout=0.5)
                    check()
                await asyncio.gather(*work)  # raises what any of them has raised
            finally:
                for task in work:
                    task.cancel()
                await asyncio.gather(*work, return_exceptions=True)


def _place(running: Running, service: Service, via: Via) -> Callable[[Path, Mapping[str, Any]], Any]:
    return service.create_job if via == "rest" else DropFolder(running.environment).drop


async def _submit_one(
    service: Service,
    place: Callable[[Path, Mapping[str, Any]], Any],
    outcome: Outcome,
    options: Mapping[str, Any],
    bars: Bars,
) -> None:
    started = time.perf_counter()
    bars.add(outcome.photo)
    try:
        job_id = await place(outcome.photo, options)
        async for outcome.job in service.snapshots(job_id):
            bars.show(outcome.photo, outcome.job)
        if outcome.job["status"] == "succeeded":
            outcome.files = await service.download(job_id, outcome.folder)
        else:
            outcome.error = error_named(outcome.job.get("error") or {"code": outcome.job["status"]})
    except MaquetteError as error:
        outcome.error = error
    outcome.seconds = time.perf_counter() - started


class Bars:
    """A live bar per photo; on anything but a terminal, a line whenever a photo reaches another stage."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.fields[photo]}"),
            TextColumn("[cyan]{task.description:<15}[/]"),
            BarColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._tasks: dict[Path, TaskID] = {}
        self._told: dict[Path, str] = {}

    def __enter__(self) -> Bars:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def add(self, photo: Path) -> None:
        """A bar for one more photo."""
        self._tasks[photo] = self._progress.add_task("sending", total=1.0, photo=plain(photo.name))

    def show(self, photo: Path, job: Mapping[str, Any]) -> None:
        """Draw what the job's record says."""
        state = job["stage"] if job["status"] == "running" and job["stage"] else job["status"]
        if job["status"] == "running" and job["attempt"] > 1:
            state = f"{state} (try {job['attempt']})"
        self._progress.update(self._tasks[photo], description=state, completed=job["progress"])
        if not console.is_terminal and self._told.get(photo) != state:
            self._told[photo] = state
            console.print(f"{plain(photo.name)}: {state}")


def report(outcomes: Sequence[Outcome]) -> None:
    """The closing table, and a sentence for each photo that failed."""
    table = Table()
    for column in ("photo", "engine", "faces", "watertight", "files", "size", "seconds", "folder"):
        table.add_column(column, justify="left" if column in ("photo", "engine", "folder") else "right")
    done = [outcome for outcome in outcomes if outcome.error is None]
    for outcome in done:
        mesh = outcome.manifest["mesh"]
        table.add_row(
            plain(outcome.photo.name),
            outcome.job["engine"],
            f"{mesh['faces']:,}",
            "yes" if mesh["watertight"] else "no",
            str(len(outcome.files)),
            size_text(sum(path.stat().st_size for path in outcome.files)),
            f"{outcome.seconds:.1f}",
            shown(outcome.folder),
        )
    if done:
        output.print(table)
    for outcome in outcomes:
        if outcome.error is not None:
            console.print(plain(outcome.photo.name), style="bold", end=" failed: ")
            show_error(outcome.error)
