"""Where a photo was taken, found again: the realistic scene, photographed from known places."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from gpu_container import mesh, photo, registration
from gpu_container.field import Field
from gpu_container.mesh import Mesh
from gpu_container.photo import Frame
from gpu_container.registration import Fit, Pose
from gpu_container.tsr.decoder import Decoder
from gpu_container.tsr.triplane import TriplaneField
from tests import photographer, scene

HALF = float(np.tan(np.radians(20)))
SIZE = 512

Scene = tuple[Field, Mesh]


@pytest.fixture(scope="module")
def chair() -> Scene:
    field = TriplaneField(scene.triplane(), Decoder.from_state_dict(scene.decoder_weights()))
    return field, mesh.extract(field, field.density_grid(128), 20_000)


def photographed(field: Field, surface: Mesh, pose: Pose) -> Frame:
    """The scene with a sharp pattern on it that the field knows nothing of, cut out and framed."""
    picture = photographer.photograph(field, surface, pose, SIZE)
    there = ~np.isnan(picture[..., 0])
    rgba = np.dstack([np.round(np.nan_to_num(picture) * 255), there * 255]).astype(np.uint8)
    return photo.frame(photo.Photo(rgba, "png", True), there.astype(np.float32))


def found(chair: Scene, frame: Frame) -> Fit:
    field, surface = chair
    return registration.find(
        frame.rgb, frame.alpha, surface, lambda at: field.color(torch.from_numpy(at)).numpy()
    )


@pytest.mark.parametrize(
    "pose",
    [
        Pose(0, 0, 1.9, HALF, 0, 0),
        Pose(-17, 24, 1.7, 1.2 * HALF, 0, 0),
        Pose(27, -8, 2.6, 0.8 * HALF, 0.05, -0.03),
    ],
    ids=lambda pose: f"{pose.azimuth}-{pose.elevation}",
)
def test_the_camera_is_found_again(chair: Scene, pose: Pose) -> None:
    fit = found(chair, photographed(*chair, pose))
    assert fit.good
    assert fit.pose.azimuth == pytest.approx(pose.azimuth, abs=1)
    assert fit.pose.elevation == pytest.approx(pose.elevation, abs=1)
    assert fit.pose.distance == pytest.approx(pose.distance, rel=0.08)
    assert fit.overlap > 0.95


def test_the_same_photo_is_always_taken_from_the_same_place(chair: Scene) -> None:
    frame = photographed(*chair, Pose(9, 11, 1.9, HALF, 0, 0))
    assert found(chair, frame) == found(chair, frame)


def test_a_brighter_photo_fits_as_well(chair: Scene) -> None:
    frame = photographed(*chair, Pose(8, 12, 2.2, HALF, 0, 0))
    brighter = Frame(np.clip(frame.rgb + 0.1 * frame.alpha[..., None], 0, 1), frame.alpha, frame.cut)
    fit = found(chair, brighter)
    assert fit.good
    assert fit.pose.azimuth == pytest.approx(8, abs=1)


def star() -> NDArray[np.float32]:
    angle = np.arange(10) * np.pi / 5
    corners = np.stack([np.cos(angle), np.sin(angle)], axis=-1) * np.where(np.arange(10) % 2, 80, 210)[:, None]
    picture = np.zeros((SIZE, SIZE), np.uint8)
    cv2.fillPoly(picture, [(corners + SIZE / 2).astype(np.int32)], 1)
    return picture.astype(np.float32)


def ball() -> NDArray[np.float32]:
    rows, columns = np.mgrid[:SIZE, :SIZE] - SIZE / 2
    return (np.hypot(rows, columns) < 210).astype(np.float32)


def wire() -> NDArray[np.float32]:
    alpha = np.zeros((SIZE, SIZE), np.float32)
    alpha[40:470, 255] = 1
    return alpha


@pytest.mark.parametrize("alpha", [star(), ball(), wire()], ids=["star", "ball", "wire"])
def test_a_photo_of_something_else_is_refused(chair: Scene, alpha: NDArray[np.float32]) -> None:
    rgb = np.where(alpha[..., None] > 0, np.array([0.2, 0.6, 0.3], np.float32), 0.5).astype(np.float32)
    assert not found(chair, Frame(rgb, alpha, frozenset())).good


def test_the_right_outline_in_the_wrong_colours_is_refused(chair: Scene) -> None:
    frame = photographed(*chair, Pose(9, 11, 1.9, HALF, 0, 0))
    assert not found(chair, Frame(1 - frame.rgb, frame.alpha, frame.cut)).good


def test_a_photo_of_the_other_side_is_refused(chair: Scene) -> None:
    assert not found(chair, photographed(*chair, Pose(180, 10, 1.9, HALF, 0, 0))).good


def test_places_in_the_frame_are_where_a_pinhole_puts_them() -> None:
    pose = Pose(90, 0, 2.0, 0.5, 0.1, -0.2)  # at (0, 2, 0), looking along -y; right is -x
    seen = pose.project(np.array([[0, 0, 0], [-1, 0, 0], [0, 1, 0.5]], np.float32))
    np.testing.assert_allclose(seen, [[-0.2, 0.4, 2], [0.8, 0.4, 2], [-0.2, 1.4, 1]], atol=1e-6)
