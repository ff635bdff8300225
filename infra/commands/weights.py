"""``maquette weights``: fetch the models' files, verify them, say what lies where."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.filesize import decimal
from rich.markup import escape

from infra.commands.console import output
from infra.commands.fetching import Fetch, bar
from infra.errors import MachineError, WeightsMissing
from infra.published import MODELS, Model
from infra.weights import Finding, State, default_place, inspect, is_complete

#: how each state looks
STYLES = {
    State.VERIFIED: "green",
    State.AS_FETCHED: "green",
    State.UNCHECKED: "yellow",
    State.UNKNOWN: "yellow",
    State.CORRUPT: "bold red",
    State.PARTIAL: "yellow",
    State.ABSENT: "dim",
}


@dataclass(frozen=True)
class Place:
    """Where a model may lie."""

    model: Model
    #: a folder, or the file itself
    path: Path
    #: how one comes to look there
    why: str
    #: whether a run takes the model from there, or tries to
    in_use: bool = False

    @property
    def title(self) -> str:
        """One line for people, free of console markup."""
        return escape(f"{self.model.name:<8} {self.path}  ({self.why}{', in use' if self.in_use else ''})")


def fetch(models: Sequence[Model], *, to: Path | None = None, keep_checkpoint: bool = False) -> None:
    """Bring ``models`` into their default places, or all into ``to``; print the variables that name them.

    Raises:
        MaquetteError: see :meth:`infra.commands.fetching.Fetch.run`.
    """
    for model in models:
        directory = (to or default_place(model)).expanduser().absolute()
        Fetch(model, directory, keep_checkpoint=keep_checkpoint).run()
        line = f"export {model.variable}={shlex.quote(str(model.value(directory)))}"
        output.print(line, markup=False, soft_wrap=True)


def show(models: Sequence[Model] = MODELS) -> None:
    """What lies in every place; a look at names and sizes, nothing large is read."""
    for place in _places(models):
        found = _look(place, thorough=False)
        if place.in_use or not _is_empty(found):
            _print(place, found)
        else:
            output.print(f"{place.title}: nothing; maquette weights fetch {place.model.name}", soft_wrap=True)


def verify(directory: Path | None = None, models: Sequence[Model] = MODELS) -> bool:
    """Read everything in ``directory``, or else in every place; whether all of it is as published.

    Raises:
        WeightsMissing: there is nothing to read.
    """
    given = directory.expanduser().absolute() if directory else None
    places = [Place(model, given, "as asked") for model in models] if given else list(_places(models))
    sound = []
    for place in places:
        found = _look(place, thorough=True)
        if place.in_use or not _is_empty(found):
            _print(place, found)
            sound.append(all(it.state is State.VERIFIED for it in found))
    if not sound:
        where = f"in {given}" if given else "on this machine"
        raise WeightsMissing(f"There are no model files {where}. Fetch them with: maquette weights fetch")
    return all(sound)


def _places(models: Sequence[Model]) -> Iterator[Place]:
    for model in models:
        named, usual = os.environ.get(model.variable), default_place(model)
        if named:
            yield Place(model, Path(named).expanduser().absolute(), f"${model.variable}", in_use=True)
        if not named or Path(named).expanduser().absolute() != model.value(usual):
            yield Place(model, usual, "default place", in_use=not named and is_complete(model, usual))


def _look(place: Place, *, thorough: bool) -> list[Finding]:
    try:
        with bar(place.model.name, "reading", None if thorough else 0) as report:
            return inspect(place.model, place.path, thorough=thorough, report=report)
    except OSError as error:
        raise MachineError(f"{error.filename or place.path} cannot be read ({error.strerror}).") from error


def _is_empty(found: Sequence[Finding]) -> bool:
    return all(it.state is State.ABSENT for it in found)


def _print(place: Place, found: Sequence[Finding]) -> None:
    output.print(f"[bold]{place.title}[/]", soft_wrap=True)
    for it in found:
        size = decimal(it.size) if it.size else ""
        detail = f": {it.detail}" if it.detail else ""
        output.print(
            f"  {escape(it.path.name):<18} {size:>9}  [{STYLES[it.state]}]{it.state.value}[/]{escape(detail)}",
            soft_wrap=True,
        )
