"""What a local cloud keeps on the disk: objects as files, records and messages in an SQLite database.

::

    objects/BUCKET/KEY    contents, under names by which anybody finds and opens them
    cloud.sqlite          what S3 says of each of them; records; messages that nobody has dealt with yet

A change is on the disk as a whole or not at all: contents go to a new file, then one transaction refers to it,
then the file that it replaces goes. What a transaction has taken in survives the death of any process; a power
cut may cost the last changes, and leaves nothing broken.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from infra.errors import MachineError

#: raised when a release before could not read what this one writes
VERSION = 1
#: tells our database from others; SQLite's ``application_id``, "Maqu" in ASCII
_APPLICATION = 0x4D617175
_TABLES = """
CREATE TABLE objects (bucket TEXT, name TEXT, file TEXT, etag TEXT, modified REAL, metadata TEXT,
                      PRIMARY KEY (bucket, name)) WITHOUT ROWID;
CREATE TABLE records (tablename TEXT, name TEXT, record TEXT, PRIMARY KEY (tablename, name)) WITHOUT ROWID;
CREATE TABLE messages (queue TEXT, name TEXT, message TEXT, PRIMARY KEY (queue, name)) WITHOUT ROWID;
"""
#: what file systems refuse in a name, or take for something else
_UNFIT = re.compile(r'[\x00-\x1f\x7f<>:"\\|?*%]|^\.+$|[. ]$')
#: bytes of a name; file systems end at 255
_LONGEST = 180


@dataclass(frozen=True)
class KeptObject:
    """An object of a bucket; ``content`` is asked for when it is written, and is a file afterwards."""

    content: Callable[[], bytes]
    etag: str
    #: seconds since 1970
    modified: float
    #: headers and metadata by their names in moto
    metadata: Mapping[str, str]


@dataclass
class Changes:
    """What has become of some things since the last time; None: it is gone."""

    objects: dict[tuple[str, str], KeptObject | None] = field(default_factory=dict)
    #: by table and key; in DynamoDB's own JSON
    records: dict[tuple[str, str], Mapping[str, Any] | None] = field(default_factory=dict)
    #: by queue and id
    messages: dict[tuple[str, str], Mapping[str, Any] | None] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.objects or self.records or self.messages)


class Keep:
    """One folder's objects, records and messages. Its callers take turns.

    Raises:
        MachineError: the folder holds something else, something newer, or something damaged.
    """

    def __init__(self, folder: Path) -> None:
        self._objects = folder / "objects"
        path = folder / "cloud.sqlite"
        try:
            self._objects.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.touch(mode=0o600)
            self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._prepare(path)
        except (OSError, sqlite3.Error) as error:
            raise MachineError(
                f"{path} cannot be used ({error}). Move it away to begin anew; photos and models stay in "
                f"{self._objects}."
            ) from error

    def close(self) -> None:
        """Let go of the database."""
        self._database.close()

    def objects(self, bucket: str) -> Iterator[tuple[str, Path, KeptObject]]:
        """Names, files and facts of a bucket's objects. One whose file somebody has taken away is left out."""
        rows = self._database.execute(
            "SELECT name, file, etag, modified, metadata FROM objects WHERE bucket = ?", (bucket,)
        )
        for name, file, etag, modified, metadata in rows.fetchall():
            path = self._objects / file
            if path.is_file():
                yield name, path, KeptObject(path.read_bytes, etag, modified, json.loads(metadata))

    def records(self, table: str) -> list[dict[str, Any]]:
        """Every record of a table."""
        rows = self._database.execute("SELECT record FROM records WHERE tablename = ?", (table,))
        return [json.loads(record) for (record,) in rows]

    def messages(self, queue: str) -> dict[str, dict[str, Any]]:
        """Messages of a queue by their ids."""
        rows = self._database.execute("SELECT name, message FROM messages WHERE queue = ?", (queue,))
        return {name: json.loads(message) for name, message in rows}

    def write(self, changes: Changes) -> dict[tuple[str, str], Path]:
        """Take the changes in, all or none; answers where the new objects lie.

        Raises:
            OSError, sqlite3.Error: the disk is full or broken; all is as it was before.
        """
        new: dict[tuple[str, str], Path] = {}
        try:
            for (bucket, name), kept in changes.objects.items():
                if kept is not None:
                    new[bucket, name] = self._write_file(bucket, name, kept.content())
            replaced = self._commit(changes, new)
        except BaseException:
            for path in new.values():
                path.unlink(missing_ok=True)
            raise
        for path in replaced:
            self._remove(path)
        return new

    def _prepare(self, path: Path) -> None:
        (application,) = self._database.execute("PRAGMA application_id").fetchone()
        (version,) = self._database.execute("PRAGMA user_version").fetchone()
        (things,) = self._database.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if things and application != _APPLICATION:
            raise MachineError(f"{path} is another program's. Choose another folder with --data.")
        if version > VERSION:
            raise MachineError(
                f"{path} was written by a newer release of Maquette. Use that one, or another --data."
            )
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = NORMAL")
        if not things:
            marks = f"PRAGMA application_id = {_APPLICATION}; PRAGMA user_version = {VERSION};"
            self._database.executescript(f"BEGIN; {_TABLES} {marks} COMMIT;")
        for unfinished in self._objects.rglob("*.part"):
            unfinished.unlink()

    def _commit(self, changes: Changes, new: Mapping[tuple[str, str], Path]) -> list[Path]:
        """One transaction; answers the files that nothing refers to any more."""
        run, replaced = self._database.execute, []
        run("BEGIN IMMEDIATE")
        try:
            for at, kept in changes.objects.items():
                row = run("SELECT file FROM objects WHERE bucket = ? AND name = ?", at).fetchone()
                if row:
                    replaced.append(self._objects / row[0])
                if kept is None:
                    run("DELETE FROM objects WHERE bucket = ? AND name = ?", at)
                    continue
                file = new[at].relative_to(self._objects).as_posix()
                facts = (file, kept.etag, kept.modified, json.dumps(dict(kept.metadata)))
                run("REPLACE INTO objects VALUES (?, ?, ?, ?, ?, ?)", (*at, *facts))
            for kind, owner, rows in (
                ("records", "tablename", changes.records),
                ("messages", "queue", changes.messages),
            ):
                for at, content in rows.items():
                    if content is None:
                        run(f"DELETE FROM {kind} WHERE {owner} = ? AND name = ?", at)  # noqa: S608
                    else:
                        run(f"REPLACE INTO {kind} VALUES (?, ?, ?)", (*at, json.dumps(content)))  # noqa: S608
            run("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):  # the error itself may have rolled it back
                run("ROLLBACK")
            raise
        return replaced

    def _write_file(self, bucket: str, name: str, content: bytes) -> Path:
        """Contents in a file of their own, whatever else has that name; it appears whole."""
        digest = hashlib.sha256(name.encode()).hexdigest()[:32]
        for path in (self._objects / bucket / _fit(name), self._objects / bucket / "~" / digest):
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
            except (FileExistsError, NotADirectoryError):
                continue  # S3 takes "a" beside "a/b"; no file system does
            path = next(each for each in _variants(path) if not each.exists())
            unfinished = path.with_name(f"{path.name}.part")
            with unfinished.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            return unfinished.replace(path)
        raise OSError(f"No place for {name} in {self._objects}")

    def _remove(self, path: Path) -> None:
        """A file, and folders that are empty without it."""
        path.unlink(missing_ok=True)
        for folder in itertools.takewhile(lambda parent: parent != self._objects, path.parents):
            try:
                folder.rmdir()
            except OSError:  # something else lies there
                return


def _fit(name: str) -> Path:
    """An object's key as the nearest path that a file system takes."""
    return Path(*(_fit_part(part) for part in name.split("/")))


def _fit_part(part: str) -> str:
    shown = _UNFIT.sub(lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode()), part) or "%"
    if shown.endswith(".part"):
        shown += "%"
    if len(shown.encode()) <= _LONGEST:
        return shown
    return f"{shown[:32]}~{hashlib.sha256(part.encode()).hexdigest()[:32]}"


def _variants(path: Path) -> Iterator[Path]:
    """The path, then others like it."""
    yield path
    for number in itertools.count(2):
        yield path.with_name(f"{path.stem}~{number}{path.suffix}")
