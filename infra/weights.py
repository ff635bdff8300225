"""Model files on this machine: where they lie, and whether they are what was published.

Nothing here goes to the network or needs more than the standard library. A folder of fetched weights::

    ~/.cache/maquette/weights/triposr/
        config.yaml          as published
        model.safetensors    made here of the published model.ckpt, tensor for tensor
        weights.json         size, SHA-256 and source of both

What was published is pinned in :mod:`infra.published`. A converted file cannot be: ``weights.json`` holds the
hash that it had when it was made. That finds a damaged file, not one forged together with its record.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from infra.errors import BadConfiguration, WeightsCorrupt
from infra.published import CONVERTED, TRIPOSR, U2NET, Checkpoint, Layout, Model, PublishedFile

#: called with the number of bytes done so far
Report = Callable[[int], None]

RECORD = "weights.json"
#: up to this size a file is hashed even at a quick look
SMALL = 1_000_000
#: the longest header that a safetensors file may have, bytes (its specification)
_LONGEST_HEADER = 100_000_000


def default_place(model: Model, environment: Mapping[str, str] | None = None) -> Path:
    """The folder that ``model`` is fetched into when no other is named.

    Reference: XDG Base Directory Specification, which wants relative paths ignored.

    Raises:
        BadConfiguration: this user has no home folder.
    """
    given = Path((os.environ if environment is None else environment).get("XDG_CACHE_HOME", ""))
    try:
        cache = given if given.is_absolute() else Path.home() / ".cache"
    except RuntimeError:
        raise BadConfiguration("This user has no home folder: set XDG_CACHE_HOME, or name a folder.") from None
    return cache / "maquette" / "weights" / model.name


def default_directory(environment: Mapping[str, str] | None = None) -> Path | None:
    """The folder of TripoSR's weights that ``maquette weights fetch`` has left in its default place.

    None where that is not whole: a look at names and sizes, quick enough for every start. The hash was checked
    when they were fetched.
    """
    return _fetched(TRIPOSR, environment)


def default_matte_model(environment: Mapping[str, str] | None = None) -> Path | None:
    """The file ``u2net.onnx`` that ``maquette weights fetch u2net`` has left in its default place, or None."""
    return _fetched(U2NET, environment)


def _fetched(model: Model, environment: Mapping[str, str] | None) -> Path | None:
    try:
        place = default_place(model, environment)
    except BadConfiguration:
        return None
    return model.value(place) if is_complete(model, place) else None


def is_complete(model: Model, directory: Path) -> bool:
    """Whether a fetch has ended here: every file it must leave is on record and has the size it had then."""
    record = read_record(directory)
    needed = {file.name: file.sha256 for file in model.files if file is not model.checkpoint}
    if model.checkpoint:
        needed[CONVERTED] = model.checkpoint.sha256
    return all(
        (entry := record.get(name, {})).get("source_sha256") == sha256
        and entry.get("bytes") == _size(directory / name)
        for name, sha256 in needed.items()
    )


def read_record(directory: Path) -> dict[str, dict[str, Any]]:
    """File name → ``bytes``, ``sha256``, ``source``, ``source_sha256``; empty where no usable record lies."""
    try:
        files = json.loads((directory / RECORD).read_text(encoding="utf-8"))["files"]
        return {str(name): dict(entry) for name, entry in files.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def write_record(directory: Path, record: Mapping[str, Mapping[str, Any]]) -> None:
    """Replace the record in one step."""
    new = directory / f"{RECORD}.new"
    new.write_text(json.dumps({"files": record}, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    new.replace(directory / RECORD)


class State(Enum):
    """What is known of a file."""

    VERIFIED = "verified"
    AS_FETCHED = "verified when fetched"
    UNCHECKED = "not checked"
    UNKNOWN = "of unknown origin"
    CORRUPT = "damaged, or another file"
    PARTIAL = "partly here"
    ABSENT = "absent"


@dataclass(frozen=True)
class Finding:
    """One file, looked at."""

    path: Path
    state: State
    size: int = 0
    #: why, where the state alone does not say it
    detail: str = ""


def inspect(model: Model, place: Path, *, thorough: bool, report: Report = lambda done: None) -> list[Finding]:
    """What lies in ``place``, which is a folder, or the file itself where the model is a single one.

    Args:
        thorough: read and hash everything, which takes seconds per gigabyte; else believe sizes and the record.
        report: called with the bytes read so far of each file.
    """
    if place.is_file():
        return [check_published(model.files[0], place, {}, thorough=thorough, report=report)]
    found, record, checkpoint = [], read_record(place), model.checkpoint
    converted = checkpoint is not None and (place / CONVERTED).is_file()
    for file in model.files:
        path = place / file.name
        if file is not checkpoint or not converted or path.is_file():  # a converted one does instead of it
            found.append(check_published(file, path, record, thorough=thorough, report=report))
    if checkpoint is not None and converted:
        found.append(check_converted(checkpoint, place, thorough=thorough, report=report))
    return found


def check_published(
    file: PublishedFile,
    path: Path,
    record: Mapping[str, Mapping[str, Any]],
    *,
    thorough: bool = True,
    report: Report = lambda done: None,
) -> Finding:
    """A published file against its pin."""
    size = _size(path)
    if size is None:
        arrived = _size(path.with_name(f"{path.name}.part"))
        share = f"{arrived / file.size:.0%}" if arrived and file.size else ""
        return Finding(path, State.PARTIAL, arrived, share) if arrived else Finding(path, State.ABSENT)
    if file.size is not None and size != file.size:
        return Finding(path, State.CORRUPT, size, f"{size:,} bytes, not {file.size:,}")
    if not thorough and size > SMALL:
        known = record.get(path.name, {}).get("bytes") == size
        return Finding(path, State.AS_FETCHED if known else State.UNCHECKED, size)
    found = sha256_of(path, report)
    if found != file.sha256:
        return Finding(path, State.CORRUPT, size, f"SHA-256 {found}, not {file.sha256}")
    return Finding(path, State.VERIFIED, size)


def check_converted(
    checkpoint: Checkpoint, directory: Path, *, thorough: bool = True, report: Report = lambda done: None
) -> Finding:
    """The converted file against its record, and its tensors against the published checkpoint's."""
    path = directory / CONVERTED
    size = _size(path)
    if size is None:
        return Finding(path, State.ABSENT)
    try:
        layout = read_layout(path)
    except WeightsCorrupt as error:
        return Finding(path, State.CORRUPT, size, error.message)
    if layout != checkpoint.layout:
        return Finding(path, State.CORRUPT, size, f"holds {layout}, not the published {checkpoint.layout}")
    entry = read_record(directory).get(CONVERTED, {})
    if entry.get("source_sha256") != checkpoint.sha256:
        return Finding(path, State.UNKNOWN, size, f"the right names and shapes, but no {RECORD} tells of it")
    if size != entry.get("bytes"):
        return Finding(path, State.CORRUPT, size, f"{size} bytes, not {entry.get('bytes')}")
    if not thorough:
        return Finding(path, State.AS_FETCHED, size)
    found = sha256_of(path, report)
    if found != entry.get("sha256"):
        return Finding(path, State.CORRUPT, size, f"SHA-256 {found}, not {entry.get('sha256')}")
    return Finding(path, State.VERIFIED, size)


def read_layout(path: Path) -> Layout:
    """What a safetensors file says it holds; only its header is read.

    Reference: https://github.com/huggingface/safetensors#format

    Raises:
        WeightsCorrupt: it is no such file, or it is cut off.
    """
    try:
        entries, end = _read_header(path)
        layout = Layout.of({name: (entry["dtype"], tuple(entry["shape"])) for name, entry in entries.items()})
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise WeightsCorrupt(f"{path} is not a safetensors file.") from error
    if path.stat().st_size != end:
        raise WeightsCorrupt(f"{path} is not whole: it should have {end:,} bytes.")
    return layout


def _read_header(path: Path) -> tuple[dict[str, dict[str, Any]], int]:
    """Tensor name → its entry, and where the file must end."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > _LONGEST_HEADER:
            raise ValueError(length)
        entries = json.loads(file.read(length))
    entries.pop("__metadata__", None)
    return entries, 8 + length + max((entry["data_offsets"][1] for entry in entries.values()), default=0)


def sha256_of(path: Path, report: Report = lambda done: None) -> str:
    """SHA-256 of a file, in hexadecimal."""
    digest, done = hashlib.sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(1 << 22):
            digest.update(chunk)
            done += len(chunk)
            report(done)
    return digest.hexdigest()


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.is_file() else None
