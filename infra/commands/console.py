"""How the commands speak: results to standard output, everything else to standard error."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from rich.console import Console

from infra.errors import MaquetteError, MissingDependency
from infra.names import visible

#: for people who watch
console = Console(stderr=True, highlight=False)
#: for results
output = Console(highlight=False)
if not output.is_terminal:
    output.width = max(output.width, 120)  # nothing wraps there

#: what each extra of the project is known by
PACKAGES = {
    "cli": ("filelock", "httpx", "websockets"),
    "economy": ("simpy",),
    "local": ("aiohttp", "filelock", "moto", "samtranslator"),
    "pipeline": ("torch", "numpy", "PIL", "trimesh", "manifold3d"),
}


def require(*extras: str) -> None:
    """Raise :class:`infra.errors.MissingDependency` unless the packages of all ``extras`` are installed."""
    missing = [name for extra in extras for name in PACKAGES[extra] if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingDependency(
            f"These packages are missing: {', '.join(missing)}. Run 'make setup' in the checkout, "
            f"or: pip install 'maquette[{','.join(extras)}]'"
        )


def show_error(error: MaquetteError) -> None:
    """One red sentence with its code."""
    console.print(f"[bold red]{error.code}[/]: {plain(error.message)}", soft_wrap=True)


def size_text(size: int) -> str:
    """Bytes as people read them."""
    return f"{size / 1e6:.2f} MB" if size >= 1e6 else f"{size / 1e3:.1f} kB"


def shown(path: Path) -> str:
    """The path as short as it can be said from here, fit to be printed."""
    try:
        path = path.relative_to(Path.cwd())
    except ValueError:
        path = path.absolute()
    return plain(str(path))


def plain(text: str) -> str:
    """The text as it is: neither console markup in it nor what a terminal would obey means anything."""
    from rich.markup import escape

    return escape(visible(text, keep="\n"))
