"""Where the parts of a file begin: every marker, chunk, block and box that it may be cut off at."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

#: boxes of ISO/IEC 14496-12 that hold others, and how many bytes come before those
_FOLDERS = {b"meta": 4, b"iprp": 0, b"ipco": 0, b"iref": 4, b"iinf": 6}


def parts(data: bytes, kind: str) -> list[int]:
    """Offsets, ascending, of the parts of a file of one of :data:`tests.hostile.samples.FORMATS`."""
    walk = {
        "jpeg": jpeg_markers,
        "png": png_chunks,
        "webp": riff_chunks,
        "gif": gif_blocks,
        "bmp": bmp_headers,
        "tiff": tiff_parts,
        "avif": boxes,
        "heic": boxes,
    }[kind.split()[-1]]
    return sorted({at for at in walk(data) if 0 < at < len(data)})


def jpeg_markers(data: bytes) -> Iterator[int]:
    """Every marker (ITU-T T.81, B.1.1), those between entropy-coded segments too."""
    at = 2
    while at < len(data):
        yield at
        marker = data[at + 1]
        at += 2 if marker in (0xD9, *range(0xD0, 0xD8)) else 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if marker in (0xDA, *range(0xD0, 0xD8)):
            while at < len(data) and (data[at] != 0xFF or data[at + 1] == 0):
                at += 1


def png_chunks(data: bytes) -> Iterator[int]:
    """Every chunk, and the checksum of each (PNG specification, third edition, 5.3)."""
    at = 8
    while at < len(data):
        yield at
        at += 12 + int.from_bytes(data[at : at + 4], "big")
        yield at - 4


def riff_chunks(data: bytes) -> Iterator[int]:
    """Every chunk of a WebP, and the contents of each (RFC 9649)."""
    at = 12
    while at < len(data):
        yield at
        yield at + 8
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        at += 8 + size + size % 2


def gif_blocks(data: bytes) -> Iterator[int]:
    """Every block and the first of its sub-blocks (GIF 89a, section 15 on)."""
    flags = data[10]
    at = 13
    yield 6  # the screen
    yield at  # the colour table
    at += 3 << (flags & 7) + 1 if flags & 0x80 else 0
    while data[at] != 0x3B:
        yield at
        if data[at] == 0x21:
            at += 2
        else:
            flags = data[at + 9]
            at += 10 + (3 << (flags & 7) + 1 if flags & 0x80 else 0) + 1
        yield at
        while data[at]:
            at += 1 + data[at]
        yield at
        at += 1
    yield at


def bmp_headers(data: bytes) -> Iterator[int]:
    """The information header, its end and the pixels."""
    yield 14
    yield 14 + int.from_bytes(data[14:18], "little")
    pixels = int.from_bytes(data[10:14], "little")
    yield pixels
    yield (pixels + len(data)) // 2


def tiff_parts(data: bytes) -> Iterator[int]:
    """The directory, each of its entries, and what these point to (TIFF 6.0, section 2)."""
    order = "<" if data[:2] == b"II" else ">"
    directory = struct.unpack_from(order + "I", data, 4)[0]
    count = struct.unpack_from(order + "H", data, directory)[0]
    yield 4
    yield directory
    for index in range(count + 1):
        yield directory + 2 + 12 * index
    for index in range(count):
        tag, _, _, value = struct.unpack_from(order + "HHII", data, directory + 2 + 12 * index)
        if tag == 273:  # StripOffsets: one strip
            yield value
            yield value + 1


def boxes(data: bytes, start: int = 0, end: int | None = None) -> Iterator[int]:
    """Every box, and those inside of it (ISO/IEC 14496-12, 4.2)."""
    at, end = start, len(data) if end is None else end
    while at + 8 <= end:
        yield at
        size, name = struct.unpack_from(">I4s", data, at)
        size = size or end - at
        if name in _FOLDERS:
            yield from boxes(data, at + 8 + _FOLDERS[name], at + size)
        elif name == b"mdat":
            yield at + 8
            yield at + size // 2
        at += size


def chunk(name: bytes, body: bytes, checksum: int | None = None) -> bytes:
    """A chunk of a PNG, with a right checksum unless one is given."""
    found = zlib.crc32(name + body) if checksum is None else checksum
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", found)


def png(*chunks: bytes) -> bytes:
    """A PNG of these chunks, and its end."""
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks) + chunk(b"IEND", b"")


def png_header(width: int, height: int, depth: int = 8, color: int = 2, interlaced: int = 0) -> bytes:
    """A PNG's first chunk."""
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, interlaced))


def tiff(entries: list[tuple[int, int, int, int]], body: bytes = b"", following: int = 0) -> bytes:
    """A little-endian TIFF of one directory: (tag, type, count, value); ``body`` begins at offset 8."""
    directory = 8 + len(body) + len(body) % 2
    table = b"".join(struct.pack("<HHII", *entry) for entry in sorted(entries))
    count = struct.pack("<H", len(entries))
    return (
        b"II*\0" + struct.pack("<I", directory) + body.ljust(directory - 8, b"\0") + count + table
    ) + struct.pack("<I", following)


def grey_tiff(width: int, height: int, compression: int, strip: bytes, **changed: int) -> bytes:
    """An 8-bit grey TIFF of one strip. ``changed`` replaces values: ``rows_per_strip``, ``bits``, ``next``."""
    values = {"rows_per_strip": height, "bits": 8, "next": 0} | changed
    return tiff(
        [
            (256, 4, 1, width),
            (257, 4, 1, height),
            (258, 3, 1, values["bits"]),
            (259, 3, 1, compression),
            (262, 3, 1, 1),
            (273, 4, 1, 8),
            (277, 3, 1, 1),
            (278, 4, 1, values["rows_per_strip"]),
            (279, 4, 1, len(strip)),
        ],
        strip,
        values["next"],
    )
