"""The orbit's files: decoded again by other libraries, and broken on purpose."""

from __future__ import annotations

import re
import stat
import subprocess
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from gpu_container import video
from infra.errors import EncodingFailed, MissingDependency

Pictures = NDArray[np.uint8]


@pytest.fixture(scope="module")
def pictures() -> Pictures:
    """A soft red disc that walks over white, 12 pictures ``(12, 96, 128, 3)``."""
    rows, columns = np.mgrid[:96, :128]
    frames = []
    for k in range(12):
        cover = np.clip(25 - np.hypot(rows - 48, columns - 30 - 6 * k), 0, 10)[..., None] / 10
        frames.append(255 * (1 - cover) + np.array([200, 40, 60]) * cover)
    return np.stack(frames).astype(np.uint8)


def ffmpeg(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", *arguments]
    return subprocess.run(command, capture_output=True, check=False)


def told_of(path: Path) -> str:
    """What ffmpeg says of a video."""
    return ffmpeg("-i", str(path)).stderr.decode()


def decoded(path: Path) -> Pictures:
    """The frames ``(n, h, w, 3)`` sRGB of a video."""
    size = re.search(r"Video: .* (\d+)x(\d+)", told_of(path))
    assert size
    frames = ffmpeg("-i", str(path), "-f", "rawvideo", "-pix_fmt", "rgb24", "-").stdout
    return np.frombuffer(frames, np.uint8).reshape(-1, int(size[2]), int(size[1]), 3)


def boxes(data: bytes) -> list[str]:
    """The names of an MP4 file's outermost boxes, in order (ISO 14496-12, 4.2)."""
    names, at = [], 0
    while at < len(data):
        names.append(data[at + 4 : at + 8].decode("ascii"))
        at += int.from_bytes(data[at : at + 4], "big")
    return names


def stand_in_encoder(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    program = folder / "ffmpeg"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(program))


def test_the_video_decodes_to_the_pictures_in_order(pictures: Pictures, tmp_path: Path) -> None:
    path = video.write_video(pictures, tmp_path / "render.mp4")
    frames = decoded(path)

    assert frames.shape == pictures.shape
    assert np.abs(frames.astype(int) - pictures).mean() < 2
    # neither swapped channels nor another colour matrix: the disc keeps its red
    assert frames[0, 48, 30] == pytest.approx(pictures[0, 48, 30], abs=8)
    assert (frames[:, 2, 2] > 250).all()
    assert f"{video.FPS} fps" in told_of(path)


def test_browsers_can_play_it_and_start_before_it_is_there(pictures: Pictures, tmp_path: Path) -> None:
    path = video.write_video(pictures, tmp_path / "render.mp4")
    told = told_of(path)

    assert "Video: h264" in told
    assert "yuv420p(tv, bt709" in told
    names = boxes(path.read_bytes())
    assert names.index("moov") < names.index("mdat")


def test_the_same_pictures_give_the_same_bytes(pictures: Pictures, tmp_path: Path) -> None:
    once = video.write_video(pictures, tmp_path / "once.mp4").read_bytes()
    again = video.write_video(pictures, tmp_path / "again.mp4").read_bytes()

    assert once == again


def test_odd_sides_grow_by_one_white_pixel(pictures: Pictures, tmp_path: Path) -> None:
    frames = decoded(video.write_video(pictures[:, :95, :127], tmp_path / "render.mp4"))

    assert frames.shape == pictures.shape
    assert (frames[:, 95] > 250).all()
    assert (frames[:, :, 127] > 250).all()


def test_a_single_tiny_picture_is_a_video_too(tmp_path: Path) -> None:
    frames = decoded(video.write_video(np.full((1, 7, 7, 3), 255, np.uint8), tmp_path / "render.mp4"))

    assert frames.shape == (1, 8, 8, 3)


def test_a_failing_encoder_is_told_in_its_own_words_and_leaves_nothing(
    pictures: Pictures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    half_done = 'cat >/dev/null; for last; do :; done; echo half > "$last"; echo "no room left" >&2; exit 3'
    stand_in_encoder(tmp_path, half_done, monkeypatch)

    with pytest.raises(EncodingFailed, match=r"ended with 3.*no room left"):
        video.write_video(pictures, tmp_path / "render.mp4")
    assert not (tmp_path / "render.mp4").exists()


def test_an_encoder_that_dies_before_it_reads_is_told_too(
    pictures: Pictures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in_encoder(tmp_path, "exit 1", monkeypatch)

    with pytest.raises(EncodingFailed, match="gave no reason"):
        video.write_video(pictures, tmp_path / "render.mp4")


def test_a_missing_encoder_says_what_to_install(
    pictures: Pictures, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(tmp_path / "nowhere"))

    with pytest.raises(MissingDependency, match="imageio-ffmpeg"):
        video.write_video(pictures, tmp_path / "render.mp4")


def test_pictures_on_disk_are_those_of_the_orbit(pictures: Pictures, tmp_path: Path) -> None:
    paths = video.write_views(pictures, tmp_path)

    assert [path.name for path in paths] == [f"render_{k:03d}.png" for k in range(12)]
    for path, picture in zip(paths, pictures, strict=True):
        assert np.array_equal(np.asarray(Image.open(path)), picture)


def test_the_poster_is_the_picture_it_was_made_of(pictures: Pictures, tmp_path: Path) -> None:
    with Image.open(video.write_poster(pictures[3], tmp_path / "poster.webp")) as poster:
        assert poster.format == "WEBP"
        shown = np.asarray(poster.convert("RGB")).astype(int)

    assert np.abs(shown - pictures[3]).mean() < 2
    assert shown[48, 48] == pytest.approx(pictures[3, 48, 48].astype(int), abs=10)


@pytest.mark.parametrize(("views", "expected"), [(30, 2), (120, 8), (4, 0)])
def test_the_poster_shows_the_object_a_little_from_the_side(views: int, expected: int) -> None:
    assert video.poster_view(views) == expected


def test_a_folder_that_is_not_there_is_an_error(pictures: Pictures, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        video.write_views(pictures, tmp_path / "nowhere")
