"""Good pictures, changed at random: whatever comes of it, the decoder answers in the words of our errors.

``HOSTILE=all`` tries two hundred times as many.
"""

from __future__ import annotations

import os
import struct
import zlib

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as how
from hypothesis import strategies as st

from gpu_container import memory
from gpu_container.photo import MAX_PIXELS, WORKING_SIDE, decode
from gpu_container.sniff import ACCEPTED, sniff
from infra.errors import BadInput, MaquetteError
from tests.hostile.anatomy import parts
from tests.hostile.corpus import corpus
from tests.hostile.samples import FORMATS, encode, picture

EXAMPLES = 12_000 if os.environ.get("HOSTILE") == "all" else 60
#: most memory that one of them may take, MB: about what the largest picture that is taken needs
MOST_MEMORY = 20 * MAX_PIXELS / 1e6

#: numbers at which sizes and counts go wrong
EDGES = [0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]
SMALL = [sample.data for sample in corpus() if len(sample.data) < 8_000]

# Pillow remarks on broken tags, and goes on.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


@st.composite
def changes(draw: st.DrawFn, data: bytes, places: list[int]) -> bytes:
    """``data`` with some of its bytes replaced, removed, doubled, or taken from another file."""
    changed = bytearray(data)
    for _ in range(draw(st.integers(1, 5))):
        # Where parts begin, their names and sizes stand.
        near = st.sampled_from(places).flatmap(lambda at: st.integers(at, at + 24))
        at = min(draw(near | st.integers(0, len(changed))), len(changed))
        length = draw(st.sampled_from([1, 2, 4, 16, 256]))
        what = draw(st.integers(0, 5))
        if what == 0:
            changed[at : at + 1] = bytes([draw(st.integers(0, 255))])
        elif what == 1:
            order, form = draw(st.sampled_from("<>")), draw(st.sampled_from("BHI"))
            number = draw(st.sampled_from(EDGES)) & (256 ** struct.calcsize(form) - 1)
            changed[at : at + struct.calcsize(form)] = struct.pack(order + form, number)
        elif what == 2:
            del changed[at : at + length]
        elif what == 3:
            changed[at:at] = changed[at : at + length] * draw(st.sampled_from([1, 2, 50]))
        elif what == 4:
            other = draw(st.sampled_from(SMALL))
            begin = draw(st.integers(0, len(other)))
            changed[at : at + length] = other[begin : begin + length]
        else:
            changed[at:at] = draw(st.binary(max_size=32))
    return bytes(changed)


def with_right_checksums(data: bytes) -> bytes:
    """A PNG whose changes are not found out by their checksums alone."""
    changed, at = bytearray(data), 8
    while at + 12 <= len(changed):
        size = int.from_bytes(changed[at : at + 4], "big")
        end = at + 8 + size
        if end + 4 > len(changed):
            break
        changed[end : end + 4] = struct.pack(">I", zlib.crc32(changed[at + 4 : end]))
        at = end + 4
    return bytes(changed)


@pytest.mark.parametrize("kind", FORMATS)
def test_whatever_is_changed_only_our_own_errors_come_out(kind: str) -> None:
    good = encode(picture(48, 40), kind)

    @how(
        max_examples=EXAMPLES,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(changes(good, parts(good, kind)), st.booleans())
    def check(data: bytes, mended: bool) -> None:
        before = memory.peak()
        memory.reset_peaks()
        try:
            photo = decode(with_right_checksums(data) if mended and kind == "png" else data)
            assert max(photo.rgba.shape) <= WORKING_SIDE
            assert photo.format in ACCEPTED
        except MaquetteError as error:
            assert isinstance(error, BadInput)  # noqa: PT017  most of them are no error
        assert memory.peak() - before < MOST_MEMORY

    check()


@how(max_examples=300, derandomize=True, deadline=None)
@given(
    st.binary(max_size=300) | st.sampled_from(SMALL).flatmap(lambda data: st.binary().map(data[:64].__add__))
)
def test_whatever_it_is_it_is_named_or_refused(data: bytes) -> None:
    try:
        assert sniff(data) in ACCEPTED
    except MaquetteError as error:
        assert error.message  # noqa: PT017  most of them are no error
        assert error.code in ("empty_file", "unsupported_image")  # noqa: PT017
