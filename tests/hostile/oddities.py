"""Pictures that are odd in their pixels, their sizes or what is written beside them: some good, some not."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator

import numpy as np
from PIL import Image

from tests.hostile.anatomy import chunk, grey_tiff, png, png_header, tiff
from tests.hostile.samples import ACCEPTED, Sample, encode, picture

CORRUPT, SMALL, LARGE = "corrupt_image", "image_too_small", "image_too_large"
#: written into everything that may be written beside a picture: no file of ours may hold it
SECRET = b"48.2081N16.3738E"

Found = Iterator[tuple[str, bytes, str]]


def samples() -> Iterator[Sample]:
    """All of them."""
    kinds: dict[str, Callable[[], Found]] = {
        "pixels": _pixels,
        "size": _sizes,
        "numbers": _numbers,
        "structure": _structure,
        "orientation": _orientations,
        "metadata": _metadata,
        "profile": _profiles,
    }
    for kind, found in kinds.items():
        for name, data, expected in found():
            yield Sample(name, data, expected, kind)


def _pixels() -> Found:
    """Samples of unusual kinds."""
    image = picture()
    for kind in ("jpeg", "tiff"):
        yield f"{kind} in four inks", encode(image.convert("CMYK"), kind), ACCEPTED
    for mode in ("1", "L", "LA", "RGBA", "P", "I;16"):
        yield (
            f"png in mode {mode}",
            encode(image.convert("L").convert(mode) if mode == "I;16" else image.convert(mode), "png"),
            ACCEPTED,
        )
    for mode in ("1", "L", "LAB", "YCbCr", "I", "F"):
        converted = image.convert(mode)
        converted.info.clear()  # a profile of LAB tells when it was made
        yield f"tiff in mode {mode}", encode(converted, "tiff"), ACCEPTED
    clear = Image.new("RGBA", (96, 96), (0, 0, 0, 0))
    for kind in ("png", "lossless webp", "gif"):
        yield f"{kind} with nothing to be seen", encode(clear, kind), ACCEPTED
    yield "png of one colour", encode(Image.new("RGB", (96, 96), "white"), "png"), ACCEPTED
    rows = zlib.compress(b"".join(b"\0" + bytes(16) for _ in range(64)))
    for depth, color in ((2, 0), (4, 3), (16, 2), (16, 6)):
        wide = zlib.compress((b"\0" + bytes(64 * 8)) * 64)
        palette = chunk(b"PLTE", bytes(3 * 16)) if color == 3 else b""
        yield (
            f"png of {depth} bits, colour type {color}",
            png(png_header(64, 64, depth, color), palette, chunk(b"IDAT", wide)),
            ACCEPTED,
        )
    for depth, color in ((3, 0), (32, 2), (16, 3), (8, 5), (8, 255)):
        yield (
            f"png of {depth} bits, colour type {color}: there is none",
            png(png_header(64, 64, depth, color), chunk(b"IDAT", rows)),
            CORRUPT,
        )


def _sizes() -> Found:
    """As small, as long and as flat as can be."""
    for size in ((1, 1), (31, 31), (20_000, 1), (1, 20_000), (20_000, 40)):
        yield f"png of {size[0]} by {size[1]}", encode(Image.new("L", size), "png"), SMALL
    yield "png of 65,000 by 900", png(png_header(65_000, 900), chunk(b"IDAT", b"")), SMALL
    yield "jpeg of one pixel", encode(Image.new("L", (1, 1)), "jpeg"), SMALL
    yield "gif of one pixel", encode(Image.new("L", (1, 1)), "gif"), SMALL
    yield "png of 32 by 32", encode(picture(32, 32), "png"), ACCEPTED
    for size in ((0, 0), (0, 64), (64, 0)):
        yield (
            f"png of {size[0]} by {size[1]}",
            png(png_header(*size), chunk(b"IDAT", zlib.compress(b""))),
            CORRUPT,
        )
    bmp = encode(picture(), "bmp")
    yield "bmp of no height", bmp[:22] + bytes(4) + bmp[26:], CORRUPT
    yield "bmp of negative width", bmp[:18] + struct.pack("<i", -64) + bmp[22:], LARGE
    yield "bmp upside down", bmp[:22] + struct.pack("<i", -96) + bmp[26:], ACCEPTED
    yield "tiff of no size", grey_tiff(0, 0, 1, bytes(64)), CORRUPT
    yield "large and plain", encode(Image.new("1", (8_900, 8_900)), "png"), ACCEPTED


def _numbers() -> Found:
    """Samples that are no numbers."""
    for name, value in (("nan", np.nan), ("infinity", np.inf), ("less than everything", -np.inf)):
        floats = np.full((64, 64), 0.5, np.float32)
        floats[3, 4] = value
        yield f"floating-point tiff with {name}", encode(Image.fromarray(floats), "tiff"), CORRUPT
    for name, values in (
        ("nothing but nan", np.full((64, 64), np.nan, np.float32)),
        ("the largest numbers", np.full((64, 64), 3.4e38, np.float32)),
        ("the smallest numbers", np.full((64, 64), -3.4e38, np.float32)),
        ("the faintest numbers", np.full((64, 64), 1e-45, np.float32)),
    ):
        expected = CORRUPT if np.isnan(values).any() else ACCEPTED
        yield f"floating-point tiff of {name}", encode(Image.fromarray(values), "tiff"), expected
    for name, value in (("lowest", -(2**31)), ("highest", 2**31 - 1)):
        integers = np.full((64, 64), value, np.int32)
        yield f"tiff of the {name} integers", encode(Image.fromarray(integers), "tiff"), ACCEPTED
    yield "tiff that says it has 65,535 bits", grey_tiff(64, 64, 1, bytes(4096), bits=65_535), CORRUPT
    yield "tiff that says it has no bits", grey_tiff(64, 64, 1, bytes(4096), bits=0), CORRUPT


def _structure() -> Found:
    """What stands in the wrong place, twice, or is missing."""
    good = encode(picture(), "png")
    head, rest = good[8:33], good[33:]
    signature = good[:8]
    broken = bytearray(good)
    broken[33 + 20] ^= 0xFF
    yield "png with a wrong checksum of its pixels", bytes(broken), CORRUPT
    yield (
        "png with a wrong checksum of its header",
        signature + head[:-1] + bytes([head[-1] ^ 1]) + rest,
        CORRUPT,
    )
    yield "png without a header", signature + rest, CORRUPT
    yield "png with two headers", signature + head * 2 + rest, ACCEPTED
    yield "png without pixels", png(png_header(64, 64)), CORRUPT
    yield (
        "png of a palette without one",
        png(png_header(64, 64, 8, 3), chunk(b"IDAT", zlib.compress(bytes(65 * 64)))),
        ACCEPTED,
    )
    yield (
        "png with a chunk of a length that is none",
        signature + head + b"\xff\xff\xff\xff" + b"tEXt" + rest,
        CORRUPT,
    )
    yield "png with a chunk that nobody knows", signature + head + chunk(b"ABCD", bytes(9)) + rest, ACCEPTED
    interlaced = b"".join(
        (b"\0" + bytes(-(-(64 - x) // dx))) * (-(-(64 - y) // dy))
        for x, y, dx, dy in (
            (0, 0, 8, 8),
            (4, 0, 8, 8),
            (0, 4, 4, 8),
            (2, 0, 4, 4),
            (0, 2, 2, 4),
            (1, 0, 2, 2),
            (0, 1, 1, 2),
        )
    )
    yield (
        "png interlaced",
        png(png_header(64, 64, 8, 0, 1), chunk(b"IDAT", zlib.compress(interlaced))),
        ACCEPTED,
    )
    yield (
        "png of a filter that is none",
        png(png_header(64, 64, 8, 0), chunk(b"IDAT", zlib.compress((b"\x09" + bytes(64)) * 64))),
        CORRUPT,
    )
    gif = encode(picture(), "gif")
    yield (
        "gif of a code size that is none",
        gif[: gif.index(b"\x2c") + 10] + b"\x0f" + gif[gif.index(b"\x2c") + 11 :],
        CORRUPT,
    )
    local = gif.index(b"\x2c")
    table = 3 << (gif[10] & 7) + 1
    yield (
        "gif of a palette without one",
        gif[:10] + bytes([gif[10] & 0x7F]) + gif[11:13] + gif[13 + table :],
        ACCEPTED,
    )
    yield "gif without a picture", gif[:local] + b"\x3b", CORRUPT
    bmp = encode(picture(), "bmp")
    for name, at, value in (
        ("compression", 30, 99),
        ("depth", 28, 0),
        ("offset", 10, 2**31 - 1),
        ("header", 14, 2**31 - 1),
        ("planes and depth", 26, 2**32 - 1),
    ):
        yield f"bmp of a {name} that is none", bmp[:at] + struct.pack("<I", value) + bmp[at + 4 :], CORRUPT
    jpeg = encode(picture(), "jpeg")
    tables = jpeg.index(b"\xff\xdb")
    size = 2 + int.from_bytes(jpeg[tables + 2 : tables + 4], "big")
    yield "jpeg without tables", jpeg[:tables] + jpeg[tables + size :], CORRUPT
    frame = jpeg.index(b"\xff\xc0")
    yield "jpeg of no components", jpeg[: frame + 9] + b"\0" + jpeg[frame + 10 :], CORRUPT
    yield "jpeg of 12 bits", jpeg[: frame + 4] + b"\x0c" + jpeg[frame + 5 :], CORRUPT
    webp = encode(picture(), "webp")
    yield "webp shorter than it says", webp[:4] + struct.pack("<I", 2**32 - 2) + webp[8:], CORRUPT
    yield "tiff in a compression that is none", grey_tiff(64, 64, 65_000, bytes(4096)), CORRUPT
    yield "tiff of a directory beyond its end", b"II*\0" + struct.pack("<I", 2**32 - 1) + bytes(64), CORRUPT
    yield "tiff of a directory that is its header", b"II*\0" + struct.pack("<I", 0) + bytes(64), CORRUPT
    yield (
        "tiff whose tags point anywhere",
        tiff([(tag, 4, 2**31 - 1, 2**32 - 9) for tag in range(256, 280)]),
        CORRUPT,
    )
    yield (
        "big tiff of a directory beyond its end",
        b"II+\0\x08\0\0\0" + struct.pack("<Q", 2**63) + bytes(64),
        CORRUPT,
    )


def _orientations() -> Found:
    """EXIF's turn of the picture: right, wrong, and none."""
    for value in (0, 9, 255, 65_535):
        yield f"turned by {value}", encode(picture(), "jpeg", exif=_exif((0x0112, 3, 1, value))), ACCEPTED
    for value in range(1, 9):
        yield f"turned by {value}", encode(picture(), "jpeg", exif=_exif((0x0112, 3, 1, value))), ACCEPTED
    for name, entry in (
        ("a text", (0x0112, 2, 4, int.from_bytes(b"six\0", "little"))),
        ("a fraction", (0x0112, 5, 1, 8)),
        ("two numbers", (0x0112, 3, 2, 6 | 6 << 16)),
        ("thousand million numbers", (0x0112, 3, 2**30, 8)),
        ("a number of no type", (0x0112, 99, 1, 6)),
    ):
        for kind in ("jpeg", "png", "webp"):
            yield f"{kind} turned by {name}", encode(picture(), kind, exif=_exif(entry)), ACCEPTED


def _exif(*entries: tuple[int, int, int, int], following: int = 0) -> bytes:
    return b"Exif\0\0" + tiff(list(entries), following=following)


def _metadata() -> Found:
    """What is written beside the pixels."""
    loop = _exif((0x8769, 4, 1, 8), (0x8825, 4, 1, 8), (0xA005, 4, 1, 8), (0x014A, 4, 1, 8), following=8)
    for kind in ("jpeg", "png", "webp"):
        yield f"{kind} whose directories are each other", encode(picture(), kind, exif=loop), ACCEPTED
        yield (
            f"{kind} with rubbish for EXIF",
            encode(picture(), kind, exif=b"Exif\0\0" + bytes(range(200))),
            ACCEPTED,
        )
        yield f"{kind} with the beginning of EXIF", encode(picture(), kind, exif=b"Exif\0\0II*\0"), ACCEPTED
    place = Image.Exif()
    place[0x010E] = SECRET.decode()
    place.get_ifd(0x8825)[1] = SECRET.decode()
    for kind in ("jpeg", "png", "webp", "avif", "heic", "tiff"):
        yield f"{kind} that tells where it was taken", encode(picture(), kind, exif=place), ACCEPTED
    for kind in ("avif", "heic"):
        broken = encode(picture(), kind, exif=place)
        for order in (b"II*\0", b"MM\0*"):
            broken = broken.replace(b"Exif\0\0" + order, b"Exif\0\0????")
        assert b"Exif\0\0????" in broken
        yield f"{kind} with rubbish for EXIF", broken, CORRUPT if kind == "avif" else ACCEPTED
    many = [(1_000 + index, 7, 2**31, 8) for index in range(5_000)]
    yield (
        "jpeg with five thousand tags of two gigabytes",
        encode(picture(), "jpeg", exif=_exif(*many)),
        ACCEPTED,
    )
    thumbnail = _exif((0x0201, 4, 1, 2**31), (0x0202, 4, 1, 2**31 - 1))
    yield "jpeg with a thumbnail beyond its end", encode(picture(), "jpeg", exif=thumbnail), ACCEPTED
    jpeg = encode(picture(), "jpeg")
    many = b"\xff\xe2\x00\x08MPF\0II"
    yield "jpeg with half a list of pictures", jpeg[:2] + many + jpeg[2:], ACCEPTED
    pictures = b"MPF\0" + tiff(
        [(0xB000, 7, 4, 0x30303130), (0xB001, 4, 1, 2**32 - 1), (0xB002, 7, 16, 8)], bytes(16)
    )
    listed = b"\xff\xe2" + struct.pack(">H", len(pictures) + 2) + pictures
    yield "jpeg with a list of four thousand million pictures", jpeg[:2] + listed + jpeg[2:], ACCEPTED
    resources = b"Photoshop 3.0\x008BIM\x03\xed\x00\x00\xff\xff\xff\xff" + SECRET
    marker = b"\xff\xed" + struct.pack(">H", len(resources) + 2) + resources
    yield "jpeg with a broken Photoshop block", jpeg[:2] + marker + jpeg[2:], ACCEPTED
    entities = (
        b"http://ns.adobe.com/xap/1.0/\0<!DOCTYPE x [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><x>&a;</x>"
        + SECRET
    )
    xmp = b"\xff\xe1" + struct.pack(">H", len(entities) + 2) + entities
    yield "jpeg whose XMP refers to a file", jpeg[:2] + xmp + jpeg[2:], ACCEPTED
    comment = b"\xff\xfe" + struct.pack(">H", 65_535) + b"x" * 65_533
    yield (
        "jpeg of a thousand comments",
        jpeg[:2] + comment * 1_000 + jpeg[2:],
        LARGE if len(comment) > 2**17 else ACCEPTED,
    )


def _profiles() -> Found:
    """ICC profiles that are broken, enormous, or of something else."""
    from PIL import ImageCms

    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    srgb = srgb[:24] + bytes(12) + srgb[36:]  # when it was made
    tags = srgb[:128] + struct.pack(">I", 2**32 - 1) + srgb[132:]
    endless = bytearray(srgb)
    for at in range(132, 132 + 12 * int.from_bytes(srgb[128:132], "big"), 12):
        endless[at + 4 : at + 12] = struct.pack(">II", 128, 2**31)
    profiles = {
        "cut short": srgb[:200],
        "of a size that is none": struct.pack(">I", 2**32 - 1) + srgb[4:],
        "of four thousand million tags": tags,
        "whose tags are itself": bytes(endless),
        "of inks": srgb[:16] + b"CMYK" + srgb[20:],
        "of names": srgb[:12] + b"nmcl" + srgb[16:],
        "of nothing": b"",
        "of a megabyte": srgb + bytes(900_000),
    }
    for name, profile in profiles.items():
        for kind in ("jpeg", "png", "webp"):
            yield f"{kind} with a profile {name}", encode(picture(), kind, icc_profile=profile), ACCEPTED
    yield (
        "jpeg with a profile of ten megabytes",
        encode(picture(), "jpeg", icc_profile=srgb + bytes(10_000_000)),
        ACCEPTED,
    )
    parts = encode(picture(), "jpeg", icc_profile=srgb + bytes(200_000))
    at = parts.index(b"ICC_PROFILE\0") + 12
    yield "jpeg with a part of a profile missing", parts[:at] + b"\x07" + parts[at + 1 :], ACCEPTED
