"""Every hostile file through the decoder: what is refused is refused by its right name, and cheaply."""

from __future__ import annotations

import re
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gpu_container import effort, memory
from gpu_container.photo import WORKING_SIDE, Photo, decode
from infra.errors import CorruptImage, ImageTooLarge, MaquetteError
from tests.hostile import disguises, oddities, truncated
from tests.hostile.corpus import corpus
from tests.hostile.oddities import SECRET
from tests.hostile.samples import ACCEPTED, Sample, encode, picture

ROOT = Path(__file__).parents[2]
#: most memory that any of them may take, MB; a black and white picture of 79 megapixels takes the most
MOST_MEMORY = 300

KINDS = sorted({sample.kind for sample in corpus()})

# Pillow remarks on broken tags, and goes on.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def outcome(sample: Sample) -> str:
    try:
        photo = decode(sample.data)
    except MaquetteError as error:
        refusal = error
    else:
        return _sound(photo)
    assert refusal.permanent, "it would be tried again"
    assert refusal.message
    assert not re.search(r"0x[0-9a-f]{6}|Traceback|PIL", refusal.message)
    return refusal.code


def _sound(photo: Photo) -> str:
    assert photo.rgba.dtype == np.uint8
    assert photo.rgba.shape[2] == 4
    assert max(photo.rgba.shape) <= WORKING_SIDE
    assert SECRET not in photo.rgba.tobytes()
    return ACCEPTED


def test_there_are_many_of_every_kind_and_always_the_same() -> None:
    assert len(corpus()) >= 400
    assert len({sample.name for sample in corpus()}) == len(corpus())
    assert {
        ACCEPTED,
        "empty_file",
        "unsupported_image",
        "corrupt_image",
        "image_too_large",
        "image_too_small",
    } == {sample.expected for sample in corpus()}
    again = [sample for module in (truncated, disguises, oddities) for sample in module.samples()]
    assert again == [sample for sample in corpus() if sample.kind != "bomb"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_hostile_file_is_taken_or_refused_as_foretold_within_memory(kind: str) -> None:
    before = memory.peak()
    memory.reset_peaks()
    wrong = {}
    for sample in corpus():
        if sample.kind == kind and (found := outcome(sample)) != sample.expected:
            wrong[sample.name] = f"{found} in place of {sample.expected}"
    assert wrong == {}
    assert memory.peak() - before < MOST_MEMORY


def test_what_stands_beside_the_pixels_changes_none_of_them() -> None:
    plain = decode(encode(picture(), "png")).rgba
    for sample in corpus():
        if sample.kind in ("metadata", "harmless") and sample.expected == ACCEPTED:
            found = decode(sample.data).rgba
            assert found.shape == plain.shape, sample
            assert np.abs(found.astype(int) - plain).mean() < 8, sample


def test_what_is_wrong_beside_the_pixels_fills_no_log() -> None:
    (noisy,) = (sample for sample in corpus() if sample.name == "jpeg with five thousand tags of two gigabytes")
    program = "import sys\nfrom gpu_container.photo import decode\ndecode(sys.stdin.buffer.read())"
    answer = subprocess.run([sys.executable, "-c", program], input=noisy.data, cwd=ROOT, capture_output=True)
    assert (answer.returncode, answer.stderr) == (0, b"")


class TestPasses:
    def test_as_many_as_programs_write_are_taken(self) -> None:
        effort.check_passes(encode(picture(), "progressive jpeg"))

    def test_only_markers_count_and_not_what_looks_like_them_beside_the_picture(self) -> None:
        jpeg = encode(picture(), "progressive jpeg")
        lookalike = b"\xff\xda\x00\x08" * 10_000
        comment = b"\xff\xfe" + struct.pack(">H", len(lookalike) + 2) + lookalike
        effort.check_passes(jpeg[:2] + comment + jpeg[2:] + lookalike)

    def test_too_many_are_refused_before_any_is_painted(self) -> None:
        jpeg = encode(picture(), "progressive jpeg")
        last = jpeg.rindex(b"\xff\xda")
        endless = jpeg[:last] + jpeg[last:-2] * effort.MOST_PASSES + jpeg[-2:]
        with pytest.raises(CorruptImage, match="painted over more than 100 times"):
            effort.check_passes(endless)

    @pytest.mark.parametrize(
        "data", [b"", b"\xff\xd8", b"\xff\xd8\xff", b"\xff\xd8\xff\xda", b"\xff\xd8\xff\xe0\xff"]
    )
    def test_what_is_cut_short_is_left_to_the_decoder(self, data: bytes) -> None:
        effort.check_passes(data)


class TestTiles:
    def test_a_tile_may_be_as_large_as_the_picture(self) -> None:
        large, small = Image.new("1", (5_000, 5_000)), Image.new("1", (64, 64))
        for image in (large, small):
            image.tag_v2 = {322: 5_000, 323: 5_000}
        effort.check_tiles(large)
        with pytest.raises(ImageTooLarge, match="5000 by 5000"):
            effort.check_tiles(small)
