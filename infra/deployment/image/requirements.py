"""The packages of the worker's image, out of pyproject.toml: the only list of their versions.

    python3 requirements.py [--only] PYPROJECT GROUP,GROUP…     (the output is a requirements file for pip)

Runs before anything is installed, so it needs nothing but Python.
"""

from __future__ import annotations

import argparse
import re
import sys
import tomllib
from pathlib import Path

#: what the Lambda functions need and a worker does not: REST and its tokens
OF_THE_FUNCTIONS = frozenset({"chalice", "pyjwt"})


def requirements(project: dict[str, object], groups: list[str], *, only: bool = False) -> list[str]:
    """The pins of ``groups``, and, unless ``only`` they are wanted, of what every part of Maquette needs.

    ``project`` is pyproject.toml's table of that name.

    Raises:
        KeyError: there is no such group.
    """
    common: list[str] = [] if only else list(project["dependencies"])  # type: ignore[call-overload]
    extras: dict[str, list[str]] = project["optional-dependencies"]  # type: ignore[assignment]
    wanted = [pin for pin in common if _name(pin) not in OF_THE_FUNCTIONS]
    return wanted + [pin for group in groups for pin in extras[group]]


def _name(pin: str) -> str:
    return re.split(r"[=<>!~\[; ]", pin)[0].lower()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", action="store_true", help="leave out what every part needs")
    parser.add_argument("pyproject", type=Path)
    parser.add_argument("groups", help="separated by commas")
    given = parser.parse_args()
    project = tomllib.loads(given.pyproject.read_text(encoding="utf-8"))["project"]
    lines = requirements(project, given.groups.split(","), only=given.only)
    sys.stdout.writelines(f"{line}\n" for line in lines)


if __name__ == "__main__":
    main()
