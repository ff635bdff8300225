"""A model's published files, brought into one folder and made ready there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from rich.filesize import decimal
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from infra import conversion
from infra.commands.console import console, shown
from infra.download import download
from infra.errors import AlreadyRunning, MachineError, WeightsCorrupt
from infra.published import CONVERTED, Checkpoint, Model, PublishedFile
from infra.weights import (
    Report,
    State,
    check_converted,
    check_published,
    read_record,
    sha256_of,
    write_record,
)

#: bytes that stay free on the disk
SPARE = 100_000_000


class Fetch:
    """One model into one folder. What is there already is verified and not fetched again."""

    def __init__(self, model: Model, directory: Path, *, keep_checkpoint: bool) -> None:
        self._model = model
        self._directory = directory
        self._keep_checkpoint = keep_checkpoint

    def run(self) -> None:
        """Fetch, verify, convert; the record is written as each file is ready.

        Raises:
            MaquetteError: see :mod:`infra.download` and :mod:`infra.conversion`; besides, where the disk is too
                small, another file is in the way, or another fetch works in the same folder.
        """
        console.print(f"[bold]{self._model.name}[/] → {shown(self._directory)}", soft_wrap=True)
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            with FileLock(self._directory / ".lock", timeout=0):
                self._run()
        except KeyboardInterrupt:
            console.print("Stopped. What has arrived is kept; the same command goes on from there.")
            raise
        except Timeout:
            raise AlreadyRunning(f"Another fetch works in {self._directory}.") from None
        except OSError as error:
            raise MachineError(
                f"{self._directory} cannot be used ({error.strerror}). Choose another folder with --to."
            ) from error

    def _run(self) -> None:
        checkpoint = self._model.checkpoint
        converts = checkpoint is not None and not self._has_converted(checkpoint)
        if converts:
            conversion.require_packages()  # before a gigabyte comes in vain
        wanted = [f for f in self._model.files if f is not checkpoint or converts or self._keep_checkpoint]
        missing = [file for file in wanted if not self._has(file)]
        for file in missing:  # all of them at once: whoever is offline sees what to fetch elsewhere
            size = f" ({decimal(file.size)})" if file.size else ""
            console.print(f"  {file.name}: from {self._url(file)}{size}", soft_wrap=True, markup=False)
        self._demand_room(missing, checkpoint if converts else None)
        for file in missing:
            self._fetch(file)
        if checkpoint is not None and converts:
            self._convert(checkpoint)
            if not self._keep_checkpoint:
                self._dismiss(checkpoint, fetched=checkpoint in missing)

    def _has(self, file: PublishedFile) -> bool:
        """Whether the published file is here. Another one that bears its name is never written over."""
        path = self._directory / file.name
        with bar(file.name, "checking", _size(path)) as report:
            found = check_published(file, path, {}, report=report)
        if found.state is State.CORRUPT:
            raise WeightsCorrupt(
                f"{path} is in the way: it is not the published file ({found.detail}). "
                "Move it away, or choose another folder with --to."
            )
        if found.state is not State.VERIFIED:
            return False
        self._record(file.name, file, file.sha256)
        console.print(f"  {file.name}: here, verified")
        return True

    def _has_converted(self, checkpoint: Checkpoint) -> bool:
        """Whether the converted file is here; one that was made here and is damaged will be made again."""
        path = self._directory / CONVERTED
        with bar(CONVERTED, "checking", _size(path)) as report:
            found = check_converted(checkpoint, self._directory, report=report)
        if found.state is State.VERIFIED:
            console.print(f"  {CONVERTED}: here, verified")
        elif found.state is not State.ABSENT:
            if CONVERTED not in read_record(self._directory):
                raise WeightsCorrupt(
                    f"{path} is in the way, and nothing tells where it came from. "
                    "Move it away, or choose another folder with --to."
                )
            console.print(f"  {CONVERTED}: {found.state.value}; will be made again")
        return found.state is State.VERIFIED

    def _demand_room(self, missing: Sequence[PublishedFile], converted: Checkpoint | None) -> None:
        coming = [(file.size or 0) - _size(self._directory / f"{file.name}.part") for file in missing]
        needed = sum(coming) + (converted.size or 0 if converted else 0)
        free = shutil.disk_usage(self._directory).free
        if needed > 0 and needed + SPARE > free:
            raise MachineError(
                f"{self._model.name} takes {decimal(needed)} in {self._directory} until it is ready, and only "
                f"{decimal(free)} are free. Make room, or choose another folder with --to."
            )

    def _fetch(self, file: PublishedFile) -> None:
        path = self._directory / file.name
        with bar(file.name, "fetching", file.size) as report:
            download(self._url(file), path, sha256=file.sha256, size=file.size, report=report)
        self._record(file.name, file, file.sha256)
        console.print(f"  {file.name}: {decimal(_size(path))}, SHA-256 as published")

    def _url(self, file: PublishedFile) -> str:
        return self._model.url(file, os.environ)

    def _convert(self, checkpoint: Checkpoint) -> None:
        path = self._directory / CONVERTED
        with console.status(f"{CONVERTED}: converting {checkpoint.name} …"):
            conversion.to_safetensors(self._directory / checkpoint.name, path, checkpoint.layout)
            self._record(CONVERTED, checkpoint, sha256_of(path))
        console.print(f"  {CONVERTED}: {decimal(_size(path))}, made of {checkpoint.name}")

    def _dismiss(self, checkpoint: Checkpoint, *, fetched: bool) -> None:
        """Remove the checkpoint if this fetch has brought it; another's file is theirs to remove."""
        if not fetched:
            console.print(f"  {checkpoint.name}: no longer needed; you may remove it")
            return
        (self._directory / checkpoint.name).unlink()
        record = read_record(self._directory)
        del record[checkpoint.name]
        write_record(self._directory, record)

    def _record(self, name: str, source: PublishedFile, sha256: str) -> None:
        entry = {
            "bytes": _size(self._directory / name),
            "sha256": sha256,
            "source": self._model.source(source),
            "source_sha256": source.sha256,
        }
        record = read_record(self._directory)
        if record.get(name) != entry:
            write_record(self._directory, {**record, name: entry})


@contextmanager
def bar(name: str, doing: str, size: int | None) -> Iterator[Report]:
    """A bar on the terminal while ``size`` bytes are gone through, None if unknown; nothing elsewhere."""
    progress = Progress(
        TextColumn("  {task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal or size == 0,
    )
    with progress:
        task = progress.add_task(f"{name}: {doing}", total=size)
        yield lambda done: progress.update(task, completed=done)


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
