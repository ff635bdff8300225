"""A photo's bytes to pixels, and the object cut out of it to the square that engines look at."""

from __future__ import annotations

import io
import logging
import warnings
from dataclasses import dataclass

import cv2
import numpy as np
import pillow_heif
from numpy.typing import NDArray
from PIL import ExifTags, Image

from gpu_container.effort import check_passes, check_tiles
from gpu_container.pixels import flatten_mode, shrink, to_srgb
from gpu_container.sniff import ACCEPTED, sniff
from infra.errors import CorruptImage, ImageTooLarge, ImageTooSmall, MaquetteError, NoClearObject

log = logging.getLogger(__name__)

#: largest file that is looked at, bytes
MAX_BYTES = 64 * 2**20
#: most pixels a header may announce; below Pillow's own limit, so that ours is the one that speaks
MAX_PIXELS = 80_000_000
#: longest side that later stages see; larger photos are scaled down to it
WORKING_SIDE = 2048
#: shortest side, at the working size, in which an object can be made out
MIN_SIDE = 32

#: what engines see behind the object (TripoSR's choice)
GREY = 0.5
#: alpha that belongs to the object's extent; fainter is haze
_VISIBLE = 0.1
#: a part smaller than this share of the largest one, or than so many pixels, is a speck and is dropped
_SPECK_SHARE = 0.003
_SPECK_PIXELS = 9
#: the object is cut off where this share of its extent, and so many pixels, lie on the photo's edge
_CUT_SHARE = 0.03
_CUT_PIXELS = 3
#: from this alpha on a pixel shows the object's own colour, with no background mixed in
_PURE = 0.95

# Both once, at import, and not around each decode: filters and plug-in tables belong to the whole process.
warnings.filterwarnings("error", category=Image.DecompressionBombWarning)
# One photo can have 65,535 tags to remark on, each in a line of the log.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
pillow_heif.register_heif_opener()

#: EXIF orientation (CIPA DC-008, 4.6.5.1.6) -> how the stored picture is turned upright
_UPRIGHT = {
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.transpose(1, 0, 2),
    6: lambda pixels: pixels.transpose(1, 0, 2)[:, ::-1],
    7: lambda pixels: pixels.transpose(1, 0, 2)[::-1, ::-1],
    8: lambda pixels: pixels.transpose(1, 0, 2)[::-1],
}


@dataclass(frozen=True)
class Photo:
    """A decoded picture, upright, in sRGB."""

    rgba: NDArray[np.uint8]  # (h, w, 4), straight alpha; 255 everywhere if the file had none
    format: str  # "jpeg", "png", ...
    has_alpha: bool  # the file's own alpha says something (is not opaque everywhere)


@dataclass(frozen=True)
class Frame:
    """The object cut out, centred in a square, on grey: what engines see."""

    rgb: NDArray[np.float32]  # (s, s, 3) sRGB 0..1, composited on 0.5 grey
    alpha: NDArray[np.float32]  # (s, s) 0..1
    #: sides ("top", "bottom", "left", "right") where the photo's own edge cuts the object off
    cut: frozenset[str]


def decode(data: bytes) -> Photo:
    """The picture in ``data``: first frame, upright, sRGB, at most ``WORKING_SIDE`` pixels a side.

    The format is told from the content. Size limits are checked before pixels are decoded.

    Raises:
        EmptyFile, UnsupportedImage: see :func:`gpu_container.sniff.sniff`.
        ImageTooLarge: more than ``MAX_BYTES`` bytes or ``MAX_PIXELS`` pixels.
        ImageTooSmall: shorter side below ``MIN_SIDE`` pixels, or a strip that would be after scaling down.
        CorruptImage: the decoder cannot make a whole picture of it.
    """
    if len(data) > MAX_BYTES:
        raise ImageTooLarge(
            f"The file has {len(data) / 2**20:.0f} MiB; at most {MAX_BYTES // 2**20} are accepted. "
            "Save it smaller or as JPEG."
        )
    name = sniff(data)
    try:
        rgba = _decode(data, name)
    except MaquetteError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_many_pixels() from error
    except MemoryError:
        raise
    except Exception as error:  # decoders of hostile bytes raise whatever they like
        raise CorruptImage(
            f"This {name.upper()} file is damaged or cut short and cannot be decoded. "
            "Send it again, or open it in a viewer and save it as PNG or JPEG."
        ) from error
    return Photo(rgba=rgba, format=name, has_alpha=bool(rgba[..., 3].min() < 255))


def _decode(data: bytes, name: str) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(data), formats=[ACCEPTED[name]]) as image:
        _check_size(image.size)
        check_tiles(image)
        profile = image.info.get("icc_profile")
        if name == "jpeg":
            check_passes(data)
            # the decoder can leave out what a smaller picture does not need
            image.draft(None, _working_size(image.size))
        image.load()
        orientation = _orientation(image, data, name)
        flat = shrink(flatten_mode(image), WORKING_SIDE)
    pixels = to_srgb(flat, profile)
    turn = _UPRIGHT.get(orientation)
    return pixels if turn is None else np.ascontiguousarray(turn(pixels))


def _check_size(size: tuple[int, int]) -> None:
    if size[0] * size[1] > MAX_PIXELS:
        raise _too_many_pixels(size)
    if min(_working_size(size)) < MIN_SIDE:
        lack = "small" if max(size) <= WORKING_SIDE else "narrow"
        raise ImageTooSmall(
            f"The picture is {size[0]} by {size[1]} pixels: too {lack} "
            f"to make out an object. Send one of at least {MIN_SIDE} by {MIN_SIDE}, better 512 by 512."
        )


def _too_many_pixels(size: tuple[int, int] | None = None) -> ImageTooLarge:
    found = f"{size[0]} by {size[1]} pixels" if size else "far too many pixels"
    return ImageTooLarge(
        f"The picture has {found}; at most {MAX_PIXELS // 1_000_000} megapixels are accepted. "
        "Scale it down and send it again."
    )


def _working_size(size: tuple[int, int]) -> tuple[int, int]:
    scale = min(1.0, WORKING_SIDE / max(size))
    return round(size[0] * scale), round(size[1] * scale)


def _orientation(image: Image.Image, data: bytes, name: str) -> int:
    """The EXIF orientation that still has to be applied to a loaded ``image``.

    Pillow has turned a TIFF upright and taken its tag away by now, and tells of an AVIF's rotation in the tag.
    libheif has applied a HEIC's own rotation boxes; only where there are none does its EXIF count.
    """
    if name == "heic":
        turned_by_container = b"irot" in data or b"imir" in data
        return 1 if turned_by_container else int(image.info.get("original_orientation") or 1)
    try:
        value = image.getexif().get(ExifTags.Base.Orientation)
    except Exception as error:  # noqa: BLE001  what stands beside a good picture may be anything
        log.warning("the EXIF data cannot be read, the picture is taken as upright: %r", error)
        value = None
    return value if isinstance(value, int) else 1


def frame(photo: Photo, alpha: NDArray[np.float32], foreground_ratio: float = 0.85, size: int = 512) -> Frame:
    """The object of ``photo`` in the middle of a square, its longer side ``foreground_ratio`` of the square's.

    Args:
        photo: the whole picture.
        alpha: ``(h, w)`` in 0..1, how much of each pixel is the object, from :mod:`gpu_container.matte`.
        foreground_ratio: as TripoSR's preprocessing defines it (Tochilkin et al. 2024), 0 to 1.
        size: side of the result, pixels; smaller cut-outs are enlarged smoothly.

    Raises:
        NoClearObject: ``alpha`` shows nothing.
        ValueError: ``alpha`` has not the photo's size.
    """
    if alpha.shape != photo.rgba.shape[:2]:
        raise ValueError(f"alpha is {alpha.shape}, the photo {photo.rgba.shape[:2]}")
    visible = _without_specks(alpha > _VISIBLE)
    if not visible.any():
        raise NoClearObject("Nothing is left of the picture once its background is gone. Try background=keep.")
    rows, columns = np.flatnonzero(visible.any(axis=1)), np.flatnonzero(visible.any(axis=0))
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    side = max(1, round(max(bottom - top, right - left) / foreground_ratio))
    origin = (top - (side - (bottom - top)) // 2, left - (side - (right - left)) // 2)

    # the faint rim around what is visible belongs to it; haze elsewhere does not
    near = cv2.dilate(visible.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    object_alpha = np.where(near, alpha, 0).astype(np.float32)
    premultiplied = _square(photo, object_alpha, origin, side)
    if side != size:
        shrinking = size < side
        filtering = cv2.INTER_AREA if shrinking else cv2.INTER_CUBIC
        premultiplied = np.asarray(cv2.resize(premultiplied, (size, size), interpolation=filtering), np.float32)
    framed_alpha = np.clip(premultiplied[..., 3:], 0, 1)
    # where the cubic filter overshoots, colour and alpha do so alike: cut colour back by what alpha was cut
    cut_back = framed_alpha / np.maximum(premultiplied[..., 3:], 1e-4)
    rgb = np.clip(premultiplied[..., :3] * cut_back, 0, framed_alpha) + GREY * (1 - framed_alpha)
    return Frame(rgb=rgb.astype(np.float32), alpha=framed_alpha[..., 0].copy(), cut=_cut_sides(visible))


def _without_specks(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """``mask`` with its largest part and all that are no specks beside it."""
    count, labels, statistics, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    if count == 1:
        return mask
    areas = statistics[:, cv2.CC_STAT_AREA].copy()
    areas[0] = 0  # the background
    keep = (areas >= max(_SPECK_PIXELS, _SPECK_SHARE * areas.max())) | (areas == areas.max())
    keep[0] = False
    return np.asarray(keep[labels], np.bool_)


def _square(
    photo: Photo, alpha: NDArray[np.float32], origin: tuple[int, int], side: int
) -> NDArray[np.float32]:
    """Premultiplied ``(side, side, 4)`` of the window at ``origin`` (row, column), clear outside the photo."""
    height, width = alpha.shape
    top, left = origin
    rows = slice(max(0, top), min(height, top + side))
    columns = slice(max(0, left), min(width, left + side))
    seen_alpha = alpha[rows, columns]
    rgb = photo.rgba[rows, columns, :3].astype(np.float32) / np.float32(255)
    if not photo.has_alpha:  # a photo's edge pixels carry the backdrop's colour, a drawn alpha's do not
        rgb = _own_colors(rgb, seen_alpha)
    square = np.zeros((side, side, 4), np.float32)
    inside = square[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
    inside[..., :3] = rgb * seen_alpha[..., None]
    inside[..., 3] = seen_alpha
    return square


def _own_colors(rgb: NDArray[np.float32], alpha: NDArray[np.float32]) -> NDArray[np.float32]:
    """``rgb`` with the colour of half-covered pixels taken from the object beside them.

    A weighted blur that spreads only pure pixels' colours; two widths, so that wide soft edges are reached too.
    """
    pure = alpha >= _PURE
    inner = cv2.erode(pure.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0  # a lens mixes one pixel further in
    result = rgb.copy()
    todo = (alpha > 0) & ~inner
    for weight, width in ((inner, 1.5), (inner, 4.0), (pure, 2.0)):
        share = cv2.GaussianBlur(weight.astype(np.float32), (0, 0), width)
        spread = cv2.GaussianBlur(rgb * weight[..., None], (0, 0), width)
        reached = todo & (share > 0.02)
        result[reached] = spread[reached] / share[reached, None]
        todo &= ~reached
    return result


def _cut_sides(visible: NDArray[np.bool_]) -> frozenset[str]:
    edges = {"top": visible[0], "bottom": visible[-1], "left": visible[:, 0], "right": visible[:, -1]}
    across, along = int(visible.any(axis=0).sum()), int(visible.any(axis=1).sum())
    extent = {"top": across, "bottom": across, "left": along, "right": along}
    return frozenset(
        side for side, edge in edges.items() if edge.sum() >= max(_CUT_PIXELS, _CUT_SHARE * extent[side])
    )
