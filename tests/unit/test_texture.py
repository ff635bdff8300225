"""Charts and colours on meshes of known fields."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from gpu_container import mesh, packing, raster, texture
from gpu_container.texture import TexturedMesh
from infra.errors import UnwrapFailed
from tests import viewer
from tests.fields import Ball

SIZE = 256

Floats, Ints = NDArray[np.float32], NDArray[np.int32]


class Painted(Ball):
    """Colour is the place itself: any mix-up of texels shows."""

    def color(self, points: torch.Tensor) -> torch.Tensor:
        self.asked = len(points)
        return (points / 1.74 + 0.5).clamp(0, 1)


def surface_of(field: Ball, faces: int = 3000) -> mesh.Mesh:
    return mesh.extract(field, field.density_grid(64), faces)


def baked(field: Ball, surface: mesh.Mesh | None = None, size: int = SIZE) -> TexturedMesh:
    return texture.bake(surface or surface_of(field), field, field.density_grid(64), size)


@pytest.fixture(scope="module")
def ball() -> tuple[Painted, TexturedMesh]:
    field = Painted(0.6)
    return field, baked(field)


def test_cuts_double_vertices_and_change_nothing_else(ball: tuple[Painted, TexturedMesh]) -> None:
    textured = ball[1]
    assert np.array_equal(textured.source[textured.faces], textured.mesh.faces)
    assert np.array_equal(textured.vertices, textured.mesh.vertices[textured.source])
    assert len(np.unique(textured.faces)) == len(textured.source) >= len(textured.mesh.vertices)


def test_charts_lie_inside_the_texture_and_do_not_overlap(ball: tuple[Painted, TexturedMesh]) -> None:
    textured = ball[1]
    assert textured.uv.min() >= 0
    assert textured.uv.max() <= 1
    corners = textured.uv[textured.faces] * 1024
    edges = corners[:, 1:] - corners[:, :1]
    areas = (edges[:, 0, 0] * edges[:, 1, 1] - edges[:, 0, 1] * edges[:, 1, 0]) / 2
    assert (np.abs(areas) > 1e-3).all()  # none is folded away
    # as many texel centres inside charts as their areas together: none is covered twice
    face_of, weights = np.empty((1024, 1024), np.int32), np.empty((1024, 1024, 3), np.float32)
    distance = np.empty((1024, 1024), np.float32)
    raster.texel_surface(textured.uv, textured.faces, face_of, weights, distance, 0.0)
    assert (face_of >= 0).sum() == pytest.approx(np.abs(areas).sum(), rel=0.005)
    assert np.abs(areas).sum() > 0.35 * 1024**2  # and the texture is made use of


def test_every_sample_on_the_surface_shows_the_fields_colour(ball: tuple[Painted, TexturedMesh]) -> None:
    field, textured = ball
    rng = np.random.default_rng(1)
    weights = rng.dirichlet((0.4, 0.4, 0.4), size=50_000)  # many near edges and corners
    faces = rng.integers(len(textured.faces), size=len(weights))
    uv = np.einsum("nc,ncx->nx", weights, textured.uv[textured.faces[faces]])
    points = np.einsum("nc,ncx->nx", weights, textured.vertices[textured.faces[faces]])
    shown = viewer.sample(textured.texture, uv)
    expected = field.color(torch.from_numpy(points.astype(np.float32))).numpy()
    # a texel is some 0.012 wide here, and colour runs at 1 / 1.74
    assert np.abs(shown - expected).max() < 0.012
    assert np.abs(shown - expected).mean() < 0.002


def test_no_texel_is_left_black_and_gutters_continue_what_is_beside_them(
    ball: tuple[Painted, TexturedMesh],
) -> None:
    textured = ball[1]
    assert textured.texture.shape == (SIZE, SIZE, 3)
    assert textured.texture.dtype == np.uint8
    assert textured.texture.min() > 30  # the ball's colours keep clear of 0; black would be a hole


@pytest.mark.parametrize("shrunk", [1, 2, 4, 8, 16])
def test_no_seam_shows_in_smaller_mip_maps(ball: tuple[Painted, TexturedMesh], shrunk: int) -> None:
    """GIVEN a texture averaged over ever more texels, THEN even charts' borders keep their colour."""
    field, textured = ball
    size = SIZE // shrunk
    level = textured.texture.reshape(size, shrunk, size, shrunk, 3).mean(axis=(1, 3))
    assert level.min() > 30, "nothing black was mixed in"
    border = _border_edges(textured)
    share = np.random.default_rng(2).random((len(border), 1))
    uv, points = (
        values[border[:, 0]] * share + values[border[:, 1]] * (1 - share)
        for values in (textured.uv.astype(float), textured.vertices.astype(float))
    )
    shown = viewer.sample(np.round(level).astype(np.uint8), uv)
    apart = np.abs(shown - field.color(torch.from_numpy(points.astype(np.float32))).numpy())
    run = shrunk * 0.012 / 1.74  # of the colour over a texel of this level
    assert apart.mean() < 0.003 + run / 2
    if shrunk <= texture.PADDING:  # what lies half a gap away is another chart's
        assert np.quantile(apart, 1.0 if shrunk <= texture.PADDING / 2 else 0.98) < 0.006 + run


def _border_edges(textured: TexturedMesh) -> NDArray[np.int64]:
    """The edges ``(n, 2)`` along which charts are cut: those that belong to one face only."""
    edges = np.sort(
        np.stack([textured.faces, np.roll(textured.faces, -1, axis=1)], axis=-1).reshape(-1, 2), axis=1
    )
    unique, count = np.unique(edges, axis=0, return_counts=True)
    return np.asarray(unique[count == 1])


def test_only_texels_in_and_beside_charts_are_asked_for(ball: tuple[Painted, TexturedMesh]) -> None:
    field, textured = ball
    baked(field, textured.mesh)
    assert 0.35 * SIZE**2 < field.asked < 0.9 * SIZE**2


@pytest.mark.parametrize("back", [False, True])
def test_the_textured_mesh_looks_like_the_field(back: bool) -> None:
    field = Painted(0.6, center=(0.05, 0.1, -0.1))
    textured = baked(field)
    positions = textured.vertices[:, [1, 2, 0]].astype(float) @ viewer.turn(180 if back else 0)
    seen = viewer.look_at_mesh(positions, textured.faces, textured.uv, textured.texture, 96)
    expected = viewer.look_at_field(field, 96, 180 if back else 0)
    assert viewer.overlap(seen, expected) > 0.985
    assert viewer.psnr(seen, expected) > 45


@pytest.mark.parametrize("size", [256, 300, 2048])
def test_any_asked_size_comes_out(size: int) -> None:
    field = Painted(0.5)
    textured = baked(field, surface_of(field, 600), size)
    assert textured.texture.shape == (size, size, 3)
    assert textured.uv.max() == pytest.approx(1, abs=0.02)


def test_the_same_mesh_gives_the_same_bytes(ball: tuple[Painted, TexturedMesh]) -> None:
    field, textured = ball
    again = baked(field, textured.mesh)
    assert np.array_equal(again.uv, textured.uv)
    assert np.array_equal(again.faces, textured.faces)
    assert np.array_equal(again.texture, textured.texture)
    assert np.array_equal(again.normal_map, textured.normal_map)


def test_texels_take_the_nearest_triangle_within_reach_and_no_other() -> None:
    uv = np.array([[0.25, 0.25], [0.75, 0.25], [0.25, 0.75]], np.float32)
    face_of, weights = np.empty((16, 16), np.int32), np.empty((16, 16, 3), np.float32)
    distance = np.empty((16, 16), np.float32)
    raster.texel_surface(uv, np.array([[0, 1, 2]], np.int32), face_of, weights, distance, 1.5)
    rows, columns = np.mgrid[:16, :16] + 0.5
    inside = (rows >= 4) & (columns >= 4) & (rows + columns <= 16)
    assert (face_of[inside] == 0).all()
    assert face_of[3, 3] == 0  # half a texel's diagonal away
    assert face_of[2, 2] == -1  # two texels away
    assert face_of[15, 15] == -1
    near = face_of == 0
    np.testing.assert_allclose(weights[near].sum(axis=-1), 1, atol=1e-6)
    assert weights[near].min() >= 0
    shown = weights[inside] @ uv * 16
    np.testing.assert_allclose(shown, np.stack([columns, rows], axis=-1)[inside], atol=1e-4)


def test_degenerate_charts_are_painted_without_an_error() -> None:
    uv = np.array([[0.5, 0.5], [0.5, 0.5], [0.6, 0.6]], np.float32)
    face_of, weights = np.empty((8, 8), np.int32), np.empty((8, 8, 3), np.float32)
    raster.texel_surface(
        uv, np.array([[0, 1, 2], [0, 0, 0]], np.int32), face_of, weights, np.empty((8, 8), np.float32), 1.0
    )
    assert np.isfinite(weights[face_of >= 0]).all()
    assert (face_of >= 0).any()


def test_a_texture_too_small_for_its_charts_gets_them_closer_together(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []
    packed = packing.packed

    def crowded(uv: Floats, faces: Ints, size: int, padding: float) -> Floats | None:
        asked.append(padding)
        return packed(uv, faces, size, padding) if padding <= 1 else None

    monkeypatch.setattr(packing, "packed", crowded)
    textured = baked(Ball(0.5), surface_of(Ball(0.5), 600))
    assert asked == sorted(asked, reverse=True)
    assert asked[-1] == 1.0
    assert len(textured.mesh.faces) > 500


def test_a_texture_that_cannot_hold_the_charts_gets_half_the_faces(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    surface, packed = surface_of(Ball(0.5), 1000), packing.packed

    def few(uv: Floats, faces: Ints, size: int, padding: float) -> Floats | None:
        return packed(uv, faces, size, padding) if len(faces) < 600 else None

    monkeypatch.setattr(packing, "packed", few)
    with caplog.at_level(logging.WARNING):
        textured = baked(Ball(0.5), surface)
    assert len(textured.mesh.faces) <= 505
    assert mesh.is_sound((textured.mesh.vertices, textured.mesh.faces))
    assert "half the faces" in caplog.text


def test_charts_that_no_texture_can_hold_are_an_error_that_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "packed", lambda *rest: None)
    with pytest.raises(UnwrapFailed, match="fewer target_faces"):
        baked(Ball(0.5), surface_of(Ball(0.5), 600))
