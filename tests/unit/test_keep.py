"""What a local cloud keeps on the disk: whole or not at all, under names that a file system takes."""

from __future__ import annotations

import os
import resource
import shutil
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from infra.errors import MachineError
from infra.local.keep import Changes, Keep, KeptObject


def an_object(content: bytes) -> KeptObject:
    return KeptObject(lambda: content, etag="e", modified=1.5, metadata={"Content-Type": "image/png"})


def put(keep: Keep, name: str, content: bytes) -> Path:
    return keep.write(Changes(objects={("bucket", name): an_object(content)}))["bucket", name]


def contents(keep: Keep) -> dict[str, bytes]:
    return {name: kept.content() for name, _, kept in keep.objects("bucket")}


def files(folder: Path) -> set[Path]:
    return {path for path in (folder / "objects").rglob("*") if path.is_file()}


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_what_was_written_is_there_when_the_folder_is_opened_again(tmp_path: Path) -> None:
    changes = Changes(
        objects={("bucket", "jobs/1/mesh.glb"): an_object(b"glb")},
        records={("jobs", '"1"'): {"job_id": {"S": "1"}}},
        messages={("queue", "m"): {"body": "one"}},
    )
    Keep(tmp_path).write(changes)

    again = Keep(tmp_path)
    ((name, path, kept),) = again.objects("bucket")
    assert (name, kept.content(), kept.etag, kept.modified) == ("jobs/1/mesh.glb", b"glb", "e", 1.5)
    assert kept.metadata == {"Content-Type": "image/png"}
    assert path == tmp_path / "objects" / "bucket" / "jobs" / "1" / "mesh.glb"
    assert again.records("jobs") == [{"job_id": {"S": "1"}}]
    assert again.messages("queue") == {"m": {"body": "one"}}
    assert not again.records("queue")
    assert not again.messages("jobs")


@pytest.mark.parametrize(
    "name",
    ["../../outside", "..", ".", "/", "//", "a//b", "a/", "~/x", "con", "C:\\x", "a\nb", "a\x00b", "ü/ñ.png",
     "x" * 1024, "🎁" * 250, "p.part", "a%2Fb", "trailing. ", "%", "*?<>|"],
)  # fmt: skip
def test_no_name_leads_out_of_the_folder_or_gets_lost(tmp_path: Path, name: str) -> None:
    path = put(Keep(tmp_path), name, b"content")

    assert (tmp_path / "objects" / "bucket") in path.resolve().parents
    assert contents(Keep(tmp_path)) == {name: b"content"}


def test_names_that_a_file_system_takes_for_the_same_or_for_a_folder_have_files_of_their_own(
    tmp_path: Path,
) -> None:
    keep = Keep(tmp_path)
    names = ["a", "a/b", "a/b/c", "A", "a:", "a%3A", "a~2", "p.part", "p.part%"]
    for name in names:
        put(keep, name, name.encode())

    assert contents(keep) == {name: name.encode() for name in names}
    assert len(files(tmp_path)) == len(names)


def test_a_new_content_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    keep = Keep(tmp_path)
    for content in (b"1", b"2", b"3"):
        put(keep, "a", content)

    assert contents(keep) == {"a": b"3"}
    assert [path.read_bytes() for path in files(tmp_path)] == [b"3"]


def test_what_is_gone_leaves_neither_file_nor_empty_folder(tmp_path: Path) -> None:
    keep = Keep(tmp_path)
    put(keep, "jobs/1/a", b"a")
    keep.write(Changes(records={("jobs", "1"): {}}, messages={("queue", "m"): {}}))

    keep.write(
        Changes(
            objects={("bucket", "jobs/1/a"): None},
            records={("jobs", "1"): None},
            messages={("queue", "m"): None},
        )
    )

    assert (contents(keep), keep.records("jobs"), keep.messages("queue")) == ({}, [], {})
    assert list((tmp_path / "objects").iterdir()) == []


def test_on_a_full_disk_all_stays_as_it_was(tmp_path: Path) -> None:
    keep = Keep(tmp_path)
    put(keep, "a", b"old")
    both = {("bucket", "b"): an_object(b"small"), ("bucket", "a"): an_object(bytes(100_000))}

    with files_of_at_most(50_000), pytest.raises(OSError, match="large"):
        keep.write(Changes(objects=both, records={("jobs", "1"): {}}))

    for each in (keep, Keep(tmp_path)):
        assert contents(each) == {"a": b"old"}
        assert each.records("jobs") == []
    assert [path.read_bytes() for path in files(tmp_path)] == [b"old"]
    keep.write(Changes(objects=both))
    assert contents(keep) == {"a": bytes(100_000), "b": b"small"}


def test_a_file_that_was_not_written_to_its_end_is_cleared_away(tmp_path: Path) -> None:
    put(Keep(tmp_path), "a", b"a")
    (tmp_path / "objects" / "bucket" / "b.part").write_bytes(b"half")

    assert contents(Keep(tmp_path)) == {"a": b"a"}
    assert len(files(tmp_path)) == 1


def test_an_object_whose_file_somebody_took_away_is_left_out(tmp_path: Path) -> None:
    keep = Keep(tmp_path)
    put(keep, "a", b"a").unlink()
    put(keep, "b", b"b")

    assert contents(Keep(tmp_path)) == {"b": b"b"}


def test_the_last_record_of_a_torn_journal_is_lost_and_nothing_else(tmp_path: Path) -> None:
    keep = Keep(tmp_path)
    for number in range(20):
        keep.write(Changes(records={("jobs", str(number)): {"n": number}}))
    torn = tmp_path / "torn"
    torn.mkdir()
    for name in ("cloud.sqlite", "cloud.sqlite-wal"):  # as a process leaves them that dies now
        shutil.copy(tmp_path / name, torn)
    journal = torn / "cloud.sqlite-wal"
    os.truncate(journal, journal.stat().st_size - 1000)

    kept = {record["n"] for record in Keep(torn).records("jobs")}
    assert kept == set(range(19))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(b"SQLite format 3\0" + bytes(200), "cannot be used"), (b"notes", "cannot be used")],
)
def test_a_damaged_database_is_refused_and_left_alone(tmp_path: Path, content: bytes, sentence: str) -> None:
    (tmp_path / "cloud.sqlite").write_bytes(content)

    with pytest.raises(MachineError, match=sentence):
        Keep(tmp_path)

    assert (tmp_path / "cloud.sqlite").read_bytes() == content


def test_another_programs_database_and_a_newer_release_s_are_refused(tmp_path: Path) -> None:
    for name, script, sentence in (
        ("other", "CREATE TABLE notes (text)", "another program's"),
        ("newer", "PRAGMA user_version = 2", "newer release"),
    ):
        if name == "newer":
            Keep(tmp_path / name).close()
        (tmp_path / name).mkdir(exist_ok=True)
        with sqlite3.connect(tmp_path / name / "cloud.sqlite") as database:
            database.execute(script)

        with pytest.raises(MachineError, match=sentence):
            Keep(tmp_path / name)


def test_nobody_else_on_the_machine_can_read_it(tmp_path: Path) -> None:
    Keep(tmp_path).write(Changes(records={("jobs", "1"): {}}))

    assert stat.S_IMODE((tmp_path / "objects").stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.glob("cloud.sqlite*")} == {0o600}


def test_metadata_of_any_characters_comes_back(tmp_path: Path) -> None:
    metadata = {"x-amz-meta-name": "Entwürfe/„Robotèr“ 🎁", "Content-Type": "image/png"}
    kept = KeptObject(lambda: b"", etag="e", modified=0.0, metadata=metadata)
    Keep(tmp_path).write(Changes(objects={("bucket", "a"): kept}))

    ((_, _, back),) = Keep(tmp_path).objects("bucket")

    assert back.metadata == metadata
