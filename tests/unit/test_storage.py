"""Keys, file names and types, whatever people call their photos."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gpu_container.photo import MAX_BYTES
from gpu_container.sniff import ACCEPTED
from infra.errors import InvalidOption
from infra.storage import IMAGE_TYPES, MAX_PHOTO_BYTES, artifact_prefix, image_type, safe_filename, upload_key


@given(st.text(max_size=300))
@example("../../etc/passwd")
@example("..\\..\\windows\\system.ini")
@example("${filename}")
@example('x"; filename="evil.html')
@example("<script>alert(1)</script>.png")
@example("a\r\nSet-Cookie: x.png")
@example(".")
@example("")
@example("\ud800.png")
def test_a_file_name_is_one_harmless_part_of_a_key(name: str) -> None:
    safe = safe_filename(name)
    assert safe
    assert len(safe) <= 110
    assert not set(safe) & set("/\\${}<>\"'`;:%&?#*|\r\n\t\0")
    assert safe.strip(". ") != ""
    assert safe not in (".", "..")
    assert len(upload_key("0" * 36, name).encode("utf-8")) <= 1024, "S3's limit"
    assert upload_key("job", name).split("/") == ["uploads", "job", safe]
    assert safe_filename(safe) == safe


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("robot.png", "robot.png"),
        ("Ñandú 2 (copy).JPG", "Ñandú 2 (copy).JPG"),
        ("C:\\photos\\robot.png", "robot.png"),
        ("/tmp/robot.png", "robot.png"),
        ("robot", "robot"),
        (".png", "png"),
    ],
)
def test_ordinary_names_stay_what_they_are(name: str, safe: str) -> None:
    assert safe_filename(name) == safe


def test_the_type_comes_from_the_declaration_or_else_from_the_name() -> None:
    assert image_type("robot.PNG", None) == "image/png"
    assert image_type("robot", "image/webp") == "image/webp"
    assert image_type("robot.jpg", "image/heic") == "image/heic"


@pytest.mark.parametrize(
    ("name", "declared"), [("a.svg", None), ("a", None), ("a.png", "text/html"), ("a.png", "image/svg+xml")]
)
def test_only_pictures_may_be_uploaded(name: str, declared: str | None) -> None:
    with pytest.raises(InvalidOption, match="content_type"):
        image_type(name, declared)


def test_no_type_that_a_browser_would_run_is_accepted() -> None:
    assert not [kind for kind in IMAGE_TYPES.values() if "svg" in kind or "html" in kind or "xml" in kind]


def test_ingest_and_worker_agree_on_what_is_a_photo() -> None:
    assert MAX_PHOTO_BYTES == MAX_BYTES
    assert {kind.removeprefix("image/") for kind in IMAGE_TYPES.values()} >= set(ACCEPTED)


def test_attempts_never_share_a_folder() -> None:
    assert artifact_prefix("job", 1) != artifact_prefix("job", 11)
    assert not artifact_prefix("job", 11).startswith(artifact_prefix("job", 1))
