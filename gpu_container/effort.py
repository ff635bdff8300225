"""What a file would cost to decode that its size in pixels does not tell."""

from __future__ import annotations

import re

from PIL import Image

from infra.errors import CorruptImage, ImageTooLarge

#: a progressive JPEG is painted over in so many passes at most; programs write ten or so, and each takes as
#: long as the picture is large, however few bytes it has
MOST_PASSES = 100
#: a TIFF's tile is unpacked as a whole: it may have so many pixels, or the picture's own number
TILE_PIXELS = 4096 * 4096

_TILE_WIDTH, _TILE_LENGTH = 322, 323
_SCAN, _END = 0xDA, 0xD9
#: the next marker after entropy-coded data, in which 0xFF is followed by zero or a restart marker
_MARKER = re.compile(rb"\xff+[^\x00\xff\xd0-\xd7]")


def check_passes(data: bytes) -> None:
    """Raise CorruptImage for a JPEG of more than :data:`MOST_PASSES` scans (ITU-T T.81, B.1.1 and B.2.3)."""
    at, passes = 2, 0
    while (found := _MARKER.search(data, at)) is not None and data[found.end() - 1] != _END:
        at = found.end()
        passes += data[at - 1] == _SCAN
        at += int.from_bytes(data[at : at + 2], "big")
        if passes > MOST_PASSES:
            raise CorruptImage(
                f"This JPEG is painted over more than {MOST_PASSES} times, as no camera's is. "
                "Open it in a viewer and save it as PNG or JPEG."
            )


def check_tiles(image: Image.Image) -> None:
    """Raise ImageTooLarge for a TIFF in tiles far larger than itself (TIFF 6.0, section 15)."""
    tags = getattr(image, "tag_v2", {})
    width, length = tags.get(_TILE_WIDTH, 0), tags.get(_TILE_LENGTH, 0)
    if width * length > max(TILE_PIXELS, image.width * image.height):
        raise ImageTooLarge(
            f"The picture is stored in tiles of {width} by {length} pixels, far larger than itself. "
            "Save it as PNG or JPEG."
        )
