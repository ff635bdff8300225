"""Charts in a square: none lost, none bent, none too close."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from gpu_container import packing, raster

Charts = tuple[NDArray[np.float32], NDArray[np.int32], NDArray[np.int64]]  # uv, faces, chart of each vertex


def fans(count: int, seed: int = 0) -> Charts:
    """Many-cornered discs and splinters of all sizes, all on top of each other."""
    rng = np.random.default_rng(seed)
    uv, faces, chart_of, first = [], [], [], 0
    for chart in range(count):
        corners = int(rng.integers(3, 12))
        angle = np.sort(rng.random(corners)) * 0.4 + np.arange(corners) * (2 * np.pi / corners)
        rim = (
            np.stack([np.cos(angle), np.sin(angle) * rng.uniform(0.15, 1)], axis=-1) * rng.uniform(0.1, 1) ** 2
        )
        uv.append(np.concatenate([[[0, 0]], rim]))
        ring = np.arange(corners)
        faces.append(first + np.stack([0 * ring, 1 + ring, 1 + (ring + 1) % corners], axis=-1))
        chart_of += [chart] * (corners + 1)
        first += corners + 1
    return (
        np.concatenate(uv).astype(np.float32),
        np.concatenate(faces).astype(np.int32),
        np.array(chart_of),
    )


def painted(uv: NDArray[np.float32], faces: NDArray[np.int32], size: int) -> NDArray[np.int32]:
    """Which face covers each cell's centre, -1 for none."""
    face_of, weights = np.empty((size, size), np.int32), np.empty((size, size, 3), np.float32)
    raster.texel_surface(uv, faces, face_of, weights, np.empty((size, size), np.float32), 0.0)
    return face_of


@pytest.mark.parametrize(("count", "size", "padding"), [(150, 1024, 4.0), (150, 1024, 2.0), (20, 256, 4.0)])
def test_charts_keep_their_shape_and_their_distance(count: int, size: int, padding: float) -> None:
    uv, faces, chart_of = fans(count)
    found = packing.packed(uv, faces, size, padding)
    assert found is not None
    lengths = [np.linalg.norm(it[faces] - np.roll(it[faces], 1, axis=1), axis=-1) for it in (uv, found)]
    scale = lengths[1] / lengths[0]
    assert scale.max() / scale.min() == pytest.approx(1, abs=1e-2), "all alike, and as wide as high"
    chart = np.append(chart_of[faces[:, 0]], -1)[painted(found, faces, size)]
    assert len(np.unique(chart)) == count + 1, "each is there"
    # as far apart as asked, all but what a cell's centre may lie inside its chart on either side
    for index in range(0, count, 10):
        away = cv2.distanceTransform((chart != index).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        assert away[(chart >= 0) & (chart != index)].min() >= padding
    margin = padding / 2 / size
    assert found.min() >= 0.99 * margin
    assert found.max() == pytest.approx(1 - margin, rel=1e-3), "not a cell is given away"


def test_the_square_is_well_filled() -> None:
    uv, faces, _ = fans(150)
    found = packing.packed(uv, faces, 1024, 4.0)
    assert found is not None
    assert (painted(found, faces, 1024) >= 0).mean() > 0.58


def test_one_chart_fills_what_its_shape_lets_it() -> None:
    square = np.array([[0, 0], [3, 0], [3, 3], [0, 3]], np.float32)
    found = packing.packed(square, np.array([[0, 1, 2], [0, 2, 3]], np.int32), 256, 4.0)
    assert found is not None
    np.testing.assert_allclose(
        [found.min(axis=0), found.max(axis=0)], [[2 / 256] * 2, [254 / 256] * 2], atol=0.02
    )


def test_no_chart_is_mirrored() -> None:
    uv, faces, _ = fans(60)
    found = packing.packed(uv, faces, 512, 4.0)
    assert found is not None

    def turning(it: NDArray[np.float32]) -> NDArray[np.float64]:
        edges = it[faces[:, 1:]].astype(np.float64) - it[faces[:, :1]]
        return np.asarray(np.sign(edges[:, 0, 0] * edges[:, 1, 1] - edges[:, 0, 1] * edges[:, 1, 0]))

    assert np.array_equal(turning(uv), turning(found))


def test_the_same_charts_always_lie_the_same_way() -> None:
    uv, faces, _ = fans(80)
    once, again = (packing.packed(uv, faces, 512, 4.0) for _ in range(2))
    assert once is not None
    assert np.array_equal(once, again)


def test_what_cannot_be_packed_is_told() -> None:
    nothing = np.zeros((3, 2), np.float32)
    assert packing.packed(nothing, np.array([[0, 1, 2]], np.int32), 256, 4.0) is None
    splinter = np.array([[0, 0], [1, 0], [1, 1e-4]], np.float32)
    assert packing.packed(splinter, np.array([[0, 1, 2]], np.int32), 256, 4.0) is None
