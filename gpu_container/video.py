"""The orbit as files: PNG pictures, a turntable video and a poster. The same pictures give the same bytes."""

from __future__ import annotations

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import imageio_ffmpeg
import numpy as np
from numpy.typing import NDArray

from infra.errors import EncodingFailed, MissingDependency

#: pictures a second: thirty views turn once in two seconds
FPS = 15
#: zlib's effort; pictures are mostly white, more gains little
PNG_LEVEL = 4
WEBP_QUALITY = 90
#: how far the poster's camera stands from the photo's side, towards the object's left: enough to see depth
POSTER_DEGREES = 24.0
#: encoder threads: a fixed number, since the bytes depend on it
ENCODER_THREADS = 4


def write_views(pictures: NDArray[np.uint8], folder: Path) -> list[Path]:
    """``render_000.png`` … for ``pictures`` ``(views, h, w, 3)`` sRGB, in ``folder``; returns the paths.

    Raises:
        OSError: ``folder`` cannot be written to.
    """
    paths = [folder / f"render_{k:03d}.png" for k in range(len(pictures))]
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        list(pool.map(_write_png, pictures, paths))
    return paths


def _write_png(picture: NDArray[np.uint8], path: Path) -> None:
    path.write_bytes(_encoded(picture, ".png", [cv2.IMWRITE_PNG_COMPRESSION, PNG_LEVEL]))


def poster_view(views: int) -> int:
    """Which picture of an orbit flatters: the one nearest to ``POSTER_DEGREES``."""
    return round(POSTER_DEGREES / 360 * views) % views


def write_poster(picture: NDArray[np.uint8], path: Path) -> Path:
    """A WebP of ``picture`` ``(h, w, 3)`` sRGB at ``path``."""
    path.write_bytes(_encoded(picture, ".webp", [cv2.IMWRITE_WEBP_QUALITY, WEBP_QUALITY]))
    return path


def _encoded(picture: NDArray[np.uint8], extension: str, settings: list[int]) -> bytes:
    done, data = cv2.imencode(extension, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), settings)
    if not done:
        raise EncodingFailed(f"The picture could not be written as {extension[1:]}. Please try again.")
    return data.tobytes()


def write_video(pictures: NDArray[np.uint8], path: Path, fps: int = FPS) -> Path:
    """An MP4 (H.264, 4:2:0, BT.709) of ``pictures`` ``(views, h, w, 3)`` sRGB, one full turn, at ``path``.

    Browsers play it, and may do so before all of it has arrived. Odd sides grow by one white pixel, since 4:2:0
    needs even ones.

    Raises:
        MissingDependency: there is no ffmpeg that starts.
        EncodingFailed: ffmpeg gave up; the message ends with its last words. Nothing is left at ``path``.
    """
    _, height, width, _ = pictures.shape
    even = np.pad(pictures, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)), constant_values=255)
    try:
        encoder = subprocess.run(
            _ffmpeg_command(width + width % 2, height + height % 2, fps, path),
            input=np.ascontiguousarray(even).data,
            capture_output=True,
            check=False,
        )
    except (OSError, RuntimeError) as error:
        raise MissingDependency(
            f"The video needs ffmpeg, and it does not start ({error}). Reinstall imageio-ffmpeg, or "
            "name a working ffmpeg in IMAGEIO_FFMPEG_EXE."
        ) from error
    if encoder.returncode != 0:
        path.unlink(missing_ok=True)
        words = encoder.stderr.decode(errors="replace").strip().splitlines()
        raise EncodingFailed(
            f"The video could not be encoded (ffmpeg ended with {encoder.returncode}): "
            f"{words[-1] if words else 'it gave no reason'}"
        )
    return path


def _ffmpeg_command(width: int, height: int, fps: int, path: Path) -> list[str]:
    source = ["-f", "rawvideo", "-pixel_format", "rgb24", "-video_size", f"{width}x{height}"]
    # Browsers guess the matrix from the size unless it is written down: convert to BT.709 and say so.
    color = ["-vf", "scale=out_color_matrix=bt709:out_range=tv,format=yuv420p"]
    color += ["-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709", "-color_range", "tv"]
    codec = ["-c:v", "libx264", "-preset", "fast", "-crf", "18", "-threads", str(ENCODER_THREADS)]
    # no clock, no library versions: the same pictures give the same bytes
    plain = ["-map_metadata", "-1", "-fflags", "+bitexact", "-flags:v", "+bitexact"]
    return [
        imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-loglevel", "error", "-nostats", "-y",
        *source, "-framerate", str(fps), "-i", "pipe:0",
        "-an", *codec, *color, *plain, "-movflags", "+faststart", "-f", "mp4", str(path),
    ]  # fmt: skip
