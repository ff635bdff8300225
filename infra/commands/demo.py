"""``maquette demo``: a cloud, the sample photos through it, and a look at whether the results are sound."""

from __future__ import annotations

import hashlib
import json
import tempfile
from contextlib import ExitStack
from pathlib import Path

from rich.table import Table

from infra import artifacts
from infra.commands.console import console, output, plain, shown, size_text
from infra.commands.submit import Outcome, report, submit
from infra.commands.up import Interrupted, announce, keep_running, tell_complaints
from infra.errors import InternalError, MachineError, MaquetteError, NotRunning, PortTaken
from infra.local.cloud import Cloud, CloudOptions
from infra.local.state import DataFolder, Running

SAMPLES = Path(__file__).parents[1] / "local" / "samples"
#: what the formats that viewers load must begin with, and at which byte
SIGNATURES = {
    ".png": (0, b"\x89PNG\r\n\x1a\n"),
    ".glb": (0, b"glTF"),
    ".mp4": (4, b"ftyp"),
    ".webp": (8, b"WEBP"),
}


def demo(options: CloudOptions, *, once: bool, out: Path) -> bool:
    """Whether every sample became a sound model. ``once``: end then; else run on until interrupted."""
    photos = sorted(SAMPLES.glob("*.jpg"))
    if not photos:
        raise MachineError(f"There are no sample photos in {SAMPLES}.")
    if not once:
        try:
            return _show(_submit_to(DataFolder(options.data).running(), photos, out))
        except NotRunning:
            pass  # the usual case: then we are the cloud
    with ExitStack() as parts:
        interrupted = Interrupted()
        if once:
            folder = parts.enter_context(tempfile.TemporaryDirectory(prefix="maquette-demo-"))
            options = CloudOptions(
                options.host, options.port, options.endpoint_url, options.workers, Path(folder)
            )
        cloud = _start(options, any_port=once, parts=parts)
        announce(cloud)
        sound = _show(_submit_to(cloud.running, photos, out, cloud, interrupted))
        if not sound:
            _show_logs(cloud)
        if not once and not interrupted:
            console.print(f"The cloud runs on: {cloud.running.url}. Ctrl-C ends it.")
            keep_running(cloud, interrupted)
    return sound


def _start(options: CloudOptions, *, any_port: bool, parts: ExitStack) -> Cloud:
    with console.status("Starting the cloud …"):
        try:
            return parts.enter_context(Cloud(options))
        except PortTaken:
            if not any_port:
                raise
            free = CloudOptions(options.host, 0, options.endpoint_url, options.workers, options.data)
            return parts.enter_context(Cloud(free))


def _submit_to(
    running: Running,
    photos: list[Path],
    out: Path,
    cloud: Cloud | None = None,
    interrupted: Interrupted | None = None,
) -> list[Outcome]:
    def check() -> None:
        if interrupted:
            raise KeyboardInterrupt
        if cloud is not None:
            cloud.check()
            tell_complaints(cloud)
            if any(worker.crashing for worker in cloud.workers):
                _show_logs(cloud)
                raise MachineError("The worker does not stay alive.")

    return submit(running, photos, {}, via="inbox", out=out, check=check)


def _show(outcomes: list[Outcome]) -> bool:
    """Print tables; whether all is well."""
    sound = True
    for outcome in outcomes:
        if outcome.error is None:
            try:
                check_sound(outcome.folder)
            except MaquetteError as error:
                outcome.error = error
            else:
                _print_files(outcome)
        sound = sound and outcome.error is None
    report(outcomes)
    for outcome in outcomes:
        if outcome.error is None:
            place = f"[bold]{shown(outcome.folder)}[/]"
            console.print(f"Look at {place}: render.mp4 turns it, mesh.glb opens in any 3D viewer.")
    return sound


def _print_files(outcome: Outcome) -> None:
    table = Table(title=shown(outcome.folder), title_justify="left")
    table.add_column("file")
    table.add_column("size", justify="right")
    table.add_column("SHA-256")
    hashes = {entry["name"]: entry["sha256"] for entry in outcome.manifest["files"]}
    views = [path for path in outcome.files if path.name.startswith("render_")]
    for path in outcome.files:
        if path not in views:
            table.add_row(path.name, size_text(path.stat().st_size), hashes.get(path.name, "")[:16])
    orbit = sum(path.stat().st_size for path in views)
    table.add_row(f"{views[0].name} … {views[-1].name}", size_text(orbit), f"({len(views)} views)")
    output.print(table)


def check_sound(folder: Path) -> None:
    """Raise unless every artifact is there, as the manifest describes it, and the mesh is watertight."""
    manifest = json.loads((folder / artifacts.MANIFEST).read_text(encoding="utf-8"))
    hashes = {entry["name"]: entry["sha256"] for entry in manifest["files"]}
    for name in artifacts.expected_names(manifest["options"]["views"]):
        path = folder / name
        data = path.read_bytes() if path.is_file() else b""
        start, signature = SIGNATURES.get(path.suffix, (0, b""))
        if not data:
            raise InternalError(f"{name} is missing or empty.")
        if name != artifacts.MANIFEST and hashlib.sha256(data).hexdigest() != hashes.get(name):
            raise InternalError(f"{name} is not the file that the manifest describes.")
        if not data[start:].startswith(signature):
            raise InternalError(f"{name} is no {path.suffix[1:].upper()} file.")
    if not manifest["mesh"]["watertight"]:
        raise InternalError("The mesh is not watertight.")


def _show_logs(cloud: Cloud) -> None:
    for name in ("cloud.log", "worker-1.log"):
        console.print(f"The end of {name}:\n{plain(_tail(cloud.folder.logs / name))}", soft_wrap=True)


def _tail(path: Path, lines: int = 12) -> str:
    if not path.exists():
        return ""
    return "\n".join(path.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
