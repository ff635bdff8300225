"""Files of every format, cut off at every marker, chunk, block or box, and in the midst of each."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from tests.hostile.anatomy import parts
from tests.hostile.samples import ACCEPTED, FORMATS, Sample, encode, picture


def samples() -> Iterator[Sample]:
    """All of them."""
    for kind in FORMATS:
        data = encode(picture(), kind)
        for at in sorted({*parts(data, kind), *_middles([0, *parts(data, kind), len(data)])}):
            name = f"{kind} of {at} bytes out of {len(data)}"
            yield Sample(name, data[:at], _expected(data, kind, at), "truncated")


def _middles(bounds: list[int]) -> Iterator[int]:
    yield from ((start + end) // 2 for start, end in pairwise(bounds) if end - start > 16)


def _expected(data: bytes, kind: str, at: int) -> str:
    # Where every pixel has come, what follows is not missed: PNG's checksums and end, GIF's end.
    ends = {"png": data.index(b"IEND") - 8 if kind == "png" else 0, "gif": len(data) - 2}
    if at >= ends.get(kind, len(data)):
        return ACCEPTED
    signature = {"avif": 12, "heic": 12, "webp": 12, "lossless webp": 12, "png": 8}.get(kind, 4)
    return "corrupt_image" if at >= signature else "unsupported_image"
