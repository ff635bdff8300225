"""One hostile file, and the good picture that most of them begin as."""

from __future__ import annotations

import io
from dataclasses import dataclass

import pillow_heif
from PIL import Image, ImageDraw

pillow_heif.register_heif_opener()

#: what becomes of a file that is as good as any other
ACCEPTED = "accepted"

#: our name of each format, Pillow's, and how it is saved so that there is something in it to break
FORMATS: dict[str, tuple[str, dict[str, object]]] = {
    "jpeg": ("JPEG", {"quality": 90, "restart_marker_rows": 3}),
    "progressive jpeg": ("JPEG", {"quality": 90, "progressive": True}),
    "png": ("PNG", {}),
    "webp": ("WEBP", {"quality": 90}),
    "lossless webp": ("WEBP", {"lossless": True}),
    "gif": ("GIF", {}),
    "bmp": ("BMP", {}),
    "tiff": ("TIFF", {}),
    "deflated tiff": ("TIFF", {"compression": "tiff_adobe_deflate"}),
    "avif": ("AVIF", {}),
    "heic": ("HEIF", {}),
}


@dataclass(frozen=True)
class Sample:
    """A file, and what must become of it when it is decoded."""

    name: str
    data: bytes
    #: :data:`ACCEPTED`, or the code of the error (infra/errors.py)
    expected: str
    #: what kind of hostility it is: tests of the whole path take some of each
    kind: str

    def __repr__(self) -> str:
        return f"<{self.kind}: {self.name}, {len(self.data)} bytes, {self.expected}>"


def picture(width: int = 112, height: int = 96) -> Image.Image:
    """An object of two colours before a plain backdrop: anything can be made of it."""
    drawn = Image.new("RGB", (width, height), (222, 220, 214))
    draw = ImageDraw.Draw(drawn)
    draw.ellipse((width * 0.25, height * 0.3, width * 0.75, height * 0.9), fill=(40, 100, 160))
    draw.rectangle((width * 0.42, height * 0.12, width * 0.58, height * 0.4), fill=(190, 80, 50))
    return drawn


def encode(image: Image.Image, kind: str, **options: object) -> bytes:
    """``image`` as a file of one of the :data:`FORMATS`."""
    name, usual = FORMATS[kind]
    buffer = io.BytesIO()
    image.save(buffer, name, **{**usual, **options})
    return buffer.getvalue()
