"""Photos: what is decoded, how it is turned and coloured, what is refused, and how the object is framed."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

from gpu_container import photo as photos
from gpu_container.photo import Photo, decode, frame
from infra.errors import (
    CorruptImage,
    EmptyFile,
    ImageTooLarge,
    ImageTooSmall,
    NoClearObject,
    UnsupportedImage,
)

FORMATS = {
    "jpeg": "JPEG",
    "png": "PNG",
    "webp": "WEBP",
    "gif": "GIF",
    "bmp": "BMP",
    "tiff": "TIFF",
    "avif": "AVIF",
    "heic": "HEIF",
}
WITH_EXIF = [name for name in FORMATS if name not in ("gif", "bmp")]


def encode(pixels: NDArray[np.generic] | Image.Image, kind: str, **options: object) -> bytes:
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    buffer = io.BytesIO()
    image.save(buffer, FORMATS.get(kind, kind), **options)
    return buffer.getvalue()


def quadrants() -> NDArray[np.uint8]:
    """48 x 64, four flat colours: every turn and flip of it looks different."""
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[:24, :32], picture[:24, 32:] = (200, 40, 40), (40, 160, 40)
    picture[24:, :32], picture[24:, 32:] = (40, 40, 200), (230, 230, 230)
    return picture


def close(found: NDArray[np.uint8], expected: NDArray[np.uint8], tolerance: int) -> bool:
    """Equal up to coding noise, edges left out."""
    difference = np.abs(found[..., :3].astype(int) - expected.astype(int)).max(axis=-1)
    return found.shape[:2] == expected.shape[:2] and bool(np.percentile(difference, 90) <= tolerance)


class TestFormats:
    @pytest.mark.parametrize("kind", FORMATS)
    def test_each_format_is_told_from_its_content_and_decoded(self, kind: str) -> None:
        photo = decode(encode(quadrants(), kind))
        assert photo.format == kind
        assert photo.rgba.dtype == np.uint8
        assert photo.rgba.shape == (48, 64, 4)
        assert not photo.has_alpha
        assert (photo.rgba[..., 3] == 255).all()
        assert close(photo.rgba, quadrants(), 0 if kind in ("png", "bmp", "tiff") else 14)

    @pytest.mark.parametrize("kind", ["gif", "webp", "tiff", "avif", "heic", "png"])
    def test_only_the_first_frame_of_an_animation_counts(self, kind: str) -> None:
        first = Image.fromarray(quadrants())
        later = [Image.fromarray(np.full((48, 64, 3), level, np.uint8)) for level in (0, 120, 255)]
        photo = decode(encode(first, kind, save_all=True, append_images=later))
        assert close(photo.rgba, quadrants(), 14)

    def test_an_animation_of_very_many_frames_costs_no_more_than_its_first(self) -> None:
        frames = [Image.fromarray(np.full((64, 64), level % 256, np.uint8)) for level in range(2000)]
        data = encode(frames[0], "gif", save_all=True, append_images=frames[1:])
        assert (decode(data).rgba[..., :3] == 0).all()

    @pytest.mark.parametrize("kind", WITH_EXIF)
    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_exif_orientation_is_applied_exactly_once(self, kind: str, orientation: int) -> None:
        exif = Image.Exif()
        exif[0x0112] = orientation
        stored = quadrants()
        expected = {
            1: stored,
            2: stored[:, ::-1],
            3: stored[::-1, ::-1],
            4: stored[::-1],
            5: stored.transpose(1, 0, 2),
            6: np.rot90(stored, -1),
            7: stored[::-1, ::-1].transpose(1, 0, 2),
            8: np.rot90(stored),
        }[orientation]
        found = decode(encode(stored, kind, exif=exif.tobytes())).rgba
        assert found.shape[:2] == expected.shape[:2]
        assert close(found, expected, 14)

    @pytest.mark.parametrize("orientation", [3, 6])
    def test_a_heic_that_is_turned_only_by_its_exif_is_turned_too(self, orientation: int) -> None:
        exif = Image.Exif()
        exif[0x0112] = orientation
        data = encode(quadrants(), "heic", exif=exif)  # given as an object, the encoder writes no rotation box
        assert b"irot" not in data
        assert close(decode(data).rgba, np.rot90(quadrants(), {3: 2, 6: -1}[orientation]), 14)

    def test_decoding_twice_gives_the_same_pixels(self) -> None:
        data = encode(quadrants(), "jpeg")
        assert np.array_equal(decode(data).rgba, decode(data).rgba)


def ramp16() -> NDArray[np.uint16]:
    return np.tile(np.linspace(0, 65535, 64).round().astype(np.uint16), (48, 1))


def deep_png(samples: NDArray[np.uint16], color_type: int) -> bytes:
    """A 16-bit PNG of ``(h, w, channels)`` samples (PNG specification, third edition, 5 and 11)."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    height, width = samples.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    header = struct.pack(">IIBBBBB", width, height, 16, color_type, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


class TestModes:
    @pytest.mark.parametrize("kind", ["png", "tiff"])
    def test_16_bit_grey_keeps_its_whole_range(self, kind: str) -> None:
        grey = decode(encode(Image.fromarray(ramp16()), kind)).rgba
        expected = np.rint(ramp16() / 257.0).astype(int)
        assert np.abs(grey[..., 0].astype(int) - expected).max() <= 1
        assert (grey[..., 0] == grey[..., 2]).all()

    def test_dark_16_bit_grey_is_not_stretched(self) -> None:
        assert decode(encode(Image.fromarray(ramp16() // 64), "png")).rgba[..., 0].max() == 4

    @pytest.mark.parametrize(("color_type", "channels"), [(2, 3), (4, 2), (6, 4)])
    def test_16_bit_colour_and_alpha_are_scaled(self, color_type: int, channels: int) -> None:
        samples = np.repeat(ramp16()[..., None], channels, axis=2)
        found = decode(deep_png(samples, color_type)).rgba.astype(int)
        assert np.abs(found[..., 1] - samples[..., 0] / 257.0).max() <= 1
        if channels in (2, 4):
            assert np.abs(found[..., 3] - samples[..., 0] / 257.0).max() <= 1

    def test_16_bit_tiff_that_counts_white_as_zero_is_not_negative(self) -> None:
        tags = TiffImagePlugin.ImageFileDirectory_v2()
        data = encode(Image.fromarray(ramp16()), "tiff", tiffinfo=tags)
        # the photometric tag (262, short, one value) says 1, black is zero: make it 0
        entry = struct.pack("<HHI", 262, 3, 1)
        at = data.index(entry) + len(entry)
        inverted = decode(data[:at] + struct.pack("<H", 0) + data[at + 2 :]).rgba
        assert (inverted[:, 0, 0] == 255).all()
        assert (inverted[:, -1, 0] == 0).all()

    @pytest.mark.parametrize("white", [1.0, 255.0, 65535.0])
    def test_a_floating_point_tiff_is_scaled_by_its_white(self, white: float) -> None:
        samples = (ramp16() / 65535 * white).astype(np.float32)
        found = decode(encode(Image.fromarray(samples), "tiff")).rgba[..., 0]
        assert np.abs(found - ramp16() / 257.0).max() <= 1

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    def test_a_floating_point_tiff_with_no_numbers_is_refused(self, value: float) -> None:
        samples = np.full((48, 64), 0.5, np.float32)
        samples[7, 9] = value
        with pytest.raises(CorruptImage, match="not numbers"):
            decode(encode(Image.fromarray(samples), "tiff"))

    def test_32_bit_integers_are_scaled(self) -> None:
        samples = ramp16().astype(np.int32)
        found = decode(encode(Image.fromarray(samples), "tiff")).rgba[..., 0]
        assert np.abs(found - ramp16() / 257.0).max() <= 1

    @pytest.mark.parametrize("kind", ["png", "gif", "bmp", "tiff"])
    def test_a_palette_is_resolved(self, kind: str) -> None:
        picture = Image.fromarray(quadrants()).quantize(4)
        photo = decode(encode(picture, kind))
        assert not photo.has_alpha
        assert close(photo.rgba, quadrants(), 4)

    @pytest.mark.parametrize("kind", ["png", "gif"])
    def test_a_transparent_palette_entry_becomes_alpha(self, kind: str) -> None:
        picture = Image.fromarray(quadrants()).quantize(4)
        clear = picture.getpixel((0, 0))
        photo = decode(encode(picture, kind, transparency=clear))
        assert photo.has_alpha
        assert (photo.rgba[:24, :32, 3] == 0).all()
        assert (photo.rgba[24:, :, 3] == 255).all()

    def test_a_transparent_colour_of_an_rgb_png_becomes_alpha(self) -> None:
        photo = decode(encode(quadrants(), "png", transparency=(40, 40, 200)))
        assert (photo.rgba[24:, :32, 3] == 0).all()
        assert (photo.rgba[:24, :, 3] == 255).all()

    @pytest.mark.parametrize("kind", ["png", "tiff", "webp"])
    def test_grey_and_alpha_both_survive(self, kind: str) -> None:
        grey, alpha = np.full((48, 64), 90, np.uint8), np.tile(np.arange(64, dtype=np.uint8) * 4, (48, 1))
        picture = Image.merge("LA", [Image.fromarray(grey), Image.fromarray(alpha)])
        photo = decode(encode(picture, kind, **({"lossless": True, "exact": True} if kind == "webp" else {})))
        assert photo.has_alpha
        assert np.array_equal(photo.rgba[..., 3], alpha)
        assert (photo.rgba[..., :3] == 90).all()

    @pytest.mark.parametrize("kind", ["png", "bmp", "tiff"])
    def test_one_bit_is_black_and_white(self, kind: str) -> None:
        checks = np.indices((48, 64)).sum(axis=0) // 8 % 2 == 0
        found = decode(encode(Image.fromarray(checks), kind)).rgba[..., 0]
        assert np.array_equal(found, np.where(checks, 255, 0))

    @pytest.mark.parametrize("kind", ["png", "webp", "avif", "heic", "tiff"])
    def test_alpha_of_colour_pictures_is_kept(self, kind: str) -> None:
        rgba = np.dstack([quadrants(), np.full((48, 64), 255, np.uint8)])
        rgba[:, :20, 3] = 0
        photo = decode(encode(rgba, kind))
        assert photo.has_alpha
        assert (photo.rgba[:, :16, 3] < 8).all()
        assert (photo.rgba[:, 24:, 3] > 247).all()

    def test_cmyk_without_a_profile_is_its_plain_complement(self) -> None:
        inks = np.zeros((48, 64, 4), np.uint8)
        inks[..., 1] = 255  # magenta alone takes the green away
        found = decode(encode(Image.fromarray(inks, "CMYK"), "tiff")).rgba
        assert (found[..., :3] == (255, 0, 255)).all()


def s15(value: float) -> bytes:
    """ICC s15Fixed16Number."""
    return struct.pack(">i", round(value * 65536))


def icc(space: bytes, connection: bytes, tags: dict[bytes, bytes], kind: bytes = b"mntr") -> bytes:
    """A minimal ICC profile, version 2.4 (ICC.1:2001-04)."""
    tags = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", 5) + b"test\0" + bytes(78),
        b"cprt": b"text\0\0\0\0-\0",
    } | tags
    table, body = b"", b""
    start = 128 + 4 + 12 * len(tags)
    for name, value in tags.items():
        padded = value + bytes(-len(value) % 4)
        table += name + struct.pack(">II", start + len(body), len(value))
        body += padded
    size = start + len(body)
    header = struct.pack(">I", size) + b"\0\0\0\0" + b"\x02\x40\0\0" + kind + space + connection
    header += bytes(12) + b"acsp" + bytes(28) + s15(0.9642) + s15(1.0) + s15(0.8249)
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def rgb_profile(primaries: NDArray[np.float64], gamma: float) -> bytes:
    """A matrix and curve profile with the given D50 XYZ columns."""
    tags = {b"wtpt": b"XYZ \0\0\0\0" + s15(0.9642) + s15(1.0) + s15(0.8249)}
    for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), primaries.T, strict=True):
        tags[name] = b"XYZ \0\0\0\0" + b"".join(s15(float(value)) for value in column)
    for name in (b"rTRC", b"gTRC", b"bTRC"):
        tags[name] = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256))
    return icc(b"RGB ", b"XYZ ", tags)


#: D50-adapted XYZ of the primaries, as columns
ADOBE_RGB = np.array([[0.60974, 0.20528, 0.14919], [0.31111, 0.62567, 0.06322], [0.01947, 0.06087, 0.74457]])
SRGB = np.array([[0.43607, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061], [0.01392, 0.09708, 0.71410]])


def as_srgb(rgb: tuple[int, int, int], primaries: NDArray[np.float64], gamma: float) -> NDArray[np.float64]:
    """What a colour of such a profile is in sRGB (IEC 61966-2-1), 0..255."""
    linear = np.linalg.solve(SRGB, primaries @ (np.array(rgb) / 255) ** gamma).clip(0, 1)
    return 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def swapped_inks_profile() -> bytes:
    """A CMYK profile in which any cyan means bright red: nobody gets there without reading it."""
    cells = []
    for corner in range(16):
        cyan, magenta, yellow, black = (corner >> shift & 1 for shift in (3, 2, 1, 0))
        lab = (138, 208, 198) if cyan else (255 - 85 * (magenta + yellow + black), 128, 128)
        cells.append(bytes(lab))
    identity = bytes(range(256))
    matrix = b"".join(s15(value) for value in (1, 0, 0, 0, 1, 0, 0, 0, 1))
    table = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + matrix + identity * 4 + b"".join(cells) + identity * 3
    return icc(
        b"CMYK",
        b"Lab ",
        {b"A2B0": table, b"wtpt": b"XYZ \0\0\0\0" + s15(0.9642) + s15(1) + s15(0.8249)},
        b"prtr",
    )


class TestColourProfiles:
    @pytest.mark.parametrize("kind", ["png", "jpeg", "tiff", "webp", "avif", "heic"])
    def test_another_rgb_space_is_converted_to_srgb(self, kind: str) -> None:
        color = (60, 180, 90)
        flat = np.full((48, 64, 3), color, np.uint8)
        profile = rgb_profile(ADOBE_RGB, 2.19921875)
        found = decode(encode(flat, kind, icc_profile=profile)).rgba[24, 32, :3]
        expected = as_srgb(color, ADOBE_RGB, 2.19921875)
        assert np.abs(expected - color).max() > 30, "the profile would make no difference"
        assert np.abs(found - expected).max() <= 8

    def test_alpha_passes_a_colour_conversion_untouched(self) -> None:
        rgba = np.dstack([quadrants(), np.tile(np.arange(64, dtype=np.uint8) * 4, (48, 1))])
        photo = decode(encode(rgba, "png", icc_profile=rgb_profile(ADOBE_RGB, 2.2)))
        assert np.array_equal(photo.rgba[..., 3], rgba[..., 3])

    @pytest.mark.parametrize("kind", ["jpeg", "tiff"])
    def test_cmyk_goes_through_its_profile(self, kind: str) -> None:
        inks = np.zeros((48, 64, 4), np.uint8)
        inks[..., 0] = 255
        picture = Image.fromarray(inks, "CMYK")
        red = decode(encode(picture, kind, icc_profile=swapped_inks_profile())).rgba[24, 32]
        plain = decode(encode(picture, kind)).rgba[24, 32]
        assert red[0] > 200
        assert red[1] < 90
        assert plain[0] < 30, "without the profile cyan is cyan"

    @pytest.mark.parametrize("profile", [b"no profile at all", swapped_inks_profile()])
    def test_a_broken_or_unfitting_profile_leaves_colours_as_they_are(self, profile: bytes) -> None:
        assert close(decode(encode(quadrants(), "png", icc_profile=profile)).rgba, quadrants(), 0)


class TestRefusals:
    def test_no_bytes(self) -> None:
        with pytest.raises(EmptyFile):
            decode(b"")

    @pytest.mark.parametrize(
        ("data", "words"),
        [
            (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
            (b"<svg onload=alert(1)>", "SVG"),
            (b"<!DOCTYPE html><html><body><img></body></html>", "HTML"),
            (b"  <html><svg-icon></html>", "HTML"),
            (b"%PDF-1.7\n1 0 obj", "PDF"),
            (b"PK\x03\x04" + bytes(40), "ZIP"),
            ("Schöne Grüße".encode() * 20, "plain text"),
            (b"8BPS" + bytes(40), "Photoshop"),
            (b"\x00\x00\x00\x18ftypmp42" + bytes(40), "video"),
            (b"\x1f\x8b\x08" + bytes(40), "gzip"),
            (bytes(range(256)), "unknown"),
        ],
    )
    def test_other_kinds_of_files_are_named(self, data: bytes, words: str) -> None:
        with pytest.raises(UnsupportedImage, match=words) as raised:
            decode(data)
        assert "JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF or HEIC" in raised.value.message

    def test_a_picture_that_is_an_archive_too_is_refused(self) -> None:
        archive_end = b"PK\x05\x06" + bytes(18)
        with pytest.raises(UnsupportedImage, match="ZIP"):
            decode(encode(quadrants(), "png") + archive_end)

    def test_a_picture_that_is_a_document_too_is_refused(self) -> None:
        with pytest.raises(UnsupportedImage, match="PDF"):
            decode(encode(quadrants(), "gif", comment=b"%PDF-1.4"))

    @pytest.mark.parametrize("kind", FORMATS)
    @pytest.mark.parametrize("share", [0.3, 0.7])
    def test_a_truncated_file_is_corrupt(self, kind: str, share: float) -> None:
        noise = np.random.default_rng(1).integers(0, 255, (96, 96, 3), np.uint8)
        data = encode(noise, kind)
        with pytest.raises(CorruptImage, match=kind.upper()):
            decode(data[: int(share * len(data))])

    @pytest.mark.parametrize("kind", FORMATS)
    def test_a_signature_followed_by_rubbish_is_corrupt(self, kind: str) -> None:
        data = encode(quadrants(), kind)
        rubbish = np.random.default_rng(2).integers(0, 255, 4000, np.uint8).tobytes()
        with pytest.raises((CorruptImage, ImageTooLarge)):
            decode(data[: 32 if kind in ("avif", "heic") else 14] + rubbish)

    def test_too_many_bytes_are_refused_before_anything_is_read(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(photos, "MAX_BYTES", 1 << 20)
        with pytest.raises(ImageTooLarge, match="at most 1 are accepted"):
            decode(b"\x89PNG\r\n\x1a\n" + bytes(1 << 20))

    @pytest.mark.parametrize("side", [9_500, 13_000, 60_000])
    def test_too_many_pixels_are_refused_by_their_header(self, side: int) -> None:
        """GIVEN a header of 90, 169 or 3600 megapixels (below, above and far above Pillow's own limits) with no
        pixels behind it, WHEN it is decoded, THEN size is what is complained about, not the missing pixels."""
        header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
        chunk = b"IHDR" + header
        data = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
        data += struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))
        with pytest.raises(ImageTooLarge, match="80 megapixels"):
            decode(data)

    @pytest.mark.parametrize("size", [(1, 1), (31, 400), (400, 31)])
    def test_tiny_pictures_are_refused(self, size: tuple[int, int]) -> None:
        with pytest.raises(ImageTooSmall, match="too small"):
            decode(encode(Image.new("RGB", size), "png"))

    def test_a_long_strip_is_refused_rather_than_scaled_to_nothing(self) -> None:
        with pytest.raises(ImageTooSmall, match="too narrow"):
            decode(encode(Image.new("RGB", (12_000, 100)), "png"))

    def test_names_play_no_part(self) -> None:
        with pytest.raises(UnsupportedImage, match="plain text"):
            decode(b"this is holiday.png, honestly")


class TestWorkingSize:
    @pytest.mark.parametrize("kind", ["jpeg", "png"])
    def test_large_pictures_are_scaled_down(self, kind: str) -> None:
        large = np.repeat(np.repeat(quadrants(), 64, axis=0), 64, axis=1)
        photo = decode(encode(large, kind))
        assert photo.rgba.shape == (1536, 2048, 4)
        assert close(photo.rgba, np.repeat(np.repeat(quadrants(), 32, axis=0), 32, axis=1), 3)

    def test_scaling_down_mixes_no_hidden_colour_into_edges(self) -> None:
        rgba = np.zeros((64, 4096, 4), np.uint8)
        rgba[..., 1] = 255  # green where nothing is to be seen
        rgba[:, 1001:3001] = (255, 0, 0, 255)
        found = decode(encode(rgba, "png")).rgba
        visible = found[..., 3] > 0
        assert ((found[..., 3] > 0) & (found[..., 3] < 255)).any(), "no mixed pixel, nothing tested"
        assert (found[visible][:, 0] == 255).all()
        assert (found[visible][:, 1] == 0).all()


def disc(height: int, width: int, centre: tuple[float, float], radius: float) -> NDArray[np.float32]:
    y, x = np.indices((height, width))
    return np.clip(radius + 0.5 - np.hypot(y - centre[0], x - centre[1]), 0, 1).astype(np.float32)


def plain_photo(
    height: int, width: int, color: tuple[int, int, int], alpha: NDArray[np.float32] | None = None
) -> Photo:
    rgba = np.full((height, width, 4), (*color, 255), np.uint8)
    if alpha is not None:
        rgba[..., 3] = np.rint(alpha * 255)
    return Photo(rgba, "png", alpha is not None)


def box(alpha: NDArray[np.float32]) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero((alpha > 0.1).any(axis=1)), np.flatnonzero((alpha > 0.1).any(axis=0))
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1


class TestFrame:
    @pytest.mark.parametrize("size", [64, 256, 512, 1024])
    @pytest.mark.parametrize("ratio", [0.5, 0.85, 0.98])
    def test_the_longer_side_takes_the_asked_share_of_the_square(self, size: int, ratio: float) -> None:
        alpha = np.zeros((400, 300), np.float32)
        alpha[50:250, 120:180] = 1
        framed = frame(plain_photo(400, 300, (200, 10, 10)), alpha, ratio, size)
        assert framed.rgb.shape == (size, size, 3)
        assert framed.rgb.dtype == framed.alpha.dtype == np.float32
        top, bottom, left, right = box(framed.alpha)
        assert bottom - top == pytest.approx(ratio * size, abs=0.012 * size + 2)
        assert (top + bottom) / 2 == pytest.approx(size / 2, abs=0.005 * size + 1)
        assert (left + right) / 2 == pytest.approx(size / 2, abs=0.005 * size + 1)
        assert (bottom - top) / (right - left) == pytest.approx(200 / 60, rel=0.2 if size == 64 else 0.05)

    def test_no_row_and_no_column_is_lost(self) -> None:
        """An object of 85 pixels in a square of 100 is copied pixel by pixel, first and last line included."""
        alpha = np.zeros((120, 130), np.float32)
        alpha[10:95, 20:105] = 1
        noise = np.random.default_rng(3).integers(0, 255, (120, 130, 4), np.uint8)
        noise[..., 3] = np.rint(alpha * 255)
        framed = frame(Photo(noise, "png", True), alpha, 0.85, 100)
        found = framed.rgb[framed.alpha > 0].reshape(85, 85, 3)
        assert np.allclose(found, noise[10:95, 20:105, :3] / 255, atol=1e-6)

    def test_behind_the_object_all_is_grey(self) -> None:
        alpha = disc(200, 200, (100, 100), 60)
        framed = frame(plain_photo(200, 200, (255, 255, 255)), alpha)
        assert (framed.rgb[framed.alpha == 0] == 0.5).all()
        assert framed.rgb[framed.alpha == 1].min() > 1 - 1e-5

    @pytest.mark.parametrize("size", [64, 512])
    @pytest.mark.parametrize("color", [(255, 255, 255), (0, 0, 0), (255, 0, 0)])
    def test_edges_carry_no_fringe(self, size: int, color: tuple[int, int, int]) -> None:
        """GIVEN a disc whose surroundings hide another colour, WHEN it is framed, THEN every pixel is the
        disc's colour over grey by exactly its alpha."""
        alpha = disc(200, 200, (100, 100), 60)
        photo = plain_photo(200, 200, color, alpha)
        photo.rgba[alpha == 0, :3] = 255 - np.array(color)
        framed = frame(photo, alpha, size=size)
        expected = framed.alpha[..., None] * np.array(color) / 255 + 0.5 * (1 - framed.alpha[..., None])
        assert np.abs(framed.rgb - expected).max() < 0.02

    def test_edge_pixels_of_a_photo_lose_the_colour_of_its_backdrop(self) -> None:
        alpha = disc(200, 200, (100, 100), 60)
        mixed = alpha[..., None] * np.array([200, 20, 20]) + (1 - alpha[..., None]) * np.array([20, 20, 220])
        rgba = np.dstack([np.rint(mixed), np.full((200, 200), 255)]).astype(np.uint8)
        framed = frame(Photo(rgba, "jpeg", False), alpha)
        expected = framed.alpha[..., None] * np.array([200, 20, 20]) / 255 + 0.5 * (1 - framed.alpha[..., None])
        assert np.abs(framed.rgb - expected).max() < 0.04

    def test_a_stray_pixel_does_not_shrink_the_subject(self) -> None:
        alpha = disc(300, 300, (150, 150), 60)
        clean = frame(plain_photo(300, 300, (90, 90, 90)), alpha)
        dirty = alpha.copy()
        dirty[2, 3] = dirty[290, 295] = 1
        assert np.array_equal(frame(plain_photo(300, 300, (90, 90, 90)), dirty).alpha, clean.alpha)

    def test_faint_haze_does_not_shrink_the_subject(self) -> None:
        alpha = disc(300, 300, (150, 150), 60)
        hazy = np.maximum(alpha, 0.05).astype(np.float32)
        found = box(frame(plain_photo(300, 300, (90, 90, 90)), hazy).alpha)
        assert found == pytest.approx(box(frame(plain_photo(300, 300, (90, 90, 90)), alpha).alpha), abs=2)

    def test_a_second_real_part_stays(self) -> None:
        alpha = np.maximum(disc(300, 300, (150, 100), 60), disc(300, 300, (150, 240), 20))
        top, bottom, left, right = box(frame(plain_photo(300, 300, (90, 90, 90)), alpha).alpha)
        assert (right - left) / (bottom - top) == pytest.approx(221 / 121, rel=0.03)

    def test_an_empty_matte_is_refused(self) -> None:
        with pytest.raises(NoClearObject):
            frame(plain_photo(100, 100, (0, 0, 0)), np.zeros((100, 100), np.float32))

    def test_small_cut_outs_are_enlarged_smoothly(self) -> None:
        alpha = disc(48, 48, (24, 24), 15)
        framed = frame(plain_photo(48, 48, (255, 255, 255)), alpha, size=1024)
        assert framed.alpha.min() == 0
        assert framed.alpha.max() == 1
        assert np.abs(np.diff(framed.alpha, axis=0)).max() < 0.1, "steps of the small picture show"
        assert framed.rgb.max() <= 1

    @pytest.mark.parametrize(
        ("centre", "cut"),
        [
            ((100, 100), set()),
            ((10, 100), {"top"}),
            ((195, 100), {"bottom"}),
            ((100, 5), {"left"}),
            ((100, 195), {"right"}),
            ((190, 190), {"bottom", "right"}),
        ],
    )
    def test_sides_where_the_photo_cuts_the_object_off_are_named(
        self, centre: tuple[float, float], cut: set[str]
    ) -> None:
        framed = frame(plain_photo(200, 200, (10, 200, 10)), disc(200, 200, centre, 50))
        assert framed.cut == cut

    def test_an_object_at_the_edge_is_centred_too(self) -> None:
        framed = frame(plain_photo(200, 200, (10, 200, 10)), disc(200, 200, (199, 199), 80))
        top, bottom, left, right = box(framed.alpha)
        assert (top + bottom) / 2 == pytest.approx(256, abs=3)
        assert (left + right) / 2 == pytest.approx(256, abs=3)

    def test_a_matte_of_another_size_is_a_mistake(self) -> None:
        with pytest.raises(ValueError, match="alpha is"):
            frame(plain_photo(100, 100, (0, 0, 0)), np.ones((50, 50), np.float32))
