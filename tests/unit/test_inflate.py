"""The embedded engine: what a Field made of an outline must keep, whatever the outline."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import ndimage
from skimage.measure import euler_number

from gpu_container.engines import choose
from gpu_container.engines.inflate import Inflate
from gpu_container.engines.inflated_field import InflatedField
from gpu_container.engines.silhouette import FRAME_SIDE
from gpu_container.field import RADIUS, SURFACE_DENSITY, SURFACE_RAW, Field, grid_axis
from gpu_container.photo import Frame
from infra.errors import NoClearObject, WeightsMissing

CPU = torch.device("cpu")
SIDE = 512
Mask = NDArray[np.uint8]


def canvas(side: int = SIDE) -> Mask:
    return np.zeros((side, side), np.uint8)


def disc(side: int = SIDE) -> Mask:
    return cv2.circle(canvas(side), (side // 2, side // 2), int(0.42 * side), 255, -1, cv2.LINE_AA)


def figure() -> Mask:
    """A head, a body, two arms and two legs."""
    drawn = cv2.circle(canvas(), (256, 100), 60, 255, -1, cv2.LINE_AA)
    cv2.ellipse(drawn, (256, 250), (70, 110), 0, 0, 360, 255, -1, cv2.LINE_AA)
    for x in (-1, 1):
        cv2.line(drawn, (256 + 50 * x, 200), (256 + 150 * x, 300), 255, 30, cv2.LINE_AA)
        cv2.line(drawn, (256 + 35 * x, 330), (256 + 50 * x, 460), 255, 36, cv2.LINE_AA)
    return drawn


def ring() -> Mask:
    return cv2.circle(canvas(), (256, 256), 170, 255, 70, cv2.LINE_AA)


def blob_with_antenna() -> Mask:
    drawn = cv2.ellipse(canvas(), (256, 330), (150, 120), 0, 0, 360, 255, -1, cv2.LINE_AA)
    return cv2.line(drawn, (330, 240), (400, 60), 255, 4, cv2.LINE_AA)


def bust() -> Mask:
    """A head on shoulders that the photo's lower edge cuts."""
    drawn = cv2.circle(canvas(), (256, 160), 90, 255, -1, cv2.LINE_AA)
    cv2.ellipse(drawn, (256, 474), (205, 230), 0, 180, 360, 255, -1, cv2.LINE_AA)
    drawn[474:] = 0
    return drawn


def vase() -> Mask:
    rows = np.arange(40, 475)
    half = 90 + 50 * np.sin(rows / 60.0)
    outline = np.concatenate([np.stack([256 - half, rows], 1), np.stack([256 + half, rows], 1)[::-1]])
    return cv2.fillPoly(canvas(), [np.round(outline * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)


def box() -> Mask:
    """A cube turned by 35 degrees, seen from 20 degrees above, from far away."""
    turn, above = np.radians(35), np.radians(20)
    right = np.array([np.sin(turn), np.cos(turn), 0.0])
    up = np.array([-np.sin(above) * np.cos(turn), np.sin(above) * np.sin(turn), np.cos(above)])
    signs = np.stack(np.meshgrid([-1, 1], [-1, 1], [-1, 1]), -1).reshape(-1, 3)
    corners = np.stack([256 + 140 * signs @ right, 256 - 140 * signs @ up], 1)
    return cv2.fillConvexPoly(canvas(), cv2.convexHull(np.round(corners).astype(np.int32)), 255, cv2.LINE_AA)


OUTLINES = {
    "disc": disc,
    "figure": figure,
    "ring": ring,
    "antenna": blob_with_antenna,
    "bust": bust,
    "vase": vase,
}


def framed(mask: Mask, rgb: NDArray[np.float32] | None = None, cut: tuple[str, ...] = ()) -> Frame:
    """The outline as a Frame; by default in colours that differ at every place."""
    side = len(mask)
    alpha = mask.astype(np.float32) / 255
    if rgb is None:
        ramp = np.linspace(0.1, 0.9, side, dtype=np.float32)
        across, down = np.meshgrid(ramp, ramp)
        rgb = np.stack([across, down, 1 - across], axis=-1)
    return Frame(
        (rgb * alpha[..., None] + 0.5 * (1 - alpha[..., None])).astype(np.float32), alpha, frozenset(cut)
    )


def reconstruct(mask: Mask, cut: tuple[str, ...] = ()) -> Field:
    return Inflate(CPU).reconstruct(framed(mask, cut=cut))


def first_hits(field: Field, side: int = 96, samples: int = 220) -> tuple[torch.Tensor, torch.Tensor]:
    """March the first view's rays: ``(side², 3)`` points just inside the surface, and which rays hit."""
    edge = (torch.arange(side) + 0.5) / side * FRAME_SIDE - FRAME_SIDE / 2
    z, y = torch.meshgrid(-edge, edge, indexing="ij")
    camera = torch.tensor([1.9, 0.0, 0.0])
    towards = torch.stack([torch.zeros_like(y), y, z], -1).reshape(-1, 3) - camera
    steps = torch.linspace(1 - RADIUS / 1.9, 1 + RADIUS / 1.9, samples)
    points = camera + towards[:, None] * steps[None, :, None]
    dense = field.density(points.reshape(-1, 3)).reshape(len(towards), samples) >= SURFACE_DENSITY
    first = dense.float().argmax(1)
    return points[torch.arange(len(points)), first], dense.any(1)


@pytest.mark.parametrize("name", OUTLINES)
def test_the_first_view_has_the_photos_outline(name: str) -> None:
    mask = OUTLINES[name]()
    _, hit = first_hits(reconstruct(mask, ("bottom",) if name == "bust" else ()))
    seen = hit.reshape(96, 96).numpy()
    wanted = cv2.resize(mask, (96, 96), interpolation=cv2.INTER_AREA) > 127
    assert (seen & wanted).sum() / (seen | wanted).sum() >= 0.97


def test_a_box_is_recognised_and_has_right_angles() -> None:
    solid = torch.nonzero(reconstruct(box()).density_grid(96) >= SURFACE_RAW).float().numpy()
    (_, _), (width, height), _ = cv2.minAreaRect(cv2.convexHull(upright(solid, 20.0)[:, :2].astype(np.float32)))
    sides = np.array([width, height, np.ptp(upright(solid, 20.0)[:, 2])])
    assert sides.min() / sides.max() > 0.85  # a cube again
    assert len(solid) / np.prod(sides) > 0.85  # and no pillow: a ball fills half of its box


def upright(points: NDArray[np.float32], above: float) -> NDArray[np.float32]:
    """Points turned back as if the camera had not looked down on them."""
    cosine, sine = np.cos(np.radians(above)), np.sin(np.radians(above))
    x, y, z = points.T
    return np.stack([cosine * x - sine * z, y, sine * x + cosine * z], 1)


def test_the_near_side_has_the_photos_colours() -> None:
    frame = framed(figure())
    field = Inflate(CPU).reconstruct(frame)
    points, hit = first_hits(field)
    inner = cv2.erode(figure(), np.ones((25, 25), np.uint8))
    shown = hit.numpy() & (cv2.resize(inner, (96, 96), interpolation=cv2.INTER_AREA).reshape(-1) > 254)
    wanted = cv2.resize(frame.rgb, (96, 96), interpolation=cv2.INTER_AREA).reshape(-1, 3)[shown]
    assert np.abs(field.color(points).numpy()[shown] - wanted).max() < 0.03


def test_nobody_has_a_face_on_the_back_of_the_head() -> None:
    mask = disc()
    rgb = np.full((SIDE, SIDE, 3), (0.8, 0.6, 0.5), np.float32)
    for x in (190, 322):
        cv2.circle(rgb, (x, 220), 26, (0.05, 0.05, 0.1), -1, cv2.LINE_AA)
    cv2.ellipse(rgb, (256, 330), (70, 18), 0, 0, 360, (0.6, 0.05, 0.1), -1, cv2.LINE_AA)
    field = Inflate(CPU).reconstruct(framed(mask, rgb))
    span = torch.linspace(-0.3, 0.3, 61)
    z, y = torch.meshgrid(span, span, indexing="ij")
    plane = torch.stack([y, z], -1).reshape(-1, 2)
    behind = field.color(torch.cat([torch.full((len(plane), 1), -0.5), plane], 1))
    before = field.color(torch.cat([torch.full((len(plane), 1), 0.5), plane], 1))
    assert before.std(0).max() > 0.15
    assert behind.std(0).max() < 0.02


@pytest.mark.parametrize("resolution", [33, 64])
def test_the_grid_is_the_density_at_its_samples(resolution: int) -> None:
    field = reconstruct(figure())
    axis = grid_axis(resolution)
    points = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)
    raw = field.density_grid(resolution)
    assert raw.shape == (resolution,) * 3
    assert raw.dtype == torch.float32
    torch.testing.assert_close(raw.reshape(-1), 1 + field.density(points).log(), atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", OUTLINES)
def test_tensor_calls_find_the_density_that_compiled_loops_find(name: str) -> None:
    field = reconstruct(OUTLINES[name]())
    assert isinstance(field, InflatedField)
    by_slices = field._by_slices(*field._columns(64))
    torch.testing.assert_close(field.density_grid(64), by_slices, atol=3e-4, rtol=0)


def test_the_surface_lies_where_the_density_is_the_surface_density() -> None:
    field = reconstruct(disc())
    x = torch.linspace(0, RADIUS, 4001)
    density = field.density(torch.stack([x, 0.1 * torch.ones_like(x), torch.zeros_like(x)], 1))
    outside = int((density < SURFACE_DENSITY).float().argmax())
    assert 0.1 < float(x[outside]) < 0.8
    assert density[outside - 1 : outside + 1].sub(SURFACE_DENSITY).abs().min() < 1.0
    assert (density[outside:].diff() <= 0).all()


def test_a_disc_becomes_a_ball() -> None:
    grid = reconstruct(disc()).density_grid(96) >= SURFACE_RAW
    size = torch.tensor([int(torch.nonzero(grid.any(a).any(b)).numel()) for a, b in ((1, 1), (0, 1), (0, 0))])
    assert size.max() - size.min() <= 0.05 * size.max()


@pytest.mark.parametrize("name", OUTLINES)
def test_a_solid_is_in_one_piece_and_closed_inside_the_cube(name: str) -> None:
    solid = (reconstruct(OUTLINES[name]()).density_grid(160) >= SURFACE_RAW).numpy()
    assert ndimage.label(solid, np.ones((3, 3, 3)))[1] == 1
    for axis in range(3):
        assert not np.take(solid, [0, -1], axis).any()


def test_a_ring_stays_a_ring() -> None:
    solid = (reconstruct(ring()).density_grid(128) >= SURFACE_RAW).numpy()
    assert euler_number(solid, connectivity=3) == 0


def test_an_antenna_survives_to_its_tip() -> None:
    solid = (reconstruct(blob_with_antenna()).density_grid(256) >= SURFACE_RAW).numpy()
    rows = np.nonzero(solid.any((0, 1)))[0]
    top = float(grid_axis(256)[rows[-1]])
    assert top == pytest.approx((0.5 - 58 / SIDE) * FRAME_SIDE, abs=0.03)


def test_what_the_photo_cuts_ends_flat() -> None:
    solid = (reconstruct(bust(), ("bottom",)).density_grid(192) >= SURFACE_RAW).numpy()
    bottom = np.nonzero(solid.any((0, 1)))[0][0]
    behind = solid[:96]  # before the picture plane it follows the rays of the first view
    assert behind[:, :, bottom + 2].sum() > 0.95 * behind[:, :, bottom + 10].sum() > 1000


def test_a_bust_stands_level_all_around() -> None:
    """A base that ran down towards the back would rock on the table."""
    grid = reconstruct(bust(), ("bottom",)).density_grid(192)
    solid = (grid >= SURFACE_RAW)[:, 80:112]  # the middle, where it is deepest
    lowest = [int(slice_.any(0).nonzero()[0]) for slice_ in solid if slice_.sum() > 200]
    assert len(lowest) > 40
    assert max(lowest) - min(lowest) <= 3  # of 192


def test_the_same_photo_gives_the_same_bytes() -> None:
    first, second = (reconstruct(figure()).density_grid(64).numpy().tobytes() for _ in range(2))
    assert first == second


@pytest.mark.parametrize("side", [512, 1024])
def test_the_frames_size_changes_detail_and_not_shape(side: int) -> None:
    solid = (reconstruct(disc(side)).density_grid(64) >= SURFACE_RAW).numpy()
    wanted = (reconstruct(disc(512)).density_grid(64) >= SURFACE_RAW).numpy()
    assert (solid & wanted).sum() / (solid | wanted).sum() > 0.98


def test_a_frame_with_nothing_in_it_is_refused() -> None:
    with pytest.raises(NoClearObject):
        reconstruct(canvas())


@pytest.mark.parametrize("kind", ["line", "full", "speck"])
def test_a_degenerate_outline_still_gives_a_sound_field(kind: str) -> None:
    mask = canvas()
    if kind == "line":
        mask[60:450, 256] = 255
    elif kind == "full":
        mask[:] = 255
    else:
        mask[250:253, 250:253] = 255
    field = reconstruct(mask)
    grid = field.density_grid(128)
    assert torch.isfinite(grid).all()
    assert torch.isfinite(field.color(torch.rand(1000, 3) * 2 - 1)).all()
    assert (grid[[0, -1]] < SURFACE_RAW).all()


def test_auto_takes_inflate_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        assert choose("auto", None, CPU).name == "inflate"
    assert [record.message for record in caplog.records if "inflate" in record.message]


def test_triposr_is_never_replaced_silently() -> None:
    with pytest.raises(WeightsMissing, match="engine=inflate"):
        choose("triposr", None, CPU)
