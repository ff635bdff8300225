"""Builds the worker's image from a Debian archive alone, runs it against the local cloud and says what it saw.

    python -m infra.deployment.image.prove [--base IMAGE] [--build=OPTION …] [--run=OPTION …]

Needs root, buildah, podman and, unless ``--base`` names an image, debootstrap; no Docker and no registry.
OPTIONs go to ``buildah build`` and ``podman``: an index of packages, a proxy's certificates, whatever this
machine needs and no other does. docs/operations.md, "The image", tells what came of it.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from infra.commands.demo import SAMPLES, check_sound
from infra.commands.submit import submit
from infra.deployment.console import end, say
from infra.deployment.image.tools import Container, call, find
from infra.errors import BuildFailed
from infra.local.cloud import Cloud, CloudOptions

ROOT = Path(__file__).parents[3]
BASE, IMAGE = "localhost/maquette-base", "localhost/maquette-worker"
#: Debian with a Python of 3.11 or newer, and what the base must have besides
SUITE, PACKAGES = "bookworm", "python3,python3-venv,ca-certificates"
#: what a task definition and ECS give the worker; here the last ones lead to the local cloud
VARIABLES = (
    "MAQUETTE_ARTIFACT_BUCKET",
    "MAQUETTE_JOBS_TABLE",
    "MAQUETTE_JOB_QUEUE_URL",
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT_URL",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
)
#: seconds until a worker must be ready, and until one that was told to go must be gone (the template's)
READY_SECONDS, STOP_SECONDS = 300.0, 60.0
#: seconds that a photo may take
JOB_SECONDS = 300.0


def prove(
    base: str | None, build: Sequence[str], run: Sequence[str], photos: Sequence[Path], log: Path
) -> None:
    """Build, run, look; a line for each finding.

    Raises:
        MaquetteError: it does not build, or the worker in it does not do what it should.
    """
    if base is None:
        base = BASE
        tell("base", f"Debian {SUITE}, {_seconds(make_base)}")
    tell("build", _seconds(lambda: build_image(base, build, log)))
    tell("size", f"{image_bytes(IMAGE) / 1e9:.2f} GB, of which the base {image_bytes(base) / 1e9:.2f} GB")
    with ExitStack() as parts:
        folder = Path(parts.enter_context(tempfile.TemporaryDirectory(prefix="maquette-")))
        cloud = parts.enter_context(Cloud(CloudOptions(port=0, workers=0, data=folder / "cloud")))
        worker = Container(IMAGE, {name: cloud.running.environment[name] for name in VARIABLES}, run)
        parts.callback(worker.remove)
        tell("ready", f"{worker.wait_for(lambda: worker.healthy, READY_SECONDS):.1f} s after its start")
        look_inside(worker)
        for photo in photos:
            put_through(cloud, photo, folder, worker)
        say_goodbye(worker)


def make_base() -> None:
    """A base image as small as Debian makes it."""
    buildah = find("buildah")
    with tempfile.TemporaryDirectory(prefix="maquette-base-") as folder:
        call([find("debootstrap"), "--variant=minbase", f"--include={PACKAGES}", SUITE, folder])
        call(
            [
                "rm",
                "-rf",
                *Path(folder).glob("var/cache/apt/archives/*.deb"),
                *Path(folder).glob("var/lib/apt/lists/*"),
            ]
        )
        container = call([buildah, "from", "scratch"])
        try:
            call([buildah, "add", "--quiet", container, folder, "/"])
            call([buildah, "commit", "--quiet", container, BASE])
        finally:
            call([buildah, "rm", container])


def build_image(base: str, options: Sequence[str], log: Path) -> None:
    """The Dockerfile on that base."""
    command = [
        "build",
        "--isolation=chroot",
        "--format=docker",
        "--file=gpu_container/Dockerfile",
        f"--tag={IMAGE}",
    ]
    call([find("buildah"), *command, f"--build-arg=BASE={base}", *options, "."], cwd=ROOT, log=log)


def image_bytes(image: str) -> int:
    """Bytes of all its layers, unpacked."""
    return int(call([find("podman"), "image", "inspect", "--format={{.Size}}", image]))


def look_inside(worker: Container) -> None:
    """Who it is, and that it can change nothing of itself."""
    user = worker.inside("id", "-u").stdout.strip()
    first = worker.inside("cat", "/proc/1/cmdline").stdout.replace("\0", " ").strip()
    if user != "10001" or first != "python -m gpu_container.worker":
        raise BuildFailed(f"The container's first process is {first!r} of user {user}.")
    for folder in ("/", "/etc", "/opt/maquette/code", "/opt/maquette/bin"):
        if worker.inside("touch", f"{folder}/written").returncode == 0:
            raise BuildFailed(f"The worker can write to {folder}.")
    if worker.inside("python", "-c", "import pip").returncode == 0:
        raise BuildFailed("The worker's Python has pip.")
    tell("inside", f"user {user}, first process '{first}', read-only but for its volumes, no pip")


def put_through(cloud: Cloud, photo: Path, folder: Path, worker: Container) -> None:
    """One photo from the drop folder to a complete, sound model."""
    end_at = time.monotonic() + JOB_SECONDS

    def check() -> None:
        cloud.check()
        if time.monotonic() > end_at or not worker.running:
            raise BuildFailed(f"{photo.name} has not become a model. The worker's log:\n{worker.log()}")

    (outcome,) = submit(cloud.running, [photo], {}, via="inbox", out=folder, check=check)
    if outcome.error is not None:
        raise BuildFailed(f"{photo.name}: {outcome.error.message} The worker's log:\n{worker.log()}")
    check_sound(outcome.folder)
    made, count = outcome.manifest, len(outcome.files)
    tell(
        photo.name,
        f"succeeded in {outcome.seconds:.1f} s: {made['engine']}, matte {made['matte']}, {count} files",
    )


def say_goodbye(worker: Container) -> None:
    """Healthy to the end, and gone when told to."""
    if not worker.healthy:
        raise BuildFailed(f"The health check does not say that the worker is well. Its log:\n{worker.log()}")
    status, seconds = worker.terminate()
    if status != 0 or seconds > STOP_SECONDS:
        raise BuildFailed(f"After SIGTERM it ended with status {status} in {seconds:.1f} s.")
    tell("SIGTERM", f"exit status {status} after {seconds:.1f} s, well until then")


def tell(what: str, finding: str) -> None:
    say(f"{what:<14} {finding}")


def _seconds(work: Callable[[], None]) -> str:
    began = time.monotonic()
    work()
    return f"{time.monotonic() - began:.0f} s"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m infra.deployment.image.prove")
    parser.add_argument("--base", help="base image at hand; otherwise debootstrap makes one")
    parser.add_argument("--build", action="append", default=[], metavar="OPTION", help="for buildah build")
    parser.add_argument(
        "--run", action="append", default=[], metavar="OPTION", help="for podman; run:… for podman run"
    )
    parser.add_argument("--log", type=Path, default=ROOT / "build" / "image.log", help="what the build says")
    given = parser.parse_args()
    given.log.parent.mkdir(parents=True, exist_ok=True)
    photos = sorted(SAMPLES.glob("*.jpg"))
    end(lambda: prove(given.base, given.build, given.run, photos, given.log))


if __name__ == "__main__":
    main()
