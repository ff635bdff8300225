"""Hostile names are inert everywhere: in keys, headers, logs, terminals, folders, and beside anybody's job."""

from __future__ import annotations

import io
import json
import logging
import re
import sys
from pathlib import Path, PurePosixPath, PureWindowsPath
from unicodedata import bidirectional, category
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import settings as how
from hypothesis import strategies as st

from functions import app
from gpu_container import __main__ as run_here
from infra import artifacts, storage, telemetry
from infra.clients import client
from infra.commands import submit
from infra.commands.console import show_error
from infra.errors import BadInput, CorruptImage
from infra.job import Job, Source
from infra.names import folders, visible
from tests.access.names import HOSTILE
from tests.cloud.conftest import Cloud, Rest, refused, s3_record

#: what a terminal obeys, but for the ends of lines
OBEYED = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
NAMES = st.text() | st.sampled_from(list(HOSTILE.values()))
ANY_TEXT = st.text(st.characters(exclude_categories=[]))


# --- keys ---


@how(max_examples=300, deadline=None)
@given(NAMES)
def test_a_key_is_one_folder_and_one_harmless_name(name: str) -> None:
    key = storage.upload_key("0b9d", name)
    first, second, third = key.split("/")
    assert (first, second) == ("uploads", "0b9d")
    assert third.strip(". ")
    assert not re.search(r"[\x00-\x1f\x7f\\/:*?\"<>|%$&'`;={}\[\]#^~@!,]", third)
    assert not any(category(letter) in ("Cc", "Cf", "Zl", "Zp") for letter in third)
    assert len(third.encode()) <= 500
    assert PureWindowsPath(third).name == third


def test_a_form_for_a_hostile_name_is_for_one_harmless_key(cloud: Cloud, rest: Rest, ann: str) -> None:
    for name in HOSTILE.values():
        given_body = {"filename": name, "content_type": "image/png"}
        status, body, headers = rest("POST", "/jobs", token=ann, body=given_body)
        assert status == 201
        fields = body["upload"]["fields"]
        assert re.fullmatch(rf"uploads/{body['job']['job_id']}/[\w .()+-]+", fields["key"])
        assert body["job"]["source"]["filename"] == PurePosixPath(fields["key"]).name
        assert not OBEYED.search("".join([*headers, *headers.values(), *fields.values()]))


# --- jobs and artifacts by hostile ids ---


def test_no_name_leads_out_of_a_jobs_files(cloud: Cloud, rest: Rest, ann: str, done: Job) -> None:
    other = cloud.queued("other", owner="bea")
    client("s3").put_object(
        Bucket=cloud.settings.artifact_bucket, Key=f"jobs/{other.job_id}/1/mesh.glb", Body=b"x"
    )
    names = [
        "../../other/1/mesh.glb", "..%2f..%2fother%2f1%2fmesh.glb", "..\\..\\other\\1\\mesh.glb",
        "/jobs/other/1/mesh.glb", "./mesh.glb", "mesh.glb/.", "mesh.glb\0", "mesh.glb%00.png", "mesh.glb.",
        "mesh.glb ", " mesh.glb", "mesh.glb?x", "mesh.glb#x", "mesh\uff0eglb", "mesh.glb\r\nX: y",
        "MESH.GLB", "*", "%", "", ".", "..", "manifest.json/../mesh.glb", *HOSTILE.values(),
    ]  # fmt: skip
    for name in names:
        for spelled in {name, quote(name, safe="", errors="surrogateescape")}:
            where = {"job_id": done.job_id, "name": spelled}
            answer = rest("GET", "/jobs/{job_id}/artifacts/{name}", token=ann, **where)
            assert refused(answer) == (404, "not_found"), name
            assert answer[1]["error"]["message"] == "This job has no such file."
            assert not OBEYED.search("".join(answer[2].values()))


def test_no_id_leads_to_anything_but_its_job(cloud: Cloud, rest: Rest, ann: str, done: Job) -> None:
    full_width = "".join(chr(ord(letter) + 0xFEE0) for letter in done.job_id)
    ids = [
        f"{done.job_id}/", f"./{done.job_id}", f"x/../{done.job_id}", f"{done.job_id}%00", f"{done.job_id}\0",
        f"{done.job_id}.", f"{done.job_id} ", done.job_id.upper(), quote(done.job_id, safe=""), full_width,
        f"{done.job_id}\r\nX: y", "{job_id}", "job_id", "*", '{"S": "x"}', *HOSTILE.values(),
    ]  # fmt: skip
    for job_id in [name for name in ids if name != done.job_id]:
        for method, path in (
            ("GET", "/jobs/{job_id}"),
            ("DELETE", "/jobs/{job_id}"),
            ("DELETE", "/jobs/{job_id}/shares"),
        ):
            answer = rest(method, path, token=ann, job_id=job_id)
            assert refused(answer) == (404, "not_found"), job_id
            assert not OBEYED.search("".join(answer[2].values()))
    assert cloud.table.get(done.job_id) == done


def test_an_upload_under_any_name_but_the_announced_one_touches_no_job(cloud: Cloud) -> None:
    source = Source(cloud.settings.upload_bucket, storage.upload_key("waiting", "robot.png"))
    cloud.table.create("waiting", "ann", source, {}, arrived=False)
    waiting = cloud.table.get("waiting")
    for hostile in HOSTILE.values():
        name = hostile.encode("utf-8", "replace").decode()
        for key in (
            f"uploads/waiting/{name}",
            f"uploads/../uploads/waiting/{name}",
            f"uploads/{name}/robot.png",
        ):
            app.on_upload({"Records": [s3_record(source.bucket, key, 5, "e")]}, None)
    assert cloud.jobs() == [waiting]
    assert cloud.messages() == []


def test_metadata_of_an_upload_names_no_owner_bucket_or_key(cloud: Cloud) -> None:
    claims = {
        "owner": "mallory", "bucket": "elsewhere", "key": "inbox/x", "job_id": "mine", "source": '{"key": "x"}',
        "manifest_key": "jobs/x/1/manifest.json", "status": "succeeded", "share_epoch": "1", "seq": "99",
        "engine": "inflate", "options": '{"owner": "mallory"}', "expires_at": "9999999999",
    }  # fmt: skip
    app.on_upload({"Records": [cloud.drop("inbox/robot.png", metadata=claims)]}, None)
    (job,) = cloud.jobs()
    assert (job.owner, job.status, job.seq, job.share_epoch, job.manifest_key) == (
        "operator",
        "queued",
        1,
        0,
        None,
    )
    assert (job.source.bucket, job.source.key) == (cloud.settings.upload_bucket, "inbox/robot.png")
    assert job.options["engine"] == "inflate"
    assert "mallory" not in json.dumps(job.as_item())


# --- headers ---


def test_no_name_that_a_header_holds_is_anybodys_but_ours() -> None:
    # A name of letters, digits, dots and underscores is a token (RFC 9110, section 5.6.2): the quoted form of
    # RFC 6266 holds it as it is, and the extended one of RFC 8187 is never needed.
    for name in artifacts.expected_names(30):
        assert re.fullmatch(r"[a-z0-9_]+(\.[a-z0-9]+)+", name)
        assert storage._attachment(name) == f'attachment; filename="{name}"'


# --- terminals and logs ---


@how(max_examples=300, deadline=None)
@given(ANY_TEXT)
def test_what_is_made_visible_is_obeyed_by_nothing_and_says_the_same(text: str) -> None:
    shown = visible(text)
    assert not OBEYED.search(shown)
    assert "\n" not in shown
    assert not any(
        bidirectional(letter) in ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
        for letter in shown
    )
    assert visible(shown) == shown
    kept = "".join(letter for letter in text if not OBEYED.match(letter) and letter != "\n")
    assert len(shown) >= len(kept)
    assert visible(kept) == kept


def test_ordinary_names_in_any_script_stay_as_they_are() -> None:
    for name in (
        "robot.png",
        "Ünïcödé ß.jpg",
        "写真.heic",
        "صورة.png",
        "фото (1).webp",
        "👨‍👩‍👧.png",
        "a\u0301.png",
    ):
        assert visible(name) == name


@pytest.mark.parametrize("attempt", HOSTILE)
def test_the_command_line_obeys_no_name(attempt: str, capsys: pytest.CaptureFixture[str]) -> None:
    photo = Path(HOSTILE[attempt].replace("\0", "").replace("/", "_")[:200])
    job = {"status": "running", "stage": "mesh", "attempt": 1, "progress": 0.5}
    with submit.Bars() as bars:
        bars.add(photo)
        bars.show(photo, job)
    submit.report(
        [submit.Outcome(photo, Path("out") / photo, error=CorruptImage(f"{photo} [red]is[/red] damaged."))]
    )
    run_here._report_failure(photo, CorruptImage(f"{photo} is [/] damaged."))
    show_error(BadInput(f"There is no file {photo} [/nor] any other."))
    said = capsys.readouterr()
    assert not OBEYED.search(said.out + said.err)
    assert "[red]is[/red] damaged." in said.err
    assert "[/nor]" in said.err


def text_log() -> tuple[logging.Logger, io.StringIO]:
    """A log as ``maquette up`` has it, and what it has said."""
    said = io.StringIO()
    handler = logging.StreamHandler(said)
    handler.setFormatter(telemetry.Text())
    log = logging.Logger("functions.test")
    log.addHandler(handler)
    return log, said


def test_a_line_of_the_log_stays_one_line_whatever_it_quotes() -> None:
    log, said = text_log()
    for name in HOSTILE.values():
        with telemetry.about(job_id=name):
            log.warning("no job waits for %s", name)
    lines = said.getvalue().splitlines()
    assert len(lines) == len(HOSTILE)
    assert all(" WARNING functions.test no job waits for " in line for line in lines)
    assert not OBEYED.search("".join(lines))


def test_a_traceback_keeps_its_lines_and_obeys_nothing() -> None:
    log, said = text_log()
    try:
        raise CorruptImage(HOSTILE["colour the terminal"] + HOSTILE["be another line of a log"])  # noqa: TRY301
    except CorruptImage:
        log.exception("failed")
    lines = said.getvalue().splitlines()
    assert "infra.errors.CorruptImage: robot\\x1b]0;owned\\x07" in said.getvalue()
    assert not OBEYED.search(said.getvalue())
    assert len(lines) >= 5
    assert [line for line in lines[1:] if not line.startswith("  ")] == []


# --- folders ---


@how(max_examples=200, deadline=None)
@given(
    st.lists(
        NAMES.map(lambda name: name.replace("\0", "").replace("/", "")).filter(
            lambda name: name not in ("", ".", "..")
        ),
        max_size=6,
    )
)
def test_every_model_has_a_folder_of_its_own_right_where_it_was_asked_for(names: list[str]) -> None:
    out = Path("out")
    pairs = folders([Path("photos") / name for name in names], out)
    places = [folder for _, folder in pairs]
    assert len(set(places)) == len(names)
    for place in places:
        assert place.parent == out
        assert place.name.strip(". ")
        assert not OBEYED.search(place.name)


@pytest.mark.skipif(sys.platform == "win32", reason="no such names there")
def test_a_photo_called_as_the_folder_above_makes_its_model_inside(tmp_path: Path) -> None:
    from PIL import Image

    photo = tmp_path / "photos" / "...png"
    photo.parent.mkdir()
    Image.new("RGB", (4, 4)).save(photo, "PNG")
    ((_, folder),) = folders([photo], tmp_path / "out")
    assert folder == tmp_path / "out" / "photo"
