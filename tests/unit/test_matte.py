"""Mattes: whose alpha counts, what the embedded matte finds, what it refuses, and when the learned one runs."""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path

import cv2
import numba
import numpy as np
import pytest
from numpy.typing import NDArray

from gpu_container import u2net
from gpu_container.matte import Matte, cut_out
from gpu_container.photo import Photo, decode
from infra.errors import NoClearObject, WeightsCorrupt, WeightsMissing

PHOTOS = Path(__file__).parents[2].parent / "shared" / "photos"
SIDE = 320

Picture = NDArray[np.float64]  # (h, w, 3) 0..1
Shape = NDArray[np.float64]  # (h, w) 0..1


def photo_of(rgb: Picture, alpha: NDArray[np.floating] | None = None) -> Photo:
    opaque = np.ones(rgb.shape[:2]) if alpha is None else alpha
    rgba = np.rint(np.dstack([rgb, opaque]).clip(0, 1) * 255).astype(np.uint8)
    return Photo(rgba, "png", bool(rgba[..., 3].min() < 255))


def overlap(matte: Matte, truth: Shape) -> float:
    found, wanted = matte.alpha > 0.5, truth > 0.5
    return float((found & wanted).sum() / (found | wanted).sum())


def grid() -> tuple[Shape, Shape]:
    """Row and column of each pixel, -1..1."""
    rows, columns = np.meshgrid(np.linspace(-1, 1, SIDE), np.linspace(-1, 1, SIDE), indexing="ij")
    return rows, columns


def ball(color: tuple[float, float, float], radius: float = 0.5, row: float = 0.0) -> tuple[Picture, Shape]:
    """A ball lit from the upper left, and its coverage."""
    y, x = grid()
    y = y - row
    depth = np.sqrt(np.maximum(radius**2 - x**2 - y**2, 0)) / radius
    light = 0.35 + 0.65 * np.clip((-0.5 * x - 0.6 * y) / radius + 0.65 * depth, 0, 1)
    return light[..., None] * np.array(color), np.clip((radius - np.hypot(x, y)) * SIDE / 2 + 0.5, 0, 1)


def stool() -> tuple[Picture, Shape]:
    """A seat on four thin legs."""
    y, x = grid()
    shape = (np.abs(y + 0.4) < 0.08) & (np.abs(x) < 0.6)
    for leg in (-0.5, -0.17, 0.17, 0.5):
        shape |= (np.abs(x - leg) < 0.035) & (y > -0.4) & (y < 0.7)
    return np.ones((SIDE, SIDE, 3)) * np.array([0.35, 0.2, 0.12]), cv2.GaussianBlur(
        shape.astype(float), (0, 0), 0.7
    )


def noise(amount: float, seed: int = 0) -> Picture:
    return np.random.default_rng(seed).normal(0, amount, (SIDE, SIDE, 3))


def sheet(color: tuple[float, float, float]) -> Picture:
    """An evenly lit sheet with a camera's noise."""
    return np.ones((SIDE, SIDE, 3)) * np.array(color) + noise(0.006)


def wall(color: tuple[float, float, float]) -> Picture:
    """A wall that gets darker downwards and to one side."""
    y, x = grid()
    return (1.0 - 0.15 * y + 0.08 * x)[..., None] * np.array(color) + noise(0.01)


def table() -> Picture:
    """A grey wall above a brown table."""
    y, _ = grid()
    below = 1 / (1 + np.exp(-(y - 0.25) * SIDE / 3))[..., None]
    return wall((0.75, 0.75, 0.72)) * (1 - below) + wall((0.5, 0.36, 0.25)) * below


def grain() -> Picture:
    """Coarse, strong grain, as of gravel."""
    coarse = cv2.GaussianBlur(np.random.default_rng(5).normal(size=(SIDE, SIDE)), (0, 0), 2.5)
    return (0.5 + 0.16 * coarse / coarse.std())[..., None] * np.array([0.75, 1.0, 0.65]) + noise(0.02)


def stripes() -> Picture:
    """Boards of very different brown."""
    tones = np.random.default_rng(2).uniform(0.25, 0.75, 12)
    rows = np.repeat(tones, SIDE // 12 + 1)[:SIDE]
    return rows[:, None, None] * np.array([0.9, 0.6, 0.35]) + noise(0.02)


def with_shadow(backdrop: Picture, shape: Shape, strength: float = 0.4) -> Picture:
    """A soft shadow on the ground to the right of the object."""
    bottom = int(np.flatnonzero((shape > 0.5).any(axis=1))[-1])
    lie_down = np.array([[1, -0.5, 0.5 * bottom], [0, 0.25, 0.75 * bottom]], np.float32)
    cast = cv2.GaussianBlur(
        cv2.warpAffine(shape.astype(np.float32), lie_down, (SIDE, SIDE)), (0, 0), SIDE * 0.022
    )
    return backdrop * (1 - strength * cast[..., None])


def over(object_and_shape: tuple[Picture, Shape], backdrop: Picture) -> Picture:
    color, shape = object_and_shape
    return color * shape[..., None] + backdrop * (1 - shape[..., None])


class TestOwnAlpha:
    def test_a_drawn_alpha_is_taken_as_it_is(self) -> None:
        color, shape = ball((0.8, 0.2, 0.1))
        photo = photo_of(color, shape)
        matte = cut_out(photo)
        assert matte.method == "alpha"
        assert matte.alpha.dtype == np.float32
        assert np.array_equal(matte.alpha, photo.rgba[..., 3] / np.float32(255))

    @pytest.mark.parametrize("holes", ["one pixel", "scattered pixels", "evenly faint", "one faint row"])
    def test_an_alpha_that_is_no_cut_out_does_not_keep_the_background(self, holes: str) -> None:
        alpha = np.ones((SIDE, SIDE))
        if holes == "one pixel":
            alpha[5, 5] = 0
        elif holes == "scattered pixels":
            alpha[np.random.default_rng(1).random(alpha.shape) < 0.02] = 0
        elif holes == "evenly faint":
            alpha[:] = 0.8
        else:
            alpha[0] = 0
        thing = ball((0.8, 0.2, 0.1))
        matte = cut_out(photo_of(over(thing, sheet((0.9, 0.9, 0.9))), alpha))
        assert matte.method == "backdrop"
        assert overlap(matte, thing[1]) > 0.95

    @pytest.mark.parametrize("background", ["auto", "remove", "keep"])
    def test_a_picture_that_is_transparent_everywhere_is_refused(self, background: str) -> None:
        with pytest.raises(NoClearObject, match="transparent"):
            cut_out(photo_of(sheet((0.5, 0.5, 0.5)), np.zeros((SIDE, SIDE))), background)  # type: ignore[arg-type]

    def test_keep_takes_the_whole_of_an_opaque_picture(self) -> None:
        matte = cut_out(photo_of(table()), "keep")
        assert matte.method == "keep"
        assert (matte.alpha == 1).all()

    def test_keep_takes_any_alpha_even_a_faint_one(self) -> None:
        matte = cut_out(photo_of(table(), np.full((SIDE, SIDE), 0.8)), "keep")
        assert np.allclose(matte.alpha, 0.8, atol=1e-6)

    def test_remove_looks_at_the_picture_and_shows_nothing_that_was_hidden(self) -> None:
        """GIVEN a cut-out that still has some sheet around a ball, WHEN its background is removed, THEN only
        the ball is left, and of that only what the alpha showed."""
        y, x = grid()
        thing = ball((0.8, 0.2, 0.1))
        visible = ((np.abs(y) < 0.8) & (np.abs(x) < 0.8) & ((y > -0.3) | (x < 0))).astype(float)
        matte = cut_out(photo_of(over(thing, sheet((1, 1, 1))), visible), "remove")
        assert matte.method == "backdrop"
        assert (matte.alpha[visible == 0] == 0).all()
        assert overlap(matte, thing[1] * visible) > 0.93


class TestEmbeddedMatte:
    @pytest.mark.parametrize("backdrop", ["white", "grey", "blue", "black", "table"])
    @pytest.mark.parametrize("thing", ["red ball", "grey ball", "stool"])
    def test_an_object_before_a_plain_backdrop_is_found_without_its_shadow(
        self, thing: str, backdrop: str
    ) -> None:
        color, shape = {
            "red ball": ball((0.8, 0.15, 0.12)),
            "grey ball": ball((0.55, 0.55, 0.55)),
            "stool": stool(),
        }[thing]
        behind = {
            "white": sheet((1, 1, 1)),
            "grey": wall((0.7, 0.69, 0.66)),
            "blue": wall((0.35, 0.5, 0.75)),
            "black": sheet((0.05, 0.05, 0.06)),
            "table": table(),
        }[backdrop]
        matte = cut_out(photo_of(over((color, shape), with_shadow(behind, shape))))
        assert matte.method == "backdrop"
        assert overlap(matte, shape) > (0.85 if thing == "stool" else 0.92)

    def test_a_whitish_object_on_white_is_told_from_its_shadow(self) -> None:
        color, shape = ball((0.93, 0.93, 0.92), row=-0.1)
        behind = with_shadow(sheet((0.97, 0.97, 0.96)), shape, 0.45)
        matte = cut_out(photo_of(over((color, shape), behind)))
        assert overlap(matte, shape) > 0.93
        shadow = (sheet((0.97, 0.97, 0.96)) - behind).mean(axis=-1) * (shape == 0) > 0.1
        assert shadow.sum() > 500, "no shadow, nothing tested"
        assert (matte.alpha > 0.5)[shadow].mean() < 0.15

    def test_backdrop_seen_through_an_object_is_background(self) -> None:
        y, x = grid()
        ring = np.clip((0.13 - np.abs(np.hypot(y, x) - 0.5)) * SIDE / 2 + 0.5, 0, 1)
        matte = cut_out(photo_of(over((np.ones((SIDE, SIDE, 3)) * 0.2, ring), wall((0.8, 0.7, 0.5)))))
        assert overlap(matte, ring) > 0.93
        assert matte.alpha[SIDE // 2, SIDE // 2] == 0

    @pytest.mark.parametrize("behind", [grain(), stripes()], ids=["grain", "boards"])
    def test_an_object_before_a_patterned_background_is_found_by_its_colours(self, behind: Picture) -> None:
        thing = ball((0.2, 0.35, 0.95), 0.55)
        matte = cut_out(photo_of(over(thing, behind)))
        assert matte.method == "grabcut"
        assert overlap(matte, thing[1]) > 0.93

    def test_an_object_cut_off_by_one_side_is_found(self) -> None:
        thing = ball((0.8, 0.15, 0.12), 0.5, row=0.75)
        assert overlap(cut_out(photo_of(over(thing, wall((0.7, 0.7, 0.7))))), thing[1]) > 0.93

    def test_the_edge_is_soft_where_the_pictures_is(self) -> None:
        matte = cut_out(photo_of(over(ball((0.8, 0.15, 0.12)), sheet((0.9, 0.9, 0.9)))))
        between = (matte.alpha > 0.05) & (matte.alpha < 0.95)
        assert 0 < between.mean() < 0.03
        assert matte.alpha.min() == 0
        assert matte.alpha.max() == 1

    def test_large_pictures_get_a_matte_of_their_own_size(self) -> None:
        color, shape = ball((0.8, 0.15, 0.12))
        small = over((color, shape), wall((0.7, 0.7, 0.7))).astype(np.float32)
        large = cv2.resize(small, (1500, 1500), interpolation=cv2.INTER_CUBIC)
        matte = cut_out(photo_of(large.astype(np.float64)))
        assert matte.alpha.shape == (1500, 1500)
        assert overlap(matte, cv2.resize(shape, (1500, 1500))) > 0.97

    @pytest.mark.parametrize("behind", [table(), grain()], ids=["table", "grain"])
    def test_the_same_picture_always_gives_the_same_matte(self, behind: Picture) -> None:
        photo = photo_of(over(ball((0.2, 0.35, 0.95)), behind))
        first = cut_out(photo).alpha
        cv2.setRNGSeed(12345)
        threads = cv2.getNumThreads()
        try:
            cv2.setNumThreads(1)
            assert np.array_equal(cut_out(photo).alpha, first)
        finally:
            cv2.setNumThreads(threads)
        assert np.array_equal(cut_out(photo).alpha, first)


class TestRefusals:
    @pytest.mark.parametrize(
        "empty",
        [
            np.ones((SIDE, SIDE, 3)),
            np.zeros((SIDE, SIDE, 3)),
            sheet((0.6, 0.6, 0.6)),
            wall((0.4, 0.5, 0.7)),
            table(),
        ],
        ids=["white", "black", "sheet", "wall", "table"],
    )
    def test_an_empty_scene(self, empty: Picture) -> None:
        with pytest.raises(NoClearObject, match="No object stands out"):
            cut_out(photo_of(empty))

    @pytest.mark.parametrize(
        "texture", [grain(), stripes(), 0.5 + noise(0.25)], ids=["grain", "boards", "snow"]
    )
    def test_texture_alone(self, texture: Picture) -> None:
        with pytest.raises(NoClearObject):
            cut_out(photo_of(texture))

    def test_many_things_at_once(self) -> None:
        y, x = grid()
        dots = (np.hypot((y * 3) % 1 - 0.5, (x * 3) % 1 - 0.5) < 0.3).astype(float)
        dots[:20] = dots[-20:] = dots[:, :20] = dots[:, -20:] = 0
        with pytest.raises(NoClearObject, match="several things"):
            cut_out(photo_of(over((np.ones((SIDE, SIDE, 3)) * 0.1, dots), sheet((0.9, 0.9, 0.9)))))

    def test_an_object_that_leaves_no_background(self) -> None:
        thing = ball((0.8, 0.15, 0.12), 1.6)
        with pytest.raises(NoClearObject):
            cut_out(photo_of(over(thing, sheet((0.9, 0.9, 0.9)))))

    def test_a_speck(self) -> None:
        with pytest.raises(NoClearObject, match="No object stands out"):
            cut_out(photo_of(over(ball((0.8, 0.15, 0.12), 0.03), sheet((0.9, 0.9, 0.9)))))

    def test_camouflage(self) -> None:
        """GIVEN a disc cut from the very grain that it lies on, THEN no outline is made up."""
        _, shape = ball((1, 1, 1))
        with pytest.raises(NoClearObject):
            cut_out(photo_of(over((grain()[::-1], shape), grain())))

    @pytest.mark.parametrize("name", ["coffee", "chelsea", "rocket", "astronaut"])
    def test_real_photos_without_one_clear_object(self, name: str) -> None:
        """A cup that nearly fills its frame, a cat's face, a launch pad, a portrait."""
        from skimage import data

        with pytest.raises(NoClearObject) as raised:
            cut_out(photo_of(getattr(data, name)() / 255))
        assert raised.value.message.endswith(".")

    @pytest.mark.parametrize("size", [(32, 32), (32, 600), (600, 32)])
    def test_smallest_and_longest_pictures_fail_as_politely(self, size: tuple[int, int]) -> None:
        rgb = np.random.default_rng(1).random((*size, 3))
        with pytest.raises(NoClearObject):
            cut_out(photo_of(rgb))


@pytest.mark.skipif(not PHOTOS.is_dir(), reason="the example photos are not here")
class TestExamplePhotos:
    @pytest.mark.parametrize("name", ["chair", "hamburger", "horse", "police_woman", "robot"])
    @pytest.mark.parametrize("behind", [(0.72, 0.7, 0.68), (0.3, 0.45, 0.7)], ids=["grey", "blue"])
    def test_known_cut_outs_are_found_again_before_a_wall(
        self, name: str, behind: tuple[float, float, float]
    ) -> None:
        own = decode((PHOTOS / f"{name}.png").read_bytes())
        rgba = cv2.resize(own.rgba.astype(np.float64) / 255, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
        shape = rgba[..., 3]
        matte = cut_out(photo_of(over((rgba[..., :3], shape), wall(behind))))
        assert overlap(matte, shape) > 0.88

    def test_marble_on_grey_is_found(self) -> None:
        matte = cut_out(decode((PHOTOS / "marble.png").read_bytes()))
        assert matte.method == "backdrop"
        assert 0.25 < (matte.alpha > 0.5).mean() < 0.45


def field(number: int, value: bytes | int | str) -> bytes:
    """One protobuf field."""

    def varint(rest: int) -> bytes:
        out = b""
        while rest > 127:
            out += bytes([rest & 127 | 128])
            rest >>= 7
        return out + bytes([rest])

    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    body = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(body)) + body


def red_channel_model(gain: float) -> bytes:
    """An ONNX network with U²-Net's shapes; its saliency is ``gain`` times the mean of the colours."""

    def tensor_type(name: str, *shape: int) -> bytes:
        dimensions = b"".join(field(1, field(1, side)) for side in shape)
        return field(1, name) + field(2, field(1, field(1, 1) + field(2, dimensions)))

    mean = field(1, "input.1") + field(2, "mean") + field(4, "ReduceMean")
    mean += field(5, field(1, "axes") + field(8, 1) + field(20, 7))
    scale = field(1, "mean") + field(1, "gain") + field(2, "output") + field(4, "Mul")
    constant = field(2, 1) + field(8, "gain") + field(9, struct.pack("<f", gain))
    graph = field(1, mean) + field(1, scale) + field(2, "graph") + field(5, constant)
    graph += field(11, tensor_type("input.1", 1, 3, 320, 320)) + field(
        12, tensor_type("output", 1, 1, 320, 320)
    )
    return field(1, 8) + field(7, graph) + field(8, field(1, "") + field(2, 13))


@pytest.fixture(scope="module")
def rembg_uncompiled() -> None:
    """rembg imports a matting library, which compiles for most of a minute and is never called here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(numba.config, "DISABLE_JIT", True)
        import rembg.sessions.u2net  # noqa: F401


@pytest.mark.usefixtures("rembg_uncompiled")
class TestLearnedMatte:
    """rembg and onnxruntime are real here; only the network is a small one of our own making."""

    def model(self, folder: Path, monkeypatch: pytest.MonkeyPatch, gain: float) -> Path:
        data = red_channel_model(gain)
        path = folder / "u2net.onnx"
        path.write_bytes(data)
        monkeypatch.setattr(u2net, "SHA256", hashlib.sha256(data).hexdigest())
        return path

    def test_the_model_file_is_used_when_it_is_there(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        thing = (np.ones((SIDE, SIDE, 3)), ball((1, 1, 1))[1])
        matte = cut_out(photo_of(over(thing, grain() * 0.2)), model=self.model(tmp_path, monkeypatch, 1.0))
        assert matte.method == "u2net"
        assert matte.alpha.shape == (SIDE, SIDE)
        assert overlap(matte, thing[1]) > 0.97

    def test_a_flat_map_is_refused_and_never_becomes_nan(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with pytest.raises(NoClearObject):
            cut_out(photo_of(table()), model=self.model(tmp_path, monkeypatch, 0.0))

    def test_another_file_than_the_pinned_one_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "u2net.onnx"
        path.write_bytes(red_channel_model(1.0))
        with pytest.raises(WeightsCorrupt, match=u2net.SHA256):
            cut_out(photo_of(table()), model=path)

    def test_a_missing_file_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(WeightsMissing, match=r"nowhere\.onnx"):
            cut_out(photo_of(table()), model=tmp_path / "nowhere.onnx")

    def test_a_drawn_alpha_needs_no_model(self, tmp_path: Path) -> None:
        color, shape = ball((0.8, 0.2, 0.1))
        assert cut_out(photo_of(color, shape), model=tmp_path / "nowhere.onnx").method == "alpha"
