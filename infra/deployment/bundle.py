"""The Lambda functions' bundle: our code beside what it needs of PyPI, and nothing that Lambda has already.

    python -m infra.deployment.bundle build/lambda

boto3 comes with the runtime (and is four times as large as all of the bundle may be). Dependencies come without
their own: chalice's are for its command line. Only pure Python may go in, so that a bundle made on any
machine runs on Lambda's arm64.

Byte code goes with it, since Lambda cannot keep any: without it, every cold start would compile everything. It
depends on Python's version alone, and is left out where that is not the version the functions run on.

References: AWS Lambda Developer Guide, "Working with .zip file archives for Python Lambda functions". PEP 552.
"""

from __future__ import annotations

import compileall
import re
import shutil
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from py_compile import PycInvalidationMode

from infra.deployment.cold_import import cold_import_seconds
from infra.errors import BadConfiguration, MissingDependency

ROOT = Path(__file__).parents[2]
#: packages of ours; of ``infra`` what runs elsewhere stays out
PACKAGES = ("functions", "infra")
ELSEWHERE = (
    "local",
    "commands",
    "deployment",
    "economy",
    "cli.py",
    "flags.py",
    "download.py",
    "conversion.py",
    "site_files.py",
)
#: part of Lambda's Python runtime
IN_THE_RUNTIME = ("boto3",)
#: the Python that Lambda runs the functions on
RUNTIME = "python3.11"
#: what ``from chalice.app import Chalice`` reads; the rest is chalice's command line and its deployments
_OF_CHALICE = ("__init__.py", "app.py")
#: what logs, metrics and batches read of Powertools' utilities; its event handlers are left out altogether
_UTILITIES = ("__init__.py", "batch", "data_classes", "jmespath_utils")
#: per function, as `sam deploy` uploads it
MAX_BYTES = 5 * 10**6


def make(folder: Path) -> int:
    """Fill ``folder`` anew; returns the bytes in it.

    Raises:
        MissingDependency: a package is not installed as it is pinned.
        BadConfiguration: the bundle became too large, or holds compiled code.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for pin in requirements():
        _copy_installed(pin, folder)
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / package, ignore=_what_runs_elsewhere)
    if runs_here():
        # Unchecked, since an archive need not keep the files' times; and the same bundle wherever it is made.
        compileall.compile_dir(
            folder,
            quiet=1,
            stripdir=str(folder),
            prependdir="/var/task",
            invalidation_mode=PycInvalidationMode.UNCHECKED_HASH,
        )
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    if size > MAX_BYTES:
        raise BadConfiguration(f"The bundle has {size / 1e6:.1f} MB; {MAX_BYTES / 1e6:.0f} are the limit.")
    compiled = sorted(str(path.relative_to(folder)) for path in folder.rglob("*.so"))
    if compiled:
        raise BadConfiguration(f"The bundle holds code that is compiled for this machine: {compiled[0]}.")
    return size


def runs_here() -> bool:
    """Whether this is the functions' version of Python."""
    return f"python{sys.version_info.major}.{sys.version_info.minor}" == RUNTIME


def requirements() -> list[str]:
    """The pinned dependencies that pyproject.toml gives the functions, less those of the runtime."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [pin for pin in project["dependencies"] if re.split(r"[=<>\[]", pin)[0] not in IN_THE_RUNTIME]


def _copy_installed(pin: str, folder: Path) -> None:
    """A package as it is installed here: the version that the tests ran with, and no network."""
    name, _, version = pin.partition("==")
    try:
        found = distribution(name)
    except PackageNotFoundError:
        raise MissingDependency(f"{name} is not installed. Run: make setup") from None
    if found.version != version:
        raise MissingDependency(f"{name} {found.version} is installed, {version} is pinned. Run: make setup")
    for file in found.files or []:
        if ".." in file.parts or "__pycache__" in file.parts:  # programs for the command line; compiled files
            continue
        if not _is_read(file.parts):
            continue
        target = folder / file
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(file.locate(), target)


def _is_read(parts: tuple[str, ...]) -> bool:
    """Whether the functions read this file of a dependency, or may."""
    match parts:
        case ("chalice", *_, name):
            return name in _OF_CHALICE
        case ("aws_lambda_powertools", "event_handler", *_):
            return False
        case ("aws_lambda_powertools", "utilities", name, *_):
            return name in _UTILITIES
    return True


def _what_runs_elsewhere(directory: str, names: list[str]) -> list[str]:
    left_out = ["__pycache__"]
    if Path(directory) == ROOT / "infra":
        left_out += ELSEWHERE
    return [name for name in names if name in left_out]


def main() -> None:
    folder = Path(sys.argv[1])
    size = make(folder)
    milliseconds = 1000 * cold_import_seconds(folder)
    print(f"{folder}: {size / 1e6:.2f} MB; imported in {milliseconds:.0f} ms (median of 10)")  # noqa: T201
    if not runs_here():
        print(f"It holds no byte code: that would take {RUNTIME}, as in Lambda.")  # noqa: T201


if __name__ == "__main__":
    main()
