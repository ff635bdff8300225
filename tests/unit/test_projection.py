"""The photo on the surface: where the camera saw it, and nowhere else."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from gpu_container import mesh, photo, projection, texture, viewpoint
from gpu_container.engines.inflate import Inflate
from gpu_container.mesh import Mesh
from gpu_container.projection import View
from gpu_container.registration import Pose
from tests import photographer
from tests.fields import Ball

#: from the front, the frame 0.7 to each side where the object is
POSE = Pose(0.0, 0.0, 2.0, 0.35, 0.0, 0.0)


class Grey(Ball):
    """A Field that remembers no colours."""

    def color(self, points: torch.Tensor) -> torch.Tensor:
        return torch.full((len(points), 3), 0.4)


class Eclipse(Grey):
    """A small ball before a large one."""

    def signed_distance(self, points: torch.Tensor) -> torch.Tensor:
        moon = 0.15 - (points - torch.tensor([0.6, 0.0, 0.0])).norm(dim=-1)
        return torch.maximum(moon, 0.4 - (points + torch.tensor([0.2, 0.0, 0.0])).norm(dim=-1))


def extracted(field: Ball) -> Mesh:
    return mesh.extract(field, field.density_grid(96), 8000, parts="all")


def view_of(surface: Mesh, colors: NDArray[np.float32], size: int = 256) -> View:
    """``colors`` ``(s, s, 3)`` on whatever ``POSE`` sees of the surface."""
    there, _, _ = photographer.cast(surface, photographer.pinhole_rays(POSE, size))
    alpha = there.reshape(size, size).astype(np.float32)
    return View(colors, alpha, POSE.project, POSE.camera.position)


def stripes(size: int = 256, width: int = 8) -> NDArray[np.float32]:
    bands = (np.arange(size) // width % 2).astype(np.float32)
    return np.ascontiguousarray(np.broadcast_to((0.2 + 0.6 * bands)[None, :, None], (size, size, 3)))


def painted(
    surface: Mesh, view: View, points: NDArray[np.float32], normals: NDArray[np.float32]
) -> NDArray[np.float32]:
    return projection.painted(view, surface, points, normals, np.full_like(points, 0.4))


@pytest.fixture(scope="module")
def ball() -> Mesh:
    return extracted(Grey(0.5))


def directions(count: int = 20_000) -> NDArray[np.float32]:
    chosen = np.random.default_rng(4).normal(size=(count, 3))
    return (chosen / np.linalg.norm(chosen, axis=1, keepdims=True)).astype(np.float32)


def test_what_faced_the_camera_has_the_photos_colours(ball: Mesh) -> None:
    normals = directions()
    view = view_of(ball, stripes())
    colors = painted(ball, view, normals * 0.5, normals)
    sight = POSE.camera.position - normals * 0.5
    facing = np.einsum("nc,nc->n", normals, sight / np.linalg.norm(sight, axis=1, keepdims=True))
    shown = projection.sampled(view.rgb, projection.frame_places(POSE.project(normals * 0.5), 256))
    assert np.abs(colors - shown)[facing > 0.6].max() < 1e-5


def test_what_faced_away_keeps_the_fields_colours(ball: Mesh) -> None:
    normals = directions()
    colors = painted(ball, view_of(ball, stripes()), normals * 0.5, normals)
    assert (colors[normals[:, 0] < -0.65] == np.float32(0.4)).all()


def test_nothing_sharp_shows_where_photo_and_field_meet(ball: Mesh) -> None:
    """GIVEN a photo that is brighter than the field, WHEN one walks around the ball, THEN no step is seen."""
    angle = np.linspace(0, np.pi, 400)
    normals = np.stack([np.cos(angle), np.sin(angle), 0 * angle], axis=-1).astype(np.float32)
    everywhere = np.concatenate([normals, directions()])
    view = view_of(ball, np.full((256, 256, 3), 0.7, np.float32))
    colors = painted(ball, view, everywhere * 0.5, everywhere)[: len(angle)]
    assert colors[0] == pytest.approx(0.7, abs=1e-3)
    assert colors[-1] == pytest.approx(0.4, abs=1e-6)
    assert np.abs(np.diff(colors, axis=0)).max() < 0.01


def test_what_is_hidden_does_not_show_what_hides_it() -> None:
    field = Eclipse()
    surface = extracted(field)
    red = np.tile(np.array([1, 0, 0], np.float32), (256, 256, 1))
    rows, columns = np.mgrid[:256, :256]
    moon = np.hypot(rows - 127.5, columns - 127.5) < 45  # the small ball and what is close to it in the picture
    red[~moon] = 0.4
    normals = directions()
    behind = np.array([-0.2, 0, 0], np.float32) + 0.4 * normals
    depth_line = np.hypot(behind[:, 1], behind[:, 2]) / (2 - behind[:, 0])
    hidden = (normals[:, 0] > 0) & (depth_line < 0.14 / (2 - 0.6))
    before = np.array([0.6, 0, 0], np.float32) + 0.15 * normals
    both = painted(
        surface, view_of(surface, red), np.concatenate([behind, before]), np.concatenate([normals, normals])
    )
    colors, nearer = np.split(both, 2)
    assert hidden.sum() > 100
    assert np.abs(colors[hidden] - 0.4).max() < 0.1, "a tone from nearby at most"
    assert nearer[normals[:, 0] > 0.9, 1].max() < 0.05


def test_the_backdrop_beside_the_object_is_never_painted_on(ball: Mesh) -> None:
    view = view_of(ball, stripes())
    loud = View(
        np.where(view.alpha[..., None] > 0, view.rgb, 5.0).astype(np.float32), *list(vars(view).values())[1:]
    )
    normals = directions()
    assert painted(ball, loud, normals * 0.5, normals).max() <= 0.82


def test_the_texture_shows_the_photo_better_than_the_field_does(ball: Mesh) -> None:
    field = Grey(0.5)
    pattern = stripes(512, 24)
    rays = photographer.pinhole_rays(POSE, 512)
    before, after = (
        photographer.look(texture.bake(ball, field, field.density_grid(96), 1024, view=view), rays)
        for view in (None, view_of(ball, pattern, 512))
    )
    wanted = pattern.astype(np.float64)
    assert photographer.likeness(before, wanted)[0] < 11
    assert photographer.likeness(after, wanted)[0] > 17


def picture_of_a_disc(size: int = 700) -> tuple[photo.Photo, NDArray[np.float32]]:
    rows, columns = np.mgrid[:size, :size] - size / 2
    alpha = (np.hypot(rows, columns) < 0.4 * size).astype(np.float32)
    rgba = np.dstack([np.round(stripes(size) * 255), alpha * 255]).astype(np.uint8)
    return photo.Photo(rgba, "png", True), alpha


def test_an_engine_that_paints_with_the_photo_needs_no_other_view_of_it_unless_the_texture_is_finer() -> None:
    engine = Inflate(torch.device("cpu"))
    picture, alpha = picture_of_a_disc()
    frame = photo.frame(picture, alpha, 0.85, engine.frame_size)
    field = engine.reconstruct(frame)
    surface = mesh.extract(field, field.density_grid(64), 3000)
    assert viewpoint.view_of(picture, alpha, 0.85, frame, 1024, field, surface) is None
    view = viewpoint.view_of(picture, alpha, 0.85, frame, 2048, field, surface)
    assert view is not None
    assert view.rgb.shape == (2048, 2048, 3)
    seen = view.project(surface.vertices)
    assert np.abs(seen[:, :2]).max() == pytest.approx(0.85, abs=0.02)


def test_a_photo_that_does_not_fit_the_model_is_left_out_and_a_notice_says_so(
    ball: Mesh, caplog: pytest.LogCaptureFixture
) -> None:
    picture, _ = picture_of_a_disc()
    bar = np.zeros((700, 700), np.float32)
    bar[330:360, 50:650] = 1
    with caplog.at_level(logging.WARNING):
        frame = photo.frame(picture, bar, 0.85, 512)
        assert viewpoint.view_of(picture, bar, 0.85, frame, 512, Grey(0.5), ball) is None
    assert "its texture has the model's own colours" in caplog.text


def test_beside_an_outline_quite_other_colours_are_a_neighbours_and_in_the_middle_they_are_the_objects_own(
    ball: Mesh,
) -> None:
    rows, columns = np.mgrid[:256, :256]
    spots = (np.hypot(rows - 127.5, columns - 127.5) < 20) | (columns > 127.5 + 86)
    red = np.where(spots[..., None], np.array([1, 0, 0], np.float32), np.float32(0.4))
    normals = directions()
    colors = painted(ball, view_of(ball, red.astype(np.float32)), normals * 0.5, normals)
    places = projection.frame_places(POSE.project(normals * 0.5), 256) - 127.5
    front = normals[:, 0] > 0.3
    assert (colors[front & (np.hypot(*places.T) < 17), 0] > 0.95).all()
    assert (colors[front & (places[:, 0] > 88), 0] < 0.6).all()
