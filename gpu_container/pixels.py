"""From whatever a decoder yields (palette, CMYK, 16 bits, Display P3, ...) to 8-bit RGBA in sRGB."""

from __future__ import annotations

import io
import logging

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from infra.errors import CorruptImage

log = logging.getLogger(__name__)

#: Pillow's modes with one deep sample per pixel
_DEEP_MODES = ("I;16", "I;16L", "I;16B", "I;16N", "I", "F")
#: what a profile of each ICC colour space (ICC.1:2022, table 19) can be applied to
_PROFILE_MODES = {"RGB ": ("RGB",), "GRAY": ("L",), "CMYK": ("CMYK",)}
_BITS_PER_SAMPLE = 258
_PHOTOMETRIC = 262
_WHITE_IS_ZERO = 0
#: rows that are converted at a time
_ROWS = 64


def flatten_mode(image: Image.Image) -> Image.Image:
    """``image`` in one of the modes L, LA, RGB, RGBA, CMYK or LAB: 8 bits, no palette, transparency as alpha.

    Raises:
        CorruptImage: a floating-point picture holds NaN or infinity.
    """
    if image.mode in _DEEP_MODES:
        return _eight_bits(image)
    if image.mode in ("LA", "RGBA", "CMYK", "LAB"):
        return image
    if image.mode in ("La", "RGBa", "PA") or "transparency" in image.info:
        return image.convert("RGBA")
    if image.mode in ("L", "1"):
        return image.convert("L")
    if image.mode == "P" and image.palette is not None and image.palette.mode == "RGBA":
        return image.convert("RGBA")
    return image.convert("RGB")


def shrink(image: Image.Image, longest_side: int) -> Image.Image:
    """``image`` with its longer side at most ``longest_side``: area filter, alpha premultiplied meanwhile."""
    scale = longest_side / max(image.size)
    if scale >= 1:
        return image
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    # Pillow itself premultiplies LA and RGBA around a resize
    return image.resize(size, Image.Resampling.BOX)


def to_srgb(image: Image.Image, profile: bytes | None) -> NDArray[np.uint8]:
    """Straight-alpha sRGB ``(h, w, 4)`` of an image that :func:`flatten_mode` returned.

    Colours go through the embedded ICC ``profile`` where it fits the picture; a broken or unfitting profile is
    logged and the picture taken as sRGB (CMYK: by the plain complement), as browsers do.
    """
    alpha = image.getchannel("A") if image.mode in ("LA", "RGBA") else None
    plain = image.convert({"LA": "L", "RGBA": "RGB"}[image.mode]) if alpha is not None else image
    converted = _through_profile(plain, profile)
    rgba = np.empty((image.height, image.width, 4), np.uint8)
    rgba[..., :3] = np.asarray(converted)
    rgba[..., 3] = 255 if alpha is None else np.asarray(alpha)
    return rgba


def _through_profile(image: Image.Image, profile: bytes | None) -> Image.Image:
    """The RGB picture of an L, RGB, CMYK or LAB one."""
    srgb = ImageCms.createProfile("sRGB")
    try:
        if image.mode == "LAB":
            source = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
        elif profile:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            if image.mode not in _PROFILE_MODES.get(source.profile.xcolor_space, ()):
                log.warning(
                    "a %r colour profile in a %s picture is ignored", source.profile.xcolor_space, image.mode
                )
                return image.convert("RGB")
        else:
            return image.convert("RGB")
        converted = ImageCms.profileToProfile(
            image,
            source,
            srgb,
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            outputMode="RGB",
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (ImageCms.PyCMSError, OSError, ValueError) as error:
        log.warning("the colour profile cannot be used, colours are taken as sRGB: %s", error)
        return image.convert("RGB")
    assert converted is not None  # noqa: S101  (None only comes of inPlace=True)
    return converted


def _eight_bits(image: Image.Image) -> Image.Image:
    """An L picture of one with 12, 16 or 32 bits or floating-point samples."""
    samples = np.asarray(image)
    if image.mode == "F" and not np.isfinite(samples).all():
        raise CorruptImage(
            "This floating-point picture holds values that are not numbers. Export it as 8- or 16-bit PNG."
        )
    tags = getattr(image, "tag_v2", {})
    bits = tags.get(_BITS_PER_SAMPLE, (16,))[0]
    white = _white_level(samples, image.mode, bits)
    grey = np.empty(samples.shape, np.uint8)
    for start in range(0, len(samples), _ROWS):  # a large picture as floating point would fill the memory
        rows = slice(start, start + _ROWS)
        grey[rows] = np.rint(np.clip(samples[rows], 0, white).astype(np.float32) * (255.0 / white))
    if image.mode == "I;16" and tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:  # Pillow inverts only 8 bits
        grey = 255 - grey
    flat = Image.fromarray(grey)
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):  # PNG: one grey level stands for "nothing here"
        flat.putalpha(Image.fromarray(np.where(samples == transparent, 0, 255).astype(np.uint8)))
    return flat


def _white_level(samples: NDArray[np.generic], mode: str, bits: int) -> float:
    """The sample value that means white.

    16-bit modes say it by their depth. 32-bit and floating-point pictures do not say: the smallest usual scale
    (1, 255, 65 535, then their own maximum) that holds all the values is taken.
    """
    if mode.startswith("I;16"):
        return float((1 << bits) - 1)
    highest = float(samples.max())
    scales = (1.0, 255.0, 65535.0) if mode == "F" else (255.0, 65535.0)
    return next((scale for scale in scales if highest <= scale), highest)
