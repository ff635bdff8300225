"""What is no picture but is called one, and what is a picture and something else besides."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Iterator

from tests.hostile.anatomy import chunk
from tests.hostile.samples import ACCEPTED, FORMATS, Sample, encode, picture

OTHER = "unsupported_image"

_PDF = (
    b"%PDF-1.7\n1 0 obj<</Type/Catalog/OpenAction<</S/JavaScript/JS(app.alert(1))>>>>endobj\n"
    b"trailer<</Root 1 0 R>>\n%%EOF"
)
_SCRIPT = b"<script>alert(document.domain)</script>"
_SVG = b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"><image href="file:///etc/passwd"/></svg>'

#: by what they are
STRANGERS = {
    "svg": _SVG,
    "svg after a declaration": b'<?xml version="1.0" standalone="no"?>\n<!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
    + _SVG,
    "svg after a byte order mark": b"\xef\xbb\xbf" + _SVG,
    "svg in sixteen bits": _SVG.decode().encode("utf-16"),
    "svg, packed": b"\x1f\x8b\x08\x00" + bytes(40),
    "xml that unfolds a thousand million times": b'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "lol">'
    + b"".join(b'<!ENTITY %c "%s">' % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(9))
    + b"]><l>&j;</l>",
    "html": b"<!DOCTYPE html><html><body>" + _SCRIPT,
    "html in capitals": b"\n\n<HTML>" + _SCRIPT,
    "script alone": _SCRIPT,
    "php": b"<?php system($_GET['c']); ?>",
    "pdf": _PDF,
    "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(%pipe%id) (w) file",
    "zip": b"PK\x03\x04" + bytes(60),
    "rar": b"Rar!\x1a\x07\x01\x00" + bytes(40),
    "7z": b"7z\xbc\xaf\x27\x1c" + bytes(40),
    "tar": b"robot.png".ljust(257, b"\0") + b"ustar\x0000" + bytes(255),
    "exe": b"MZ\x90\x00" + bytes(60) + b"PE\0\0",
    "elf": b"\x7fELF\x02\x01\x01" + bytes(60),
    "mach-o": b"\xcf\xfa\xed\xfe" + bytes(60),
    "java class": b"\xca\xfe\xba\xbe\x00\x00\x00\x41" + bytes(60),
    "shell script": b"#!/bin/sh\nrm -rf /\n",
    "image magick's own script": b"push graphic-context\nviewbox 0 0 640 480\nfill 'url(https://127.0.0.1/\"|id\")'\n",
    "x bitmap": b"#define x_width 64\n#define x_height 64\nstatic char x_bits[] = {0x00};\n",
    "portable pixmap": b"P6\n64 64\n255\n" + bytes(64 * 64 * 3),
    "targa": bytes([0, 0, 2]) + bytes(9) + struct.pack("<HHBB", 64, 64, 24, 0) + bytes(64 * 64 * 3),
    "icon": b"\x00\x00\x01\x00\x01\x00" + bytes(60),
    "photoshop": b"8BPS\x00\x01" + bytes(60),
    "jpeg 2000": b"\x00\x00\x00\x0cjP  \r\n\x87\n" + bytes(60),
    "jpeg xl": b"\xff\x0a" + bytes(60),
    "windows metafile": b"\xd7\xcd\xc6\x9a" + bytes(60),
    "flexible image transport": b"SIMPLE  =                    T" + b" " * 2850,
    "video": b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isommp41" + bytes(60),
    "sound": b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(40),
    "python's pickle": b"\x80\x04cos\nsystem\n(S'id'\ntR.",
    "numpy array": b"\x93NUMPY\x01\x00v\x00{'descr': '|O'}" + bytes(60),
    "3d model": b"glTF\x02\x00\x00\x00" + bytes(40),
    "plain text": "Ein Foto, ehrlich: 写真".encode(),
    "noise": bytes((index * 97 + index // 256 * 31) % 256 for index in range(4_000)),
    "zero bytes": bytes(5_000),
    "one byte": b"\xff",
    "the first bytes of a png": b"\x89PNG",
    "the first bytes of a heic": b"\x00\x00\x00\x18ftyp",
}


def samples() -> Iterator[Sample]:
    """All of them."""
    yield Sample("nothing at all", b"", "empty_file", "stranger")
    for name, data in STRANGERS.items():
        yield Sample(name, data, OTHER, "stranger")
    for name, data in _two_faced():
        yield Sample(name, data, OTHER, "polyglot")
    for kind in FORMATS:  # a signature, and then rubbish
        data = encode(picture(), kind)
        kept = 40 if kind in ("avif", "heic") else 16
        yield Sample(f"{kind} of noise", data[:kept] + STRANGERS["noise"], "corrupt_image", "rubbish")
        yield Sample(f"{kind} of zeros", data[:kept] + bytes(4_000), "corrupt_image", "rubbish")
        yield Sample(f"{kind} with text after it", data + b"\nseen by nobody\n" * 50, ACCEPTED, "harmless")


def _two_faced() -> Iterator[tuple[str, bytes]]:
    good = {kind: encode(picture(), kind) for kind in FORMATS}
    for kind in ("png", "jpeg", "gif", "webp", "heic"):
        yield f"{kind} and zip", good[kind] + _archive()
        yield f"{kind} and zip with a comment", good[kind] + _archive(b"bye" * 1_000)
        yield f"{kind} and html", good[kind] + b"<html>" + _SCRIPT
    yield "png and zip and more", good["png"] + _archive() + bytes(9)
    yield "jpeg and rar", good["jpeg"] + STRANGERS["rar"]
    yield "jpeg and 7z", good["jpeg"] + STRANGERS["7z"]
    yield "jpeg and php", _comment(good["jpeg"], STRANGERS["php"])
    yield "jpeg and pdf", _comment(good["jpeg"], _PDF)
    yield "pdf and jpeg", _PDF[:9] + good["jpeg"]
    yield "pdf after line ends and jpeg", b"\n\n" + _PDF[:9] + good["jpeg"]
    yield "jpeg and html in a comment", _comment(good["jpeg"], _SCRIPT.upper())
    yield "jpeg and javascript", b"\xff\xd8\xff\xe0/*" + good["jpeg"][6:].ljust(0x2F2A, b"\0") + b"*/=alert(1)"
    png = good["png"]
    yield "png and php in a text", png[:33] + chunk(b"tEXt", b"Comment\0" + STRANGERS["php"]) + png[33:]
    yield "png and html in a text", png[:33] + chunk(b"tEXt", b"Comment\0" + _SCRIPT) + png[33:]
    gif = good["gif"]
    yield "gif and javascript", gif[:6] + b"/*" + gif[8:] + b"*/=1;alert(1)"
    yield "gif and pdf", gif[:13] + gif[13:].replace(b"\x2c", b"\x21\xfe\x08%PDF-1.4\x00\x2c", 1)
    yield "bmp and javascript", b"BM/*" + good["bmp"][4:] + b"*/=1;alert(1)"
    yield "tiff and pdf", b"II*\0" + b"\x20\0\0\0" + _PDF[:24] + good["tiff"][32:]


def _archive(comment: bytes = b"") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zipfile.ZipInfo("../../evil.sh", (2020, 1, 1, 0, 0, 0)), "id")
        archive.comment = comment
    return buffer.getvalue()


def _comment(jpeg: bytes, text: bytes) -> bytes:
    """The JPEG with a comment right at its beginning."""
    return jpeg[:2] + b"\xff\xfe" + struct.pack(">H", len(text) + 2) + text + jpeg[2:]
