"""Small files that would be enormous: by their pixels, their frames, or what they unpack to."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator

from PIL import Image

from tests.hostile.anatomy import boxes, chunk, grey_tiff, png, png_header, tiff
from tests.hostile.samples import ACCEPTED, Sample, encode, picture

TOO_LARGE = "image_too_large"
CORRUPT = "corrupt_image"


def samples() -> Iterator[Sample]:
    """All of them."""
    for name, data, expected in [*_pixels(), *_frames(), *_packed()]:
        yield Sample(name, data, expected, "bomb")


def _pixels() -> Iterator[tuple[str, bytes, str]]:
    """Sizes that a header alone announces."""
    for side in (9_000, 30_000, 2**31 - 1):
        yield (
            f"png of {side} a side",
            png(png_header(side, side), chunk(b"IDAT", b"")),
            (TOO_LARGE),
        )
    rows = zlib.compress(bytes((1 + 9_500 // 8) * 9_500), 9)
    yield (
        "png of 90 megapixels in few bytes",
        png(png_header(9_500, 9_500, 1, 0), chunk(b"IDAT", rows)),
        TOO_LARGE,
    )
    jpeg = encode(picture(), "jpeg")
    at = jpeg.index(b"\xff\xc0") + 5
    yield "jpeg of 65,500 a side", jpeg[:at] + struct.pack(">HH", 65_500, 65_500) + jpeg[at + 4 :], TOO_LARGE
    gif = encode(picture(), "gif")
    yield "gif with an enormous screen", gif[:6] + struct.pack("<HH", 65_535, 65_535) + gif[10:], TOO_LARGE
    at = gif.index(b"\x2c") + 5
    yield "gif with an enormous frame", gif[:at] + struct.pack("<HH", 65_535, 65_535) + gif[at + 4 :], TOO_LARGE
    bmp = encode(picture(), "bmp")
    for width, height in ((60_000, 60_000), (2**31 - 1, 2**31 - 1), (60_000, -60_000)):
        yield (
            f"bmp of {width} by {height}",
            bmp[:18] + struct.pack("<ii", width, height) + bmp[26:],
            TOO_LARGE,
        )
    canvas = (16_383).to_bytes(3, "little")
    extended = encode(picture(), "lossless webp", exif=b"Exif\0\0II*\0\x08\0\0\0\0\0")
    yield "webp of 16,384 a side", extended[:24] + canvas * 2 + extended[30:], TOO_LARGE
    for name, size in (("tiff of 100,000 a side", 100_000), ("tiff of 4 thousand million a side", 2**32 - 1)):
        yield name, grey_tiff(size, size, 1, bytes(64)), TOO_LARGE
    for kind in ("avif", "heic"):
        data = encode(picture(), kind)
        at = next(at for at in boxes(data) if data[at + 4 : at + 8] == b"ispe") + 12
        swollen = data[:at] + struct.pack(">II", 50_000, 50_000) + data[at + 8 :]
        yield f"{kind} of 50,000 a side", swollen, TOO_LARGE if kind == "heic" else CORRUPT


def _frames() -> Iterator[tuple[str, bytes, str]]:
    """Pictures without number, of which one counts."""
    first = picture()
    later = [Image.new("RGB", first.size, (level, level, level)) for level in range(100)]
    for kind in ("gif", "png", "lossless webp", "tiff", "avif"):
        few = later[:20] if kind == "avif" else later
        yield (
            f"{kind} of {len(few) + 1} frames",
            _timeless(encode(first, kind, save_all=True, append_images=few)),
            ACCEPTED,
        )
    gif = encode(first, "gif")
    frame = gif[gif.index(b"\x2c") : -1]
    yield "gif of 3,000 frames", gif[:-1] + frame * 3_000 + b"\x3b", ACCEPTED
    still = encode(first, "png")
    control = chunk(b"acTL", struct.pack(">II", 2**31 - 1, 0))
    yield "png that announces two thousand million frames", still[:33] + control + still[33:], ACCEPTED
    chain = grey_tiff(64, 64, 1, bytes(64 * 64), next=8 + 64 * 64)
    yield "tiff whose next directory is itself", chain, ACCEPTED


def _timeless(data: bytes) -> bytes:
    """An animated AVIF without the moment at which it was made."""
    return re.sub(rb"(mvhd|tkhd|mdhd)(\x01...).{16}", rb"\1\2" + bytes(16), data, flags=re.DOTALL)


def _packed() -> Iterator[tuple[str, bytes, str]]:
    """What little bytes unpack to a lot."""
    zeros = zlib.compress(bytes(64_000_000), 9)
    good = encode(picture(), "png")
    head, rest = good[:33], good[33:]
    yield "png with a text of 64 MB", head + chunk(b"zTXt", b"Comment\0\0" + zeros) + rest, CORRUPT
    yield (
        "png with an international text of 64 MB",
        head + chunk(b"iTXt", b"Comment\0\1\0\0\0" + zeros) + rest,
        CORRUPT,
    )
    yield "png with a profile of 64 MB", head + chunk(b"iCCP", b"icc\0\0" + zeros) + rest, CORRUPT
    text = chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(900_000), 9))
    yield "png with a thousand texts of a megabyte", head + text * 1_000 + rest, CORRUPT
    yield "png with a hundred thousand chunks", head + chunk(b"tEXt", b"a\0b") * 100_000 + rest, ACCEPTED
    yield (
        "png with 64 MB of rows too many",
        png(png_header(64, 64, 8, 0), chunk(b"IDAT", zeros)),
        ACCEPTED,
    )
    strip = zlib.compress(bytes(64_000_000), 9)
    yield "tiff with a strip of 64 MB too much", grey_tiff(64, 64, 8, strip), ACCEPTED
    for rows, expected in ((2**31, CORRUPT), (10_000_000, ACCEPTED), (2**32 - 1, ACCEPTED)):
        tall = grey_tiff(64, 64, 8, zlib.compress(bytes(4096)), rows_per_strip=rows)
        yield f"tiff of {rows} rows in a strip", tall, expected
    for side in (40_000, 65_536):
        yield f"tiff of one tile of {side} a side", _tile(side, zeros), TOO_LARGE
    scans = encode(picture(), "progressive jpeg")
    at = scans.rindex(b"\xff\xda")
    yield "jpeg of 5,000 passes", scans[:at] + scans[at:-2] * 5_000 + scans[-2:], CORRUPT


def _tile(side: int, packed: bytes) -> bytes:
    """A small grey TIFF in one tile that is not small at all."""
    return tiff(
        [
            (256, 4, 1, 64),
            (257, 4, 1, 64),
            (258, 3, 1, 8),
            (259, 3, 1, 8),
            (262, 3, 1, 1),
            (277, 3, 1, 1),
            (322, 4, 1, side),
            (323, 4, 1, side),
            (324, 4, 1, 8),
            (325, 4, 1, len(packed)),
        ],
        packed,
    )
