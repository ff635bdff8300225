"""``python -m gpu_container PHOTO… --out DIR``, behind ``maquette run``: photos → models, no cloud."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.logging import RichHandler
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from infra import flags
from infra.commands.console import plain, shown
from infra.errors import InternalError, MaquetteError
from infra.names import folders, visible
from infra.options import OPTION_NAMES, Options
from infra.stages import STAGES
from infra.weights import default_directory, default_matte_model

if TYPE_CHECKING:
    from gpu_container.pipeline import Result

#: names taken from a folder; single files are judged by their content alone
PICTURES = {".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif", ".heic", ".heif"}

log = logging.getLogger(__name__)
console = Console(stderr=True)


@dataclass(frozen=True)
class Done:
    """One photo's outcome."""

    photo: Path
    folder: Path
    seconds: float
    outcome: Result | MaquetteError


def run(
    photos: Annotated[list[Path], typer.Argument(help="Photos, or folders of photos.", exists=True)],
    out: Annotated[Path, typer.Option(help="Results go to OUT/<photo's name>/.")],
    engine: flags.Engine = None,
    background: flags.Background = None,
    foreground_ratio: flags.ForegroundRatio = None,
    resolution: flags.Resolution = None,
    texture_size: flags.TextureSize = None,
    target_faces: flags.TargetFaces = None,
    parts: flags.Parts = None,
    lods: flags.Lods = None,
    texture_source: flags.TextureSource = None,
    ambient_occlusion: flags.AmbientOcclusion = None,
    views: flags.Views = None,
    view_size: flags.ViewSize = None,
    print_height_mm: flags.PrintHeight = None,
    weights: Annotated[
        Path | None, typer.Option(help="Folder of the TripoSR weights.", envvar="MAQUETTE_WEIGHTS")
    ] = None,
    matte_model: Annotated[
        Path | None, typer.Option(help="U²-Net's u2net.onnx.", envvar="MAQUETTE_MATTE_MODEL")
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say what is being done.")] = False,
) -> None:
    """Make textured 3D models of photos, here and now, without any cloud."""
    given = {name: value for name, value in locals().items() if name in OPTION_NAMES}
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING,
        format="%(message)s",
        handlers=[RichHandler(console=console, show_path=False, show_time=False)],
    )
    try:
        options = Options.parse(given)
        jobs = folders(_expand(photos), out)
    except MaquetteError as error:
        console.print(f"[red]{error.code}[/]: {plain(error.message)}", highlight=False)
        raise typer.Exit(2) from None
    done = _run_all(jobs, options, weights or default_directory(), matte_model or default_matte_model())
    for one in done:
        if isinstance(one.outcome, MaquetteError):
            _report_failure(one.photo, one.outcome)
        else:
            _report(one, one.outcome)
    if any(isinstance(one.outcome, MaquetteError) for one in done):
        raise typer.Exit(1)


def _expand(photos: list[Path]) -> Iterator[Path]:
    for path in photos:
        if not path.is_dir():
            yield path
            continue
        found = sorted(p for p in path.iterdir() if p.suffix.lower() in PICTURES)
        if not found:
            raise typer.BadParameter(f"There are no pictures in {path}.")
        yield from found


def _run_all(
    jobs: list[tuple[Path, Path]], options: Options, weights: Path | None, matte_model: Path | None
) -> list[Done]:
    with console.status("Warming up …"):
        # Late, so that --help and a mistyped option answer at once.
        from gpu_container.device import set_threads
        from gpu_container.engines import triposr
        from gpu_container.pipeline import Models

        set_threads()
        models = Models(weights=weights, matte=matte_model)
    if options.engine == "auto" and not triposr.present(weights):
        where = f"in {shown(weights)}" if weights else "here"
        console.print(f"Engine: inflate, since there are no TripoSR weights {where}.", highlight=False)
    return [_run_one(photo, folder, options, models) for photo, folder in jobs]


def _run_one(photo: Path, folder: Path, options: Options, models: Any) -> Done:
    from gpu_container import pipeline

    bars = Progress(
        TextColumn("  {task.description:<12}"),
        BarColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
    )
    console.print(f"[bold]{plain(photo.name)}[/] → {shown(folder)}", highlight=False)
    started = time.perf_counter()
    outcome: Result | MaquetteError
    with bars:
        tasks = {stage: bars.add_task(stage, total=1.0, start=False) for stage in STAGES if stage != "upload"}

        def show(stage: str, fraction: float) -> None:
            if not bars.tasks[tasks[stage]].started:
                bars.start_task(tasks[stage])
            bars.update(tasks[stage], completed=fraction)

        try:
            outcome = pipeline.run(photo.read_bytes(), photo.name, options, folder, show, models)
        except MaquetteError as error:
            outcome = error
        except Exception:  # one photo's defect must not cost the others
            log.exception("%s failed", visible(str(photo)))
            outcome = InternalError("Something went wrong that should not have; the trace is above.")
    return Done(photo, folder, time.perf_counter() - started, outcome)


def _report_failure(photo: Path, error: MaquetteError) -> None:
    console.print(f"[red]{plain(photo.name)}: {error.code}[/]: {plain(error.message)}", highlight=False)


def _report(done: Done, result: Result) -> None:
    """The closing table of one photo: files, sizes, faces and seconds."""
    stages = "  ".join(f"{stage} {seconds:.2f}" for stage, seconds in result.timings.items())
    table = Table(title=shown(done.folder), caption=stages, title_justify="left", caption_justify="left")
    table.add_column("file")
    table.add_column("size", justify="right")
    views = [path for path in result.files if path.name.startswith("render_")]
    for path in result.files:
        if path not in views:
            table.add_row(path.name, _size(path.stat().st_size))
    if views:
        table.add_row(f"{views[0].name} … {views[-1].name}", _size(sum(p.stat().st_size for p in views)))
    table.add_section()
    table.add_row("engine", result.engine)
    table.add_row("faces", f"{result.faces:,}")
    table.add_row("seconds", f"{done.seconds:.1f}")
    Console().print(table, highlight=False)


def _size(size: float) -> str:
    for unit, scale in (("MB", 1e6), ("kB", 1e3)):
        if size >= scale:
            return f"{size / scale:.1f} {unit}"
    return f"{size:.0f} B"


if __name__ == "__main__":
    app = typer.Typer(add_completion=False)
    app.command()(run)
    app(prog_name="maquette run")
