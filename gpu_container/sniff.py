"""What a file is, told from its first bytes and never from its name.

Only the formats of :data:`ACCEPTED` are ever handed to a decoder; everything else is refused with the name of
what it looks like.
"""

from __future__ import annotations

import re

from infra.errors import EmptyFile, UnsupportedImage

#: our name of each accepted format, and Pillow's
ACCEPTED = {
    "jpeg": "JPEG",
    "png": "PNG",
    "webp": "WEBP",
    "gif": "GIF",
    "bmp": "BMP",
    "tiff": "TIFF",
    "avif": "AVIF",
    "heic": "HEIF",
}
ACCEPTED_IN_WORDS = "JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF or HEIC"

#: first bytes of the accepted formats that start with a fixed signature
_SIGNATURES = (
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"BM", "bmp"),
    (b"II*\x00", "tiff"),
    (b"MM\x00*", "tiff"),
    (b"II+\x00", "tiff"),
    (b"MM\x00+", "tiff"),
)

#: first bytes of what people send by mistake, with an article for the message
_STRANGERS = (
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive (or an office document)"),
    (b"PK\x05\x06", "an empty ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"7z\xbc\xaf", "a 7-Zip archive"),
    (b"Rar!", "a RAR archive"),
    (b"8BPS", "a Photoshop document"),
    (b"\xff\x0a", "a JPEG XL picture"),
    (b"\x00\x00\x00\x0cJXL ", "a JPEG XL picture"),
    (b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 picture"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 picture"),
    (b"\x00\x00\x01\x00", "an icon"),
    (b"v/1\x01", "an OpenEXR picture"),
    (b"qoif", "a QOI picture"),
    (b"\x1aE\xdf\xa3", "a Matroska or WebM video"),
    (b"glTF", "a 3D model"),
    (b"{\\rtf", "an RTF document"),
    (b"%!PS", "a PostScript document"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
)

#: brands of the ISO base media file type box (ISO/IEC 23008-12, annex B; AVIF 1.1, section 8)
_AVIF_BRANDS = {b"avif", b"avis"}
_HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"}
_ANY_HEIF_BRANDS = {b"mif1", b"mif2", b"msf1"}

#: a PDF reader looks for its header within this many bytes
_PDF_HEADER_WITHIN = 1024
_ZIP_END = b"PK\x05\x06"
_ZIP_END_BYTES = 22
_ZIP_ENTRY = b"PK\x01\x02"
#: archives that are found wherever in a file they begin
_ARCHIVES = ((b"Rar!\x1a\x07", "a RAR archive"), (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"))
#: what a web server or a page would run, wherever it stands
_PAGE = re.compile(rb"<script\b|<\?php\s", re.IGNORECASE)
#: pictures whose first number opens a comment of JavaScript, which swallows all that is no script
_COMMENTED_OUT = (b"\xff\xd8\xff\xe0/*", b"GIF87a/*", b"GIF89a/*", b"BM/*")


def sniff(data: bytes) -> str:
    """The format of ``data``, one of :data:`ACCEPTED`'s keys.

    Raises:
        EmptyFile: there are no bytes.
        UnsupportedImage: it is something else, or a picture and an archive or document at once.
    """
    if not data:
        raise EmptyFile("The file is empty. Perhaps the upload broke off: send it again.")
    found = _accepted(data)
    if found is None:
        raise UnsupportedImage(
            f"This looks like {_stranger(data)}, not like a photo. Accepted are {ACCEPTED_IN_WORDS} pictures."
        )
    second = _second_face(data)
    if second is not None:
        raise UnsupportedImage(
            f"This file is a picture and {second} at once. Save the picture alone, as PNG or JPEG."
        )
    return found


def _accepted(data: bytes) -> str | None:
    for signature, name in _SIGNATURES:
        if data.startswith(signature):
            return name
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    if data[4:8] == b"ftyp":
        brands = _brands(data)
        if brands & _AVIF_BRANDS:
            return "avif"
        if brands & (_HEIC_BRANDS | _ANY_HEIF_BRANDS):
            return "heic"
    return None


def _brands(data: bytes) -> set[bytes]:
    """Major and compatible brands of the ``ftyp`` box that ``data`` starts with."""
    size = min(int.from_bytes(data[:4], "big"), 256, len(data))
    compatible = {data[at : at + 4] for at in range(16, size - 3, 4)}
    return {data[8:12]} | compatible


def _stranger(data: bytes) -> str:
    """What refused bytes look like, in words."""
    for signature, words in _STRANGERS:
        if data.startswith(signature):
            return words
    if data[4:8] == b"ftyp":
        return "a video"
    if data[:4] == b"RIFF":
        return "a video or sound file"
    head = data[:4096].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if head.startswith((b"<!doctype html", b"<html")):
        return "a web page (HTML)"
    if b"<svg" in head:
        return "an SVG drawing"
    if b"<html" in head:
        return "a web page (HTML)"
    if head.startswith(b"<?xml"):
        return "an XML document"
    return "plain text" if _is_text(data[:4096]) else "an unknown kind of file"


def _is_text(head: bytes) -> bool:
    """No control characters but white space, and decodable once a character cut at the end is forgiven."""
    if any(byte < 32 and byte not in b"\t\n\r\f\x1b" for byte in head):
        return False
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start >= len(head) - 3
    return True


def _second_face(data: bytes) -> str | None:
    """What else a picture claims to be: such files slip past a check as one thing and act as another."""
    if b"%PDF-" in data[:_PDF_HEADER_WITHIN]:
        return "a PDF document"
    if data.startswith(_COMMENTED_OUT):
        return "a script"
    if _PAGE.search(data):
        return "a web page"
    if _ends_as_zip(data):
        return "a ZIP archive"
    return next((words for signature, words in _ARCHIVES if signature in data), None)


def _ends_as_zip(data: bytes) -> bool:
    """Whether an archive's last record stands at the end, or near it with its directory before it."""
    end = data.rfind(_ZIP_END, -(_ZIP_END_BYTES + 0xFFFF))
    if end < 0 or len(data) - end < _ZIP_END_BYTES:
        return False
    comment_bytes = int.from_bytes(data[end + 20 : end + 22], "little")
    directory_bytes = int.from_bytes(data[end + 12 : end + 16], "little")
    if end + _ZIP_END_BYTES + comment_bytes == len(data):
        return True
    return data.startswith(_ZIP_ENTRY, max(end - directory_bytes, 0))
