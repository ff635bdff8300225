"""The Lambda functions' bundle: our code beside what it needs of PyPI, and nothing that Lambda has already.

    python -m infra.deployment.bundle build/lambda

boto3 comes with the runtime (and is four times as large as all of the bundle may be). Dependencies come without
their own: chalice's are for its command line. Only pure Python may go in, so that a bundle made on any
machine runs on Lambda's arm64.

Reference: AWS Lambda Developer Guide, "Working with .zip file archives for Python Lambda functions".
"""

from __future__ import annotations

import re
import shutil
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from infra.errors import BadConfiguration, MissingDependency

ROOT = Path(__file__).parents[2]
#: packages of ours; of ``infra`` what runs elsewhere stays out
PACKAGES = ("functions", "infra")
ELSEWHERE = ("local", "commands", "deployment", "cli.py", "flags.py", "download.py", "conversion.py")
#: part of Lambda's Python runtime
IN_THE_RUNTIME = ("boto3",)
#: what ``from chalice.app import Chalice`` reads; the rest is chalice's command line and its deployments
_OF_CHALICE = ("__init__.py", "app.py")
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
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    if size > MAX_BYTES:
        raise BadConfiguration(f"The bundle has {size / 1e6:.1f} MB; {MAX_BYTES / 1e6:.0f} are the limit.")
    compiled = sorted(str(path.relative_to(folder)) for path in folder.rglob("*.so"))
    if compiled:
        raise BadConfiguration(f"The bundle holds code that is compiled for this machine: {compiled[0]}.")
    return size


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
        if file.parts[0] == "chalice" and file.name not in _OF_CHALICE:
            continue
        target = folder / file
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(file.locate(), target)


def _what_runs_elsewhere(directory: str, names: list[str]) -> list[str]:
    left_out = ["__pycache__"]
    if Path(directory) == ROOT / "infra":
        left_out += ELSEWHERE
    return [name for name in names if name in left_out]


def main() -> None:
    folder = Path(sys.argv[1])
    size = make(folder)
    print(f"{folder}: {size / 1e6:.2f} MB")  # noqa: T201


if __name__ == "__main__":
    main()
