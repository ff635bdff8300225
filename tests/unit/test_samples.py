"""The sample photos: what is committed is sound, and the generator still makes it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from infra.local.samples.make_samples import SCENES, SIZE, photograph

FOLDER = Path(__file__).parents[2] / "infra" / "local" / "samples"
SMALL, FEW = 64, 32  # pixels per side, paths per pixel: under a second each, once compiled


def committed(name: str) -> Image.Image:
    return Image.open(FOLDER / f"{name}.jpg")


def test_every_scene_has_its_photo_and_every_photo_its_scene() -> None:
    assert {path.stem for path in FOLDER.glob("*.jpg")} == set(SCENES)
    assert len(SCENES) >= 3


@pytest.mark.parametrize("name", sorted(SCENES))
def test_a_committed_photo_is_a_square_jpeg_small_enough_to_ship(name: str) -> None:
    with committed(name) as photo:
        assert (photo.format, photo.mode, photo.size) == ("JPEG", "RGB", (SIZE, SIZE))
    assert 50_000 < (FOLDER / f"{name}.jpg").stat().st_size < 300_000


@pytest.mark.parametrize("name", sorted(SCENES))
def test_the_border_of_a_photo_is_plain_paper_without_the_object(name: str) -> None:
    with committed(name) as photo:
        pixels = np.asarray(photo, np.float64)  # (h, w, 3) sRGB
    edge = SIZE // 40
    border = np.concatenate(
        [side.reshape(-1, 3) for side in (pixels[:edge], pixels[-edge:], pixels[:, :edge], pixels[:, -edge:])]
    )
    # light falls off gently over the paper, and nothing else lies there
    assert border.std(axis=0).max() < 14
    assert np.abs(border - border.mean(axis=0)).max() < 40
    # paper is nearly grey, and neither burnt out nor dark
    assert np.ptp(border, axis=1).max() < 45
    assert 150 < border.mean() < 245


@pytest.mark.parametrize("name", sorted(SCENES))
def test_the_object_stands_whole_and_central_in_its_photo(name: str) -> None:
    with committed(name) as photo:
        pixels = np.asarray(photo, np.float64)
    colourful = np.ptp(pixels, axis=2) > 70  # painted, not paper: (h, w) bool
    rows, columns = np.flatnonzero(colourful.any(axis=1)), np.flatnonzero(colourful.any(axis=0))
    assert rows[0] > SIZE * 0.04
    assert rows[-1] < SIZE * 0.97
    assert abs((columns[0] + columns[-1]) / 2 - SIZE / 2) < SIZE * 0.06
    assert 0.12 < colourful.mean() < 0.6


@pytest.mark.parametrize("name", sorted(SCENES))
def test_the_generator_makes_the_committed_photo_again_whatever_the_threads(name: str) -> None:
    small = photograph(SCENES[name], SMALL, FEW, threads=4)
    again = photograph(SCENES[name], SMALL, FEW, threads=1)
    assert np.array_equal(small, again)
    with committed(name) as photo:
        wanted = np.asarray(photo.resize((SMALL, SMALL), Image.Resampling.BOX), np.float64)
    for channel in range(3):
        likeness = np.corrcoef(small[..., channel].ravel(), wanted[..., channel].ravel())[0, 1]
        assert likeness > 0.95
    assert np.abs(small.mean(axis=(0, 1)) - wanted.mean(axis=(0, 1))).max() < 6


def test_another_seed_gives_other_grain_of_the_same_picture() -> None:
    one = photograph(SCENES["teapot"], SMALL, FEW, seed=1).astype(np.float64)
    other = photograph(SCENES["teapot"], SMALL, FEW, seed=2).astype(np.float64)
    assert 0 < np.abs(one - other).mean() < 6
