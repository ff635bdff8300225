"""``maquette``: the names and flags of the subcommands. What they do is in :mod:`infra.commands`."""

from __future__ import annotations

import os
import sys
from importlib.metadata import version as package_version
from pathlib import Path
from typing import Annotated, Any, Literal

from infra.commands import Via
from infra.errors import MaquetteError
from infra.names import visible
from infra.options import OPTION_NAMES, Options

try:
    import rich  # noqa: F401
    import typer

    from infra import flags
except ModuleNotFoundError as missing:  # the functions' installation has no need of a command line
    sys.exit(
        f"missing_dependency: the package {missing.name} is missing. Run 'make setup' in the checkout, "
        "or: pip install 'maquette[cli,local,pipeline]'"
    )

application = typer.Typer(
    name="maquette",
    help="One photo in, a textured 3D model out: event-driven on AWS, whole on one laptop.",
    epilog="Begin with: maquette demo",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Port = Annotated[
    int, typer.Option(min=0, max=65535, help="Port of REST, WebSocket and site; 0 takes a free one.")
]
Host = Annotated[str, typer.Option(help="Address to listen on; the default is for this machine alone.")]
EndpointUrl = Annotated[str | None, typer.Option(help="Use this AWS endpoint instead of starting moto.")]
Workers = Annotated[int, typer.Option(min=0, help="Worker processes.")]
Data = Annotated[
    Path | None, typer.Option(help="Data folder of the cloud [$MAQUETTE_DATA or ~/.local/state/maquette].")
]
WhichModel = Annotated[
    Literal["triposr", "u2net", "all"],
    typer.Argument(help="triposr makes the model, u2net cuts the object out."),
]
Out = Annotated[Path, typer.Option(help="Results go to OUT/<photo's name>/.")]

weights = typer.Typer(
    help="The weights of the learned models: fetched only when asked, never by themselves.",
    no_args_is_help=True,
)
application.add_typer(weights, name="weights")


def _version(wanted: bool) -> None:
    if wanted:
        print(f"maquette {package_version('maquette')}")  # noqa: T201
        raise typer.Exit


@application.callback()
def common(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and end.")
    ] = False,
) -> None:
    """One photo in, a textured 3D model out: event-driven on AWS, whole on one laptop."""


@application.command()
def up(
    port: Port = 8000,
    host: Host = "127.0.0.1",
    endpoint_url: EndpointUrl = None,
    workers: Workers = 1,
    data: Data = None,
) -> None:
    """Run the whole cloud on this machine, until Ctrl-C."""
    _require("local", "pipeline")
    from infra.commands import up as command

    command.up(_cloud_options(port, host, endpoint_url, workers, data))


@application.command()
def submit(
    photos: Annotated[
        list[Path], typer.Argument(metavar="PHOTO…", help="Photos.", exists=True, dir_okay=False)
    ],
    watch: Annotated[bool, typer.Option(help="Follow the jobs and download the results.")] = True,
    out: Out = Path("out"),
    via: Annotated[Via, typer.Option(help="The drop folder, or an upload through REST.")] = "inbox",
    data: Data = None,
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
) -> None:
    """Give photos to the running cloud, watch them, download the models."""
    given: dict[str, Any] = {
        name: value for name, value in locals().items() if name in OPTION_NAMES and value is not None
    }
    Options.parse(given)  # a mistake is told before anything is sent
    _require("cli", "local")
    from infra.commands import submit as command
    from infra.local.state import DataFolder

    running = DataFolder(_data(data)).running()
    if not watch:
        for photo, job_id in zip(photos, command.hand_in(running, photos, given, via=via), strict=True):
            print(f"{job_id}  {visible(photo.name)}")  # noqa: T201
        return
    outcomes = command.submit(running, photos, given, via=via, out=out)
    command.report(outcomes)
    if any(outcome.error for outcome in outcomes):
        raise typer.Exit(1)


@application.command()
def demo(
    once: Annotated[
        bool | None,
        typer.Option("--once/--stay", help="End when the models are there [when not on a terminal]."),
    ] = None,
    out: Out = Path("out"),
    port: Port = 8000,
    host: Host = "127.0.0.1",
    endpoint_url: EndpointUrl = None,
    workers: Workers = 1,
    data: Data = None,
) -> None:
    """Run a cloud, put the sample photos through it, check what comes out."""
    _require("cli", "local", "pipeline")
    from infra.commands import demo as command

    ends = not sys.stdout.isatty() if once is None else once
    if not command.demo(_cloud_options(port, host, endpoint_url, workers, data), once=ends, out=out):
        raise typer.Exit(1)


@application.command()
def env(data: Data = None) -> None:
    """Print shell exports with which the aws CLI and boto3 talk to the running cloud."""
    _require("local")
    from infra.commands import env as command

    command.env(_data(data))


@application.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
)
def run(context: typer.Context) -> None:
    """Make models of photos here and now, without any cloud: maquette run PHOTO… --out DIR."""
    _require("pipeline")
    # The pipeline is another room with a command line of its own: this process becomes it.
    os.execv(sys.executable, [sys.executable, "-P", "-m", "gpu_container", *context.args])  # noqa: S606


@weights.command("fetch")
def fetch_weights(
    model: WhichModel = "triposr",
    to: Annotated[
        Path | None,
        typer.Option(file_okay=False, help="Folder for the files [~/.cache/maquette/weights/MODEL]."),
    ] = None,
    keep_ckpt: Annotated[
        bool, typer.Option("--keep-ckpt", help="Keep model.ckpt beside the model.safetensors made of it.")
    ] = False,
) -> None:
    """Download published weights, check their SHA-256, and make them ready; resumes where it broke off."""
    _require("cli")
    from infra.commands import weights as command
    from infra.published import MODELS

    wanted = [known for known in MODELS if model in (known.name, "all")]
    command.fetch(wanted, to=to, keep_checkpoint=keep_ckpt)


@weights.command("verify")
def verify_weights(
    directory: Annotated[
        Path | None, typer.Argument(metavar="[DIR]", help="A folder of weights [every known place].")
    ] = None,
) -> None:
    """Read all weights and check that they are what was published; exit status 1 if not."""
    _require("cli")
    from infra.commands import weights as command

    if not command.verify(directory):
        raise typer.Exit(1)


@weights.command("list")
def list_weights() -> None:
    """Say which weights lie where; quick, since nothing large is read."""
    _require("cli")
    from infra.commands import weights as command

    command.show()


@application.command()
def cost(
    jobs_per_day: Annotated[float, typer.Option(min=0.1, max=5e6, help="Photos a day, every day.")] = 100.0,
    seconds_per_job: Annotated[
        float, typer.Option(min=0.1, help="What a job takes on the GPU; not measured, so give yours.")
    ] = 10.0,
    spot_share: Annotated[
        float | None,
        typer.Option(min=0.0, max=1.0, help="Of the machines, those that are spot (the template's)."),
    ] = None,
    min_workers: Annotated[int | None, typer.Option(min=0, help="MinWorkers (the template's).")] = None,
    max_workers: Annotated[int | None, typer.Option(min=1, help="MaxWorkers (the template's).")] = None,
    network: Annotated[
        Literal["private", "public"], typer.Option(help="As the parameter Network.")
    ] = "private",
    instance: Annotated[str, typer.Option(help="The machine that all workers have.")] = "g6.xlarge",
    links: Annotated[Literal["s3", "cloudfront"], typer.Option(help="Where models are loaded from.")] = "s3",
    simulate: Annotated[
        bool, typer.Option("--simulate", help="Ten to a million photos a day, bursts included; a minute.")
    ] = False,
    show_limits: Annotated[
        bool, typer.Option("--limits", help="Which limit is reached first, by how many photos a day.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Every line, price and assumption, as JSON.")] = False,
    seed: Annotated[int, typer.Option(help="Of the simulated days.")] = 1,
) -> None:
    """What a month on AWS costs, and how long photos wait: on paper, with the template's own numbers."""
    _require("cli", "economy", "local")
    from infra.commands import cost as command

    question = command.Question(
        jobs_per_day,
        seconds_per_job,
        spot_share,
        min_workers,
        max_workers,
        network,
        instance,
        links,
        seed,
    )
    if show_limits:
        command.breaking_points(question)
    elif simulate:
        command.scenarios(question, as_json=as_json)
    else:
        command.cost(question, as_json=as_json)


def _require(*extras: str) -> None:
    from infra.commands.console import require

    require(*extras)


def _data(given: Path | None) -> Path:
    from infra.local.state import default_folder

    return given or default_folder()


def _cloud_options(port: int, host: str, endpoint_url: str | None, workers: int, data: Path | None) -> Any:
    from infra.local.cloud import CloudOptions

    return CloudOptions(host=host, port=port, endpoint_url=endpoint_url, workers=workers, data=_data(data))


def main() -> None:
    """The console script: an error is one sentence and exit status 2; a failed job is status 1."""
    try:
        application()
    except MaquetteError as error:
        from infra.commands.console import show_error

        show_error(error)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
