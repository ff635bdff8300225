"""Is the photo on the texture worth it? ``python -m tests.bench.photo_texture [photo …]``

Each model is looked at, unlit, from where its photo was taken, and compared with the framed photo: with the
Field's colours alone, and with the photo laid on. Photos go through the embedded engine, which knows the
camera, at a texture finer than what it looked at. The realistic scene stands for a learned engine, which does
not: it is photographed from known places under a sharp pattern that its Field knows nothing of, and also with
its surface bent, as a network's guess is.
"""

from __future__ import annotations

import argparse
import logging
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from gpu_container import matte, mesh, photo, texture, viewpoint
from gpu_container.device import set_threads
from gpu_container.engines.inflate import Inflate
from gpu_container.engines.silhouette import FRAME_SIDE
from gpu_container.field import Field, grid_axis
from gpu_container.photo import Frame, Photo
from gpu_container.registration import Pose
from gpu_container.tsr.decoder import Decoder
from gpu_container.tsr.triplane import TriplaneField
from tests import photographer, scene
from tests.photographer import Picture, Rays

SAMPLES = Path(__file__).parents[2] / "infra" / "local" / "samples"
RATIO, FACES = 0.85, 20_000
HALF = float(np.tan(np.radians(20)))
#: side of the photos' textures; the scene's have the default one
SIZE, SCENE_SIZE = 2048, 1024
POSES = (Pose(0, 0, 1.9, HALF, 0, 0), Pose(-17, 24, 1.7, 1.2 * HALF, 0, 0), Pose(8, 12, 2.2, HALF, 0.02, -0.03))


class Bent:
    """The scene a little out of shape: what a network makes of a photo is never quite what the photo shows."""

    def __init__(self, field: TriplaneField, amount: float) -> None:
        self.field, self.amount = field, amount
        self.device, self.ray_samples = field.device, field.ray_samples

    def to(self, device: torch.device) -> Field:
        return Bent(self.field.to(device), self.amount)

    def straight(self, points: torch.Tensor) -> torch.Tensor:
        x, y, z = points.unbind(1)
        waves = torch.stack(
            [(5 * y).sin() + (7 * z).sin(), (6 * z).sin() * (3 * x).cos(), (6 * y).sin() * (4 * x).cos()], 1
        )
        return points - self.amount * waves

    def color(self, points: torch.Tensor) -> torch.Tensor:
        return self.field.color(self.straight(points))

    def density(self, points: torch.Tensor) -> torch.Tensor:
        return self.field.density(self.straight(points))

    def density_grid(self, resolution: int) -> torch.Tensor:
        axis = grid_axis(resolution)
        points = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)
        raw = [self.field.raw(self.straight(part)) for part in points.split(1 << 20)]
        return torch.cat(raw).reshape((resolution,) * 3)


def compare(
    name: str,
    field: Field,
    resolution: int,
    picture: Photo,
    alpha: NDArray[np.float32],
    frame_size: int,
    size: int,
    rays: Rays | None = None,
) -> None:
    """Print likeness to the photo without and with it; ``rays`` None: from where the camera was found."""
    grid = field.density_grid(resolution)
    surface = mesh.extract(field, grid, FACES)
    frame = photo.frame(picture, alpha, RATIO, frame_size)
    start = time.perf_counter()
    view = viewpoint.view_of(picture, alpha, RATIO, frame, size, field, surface)
    found = time.perf_counter() - start
    if view is None:
        print(f"{name:>24} {size:5}  no view")
        return
    wanted = shown(photo.frame(picture, alpha, RATIO, size))
    rays = rays or photographer.pinhole_rays(view.project.__self__, size)  # type: ignore[attr-defined]
    told = []
    for used in (None, view):
        start = time.perf_counter()
        textured = texture.bake(surface, field, grid, size, view=used)
        seconds = time.perf_counter() - start
        told.append((*photographer.likeness(photographer.look(textured, rays), wanted), seconds))
    (psnr, alike, plain), (psnr_with, alike_with, painted) = told
    print(
        f"{name:>24} {size:5}  PSNR {psnr:5.2f} {psnr_with:5.2f}  gradients {alike:.4f} {alike_with:.4f}"
        f"  seconds to find {found:.2f}, to paint {painted - plain:.2f}",
        flush=True,
    )


def shown(frame: Frame) -> Picture:
    """The framed photo where it shows the object and nothing else."""
    return np.where(frame.alpha[..., None] > 0.95, frame.rgb.astype(np.float64), np.nan)


def scene_field() -> TriplaneField:
    return TriplaneField(scene.triplane(), Decoder.from_state_dict(scene.decoder_weights()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", nargs="*", type=Path, default=sorted(SAMPLES.glob("*.jpg")))
    set_threads()
    logging.getLogger("gpu_container").setLevel(logging.ERROR)
    engine = Inflate(torch.device("cpu"))
    print("without and with the photo")
    for path in parser.parse_args().photos:
        picture = photo.decode(path.read_bytes())
        alpha = matte.cut_out(picture, "auto", None).alpha
        field = engine.reconstruct(photo.frame(picture, alpha, RATIO, engine.frame_size))
        position = np.array([field.camera, 0, 0])  # type: ignore[attr-defined]
        rays = photographer.frame_rays(position, FRAME_SIDE / 2, SIZE)
        compare(path.stem, field, 256, picture, alpha, engine.frame_size, SIZE, rays)
    straight = scene_field()
    for pose in POSES:
        surface = mesh.extract(straight, straight.density_grid(256), 200_000)
        seen = photographer.photograph(straight, surface, pose, SCENE_SIZE)
        there = ~np.isnan(seen[..., 0])
        rgba = np.dstack([np.round(np.nan_to_num(seen) * 255), there * 255]).astype(np.uint8)
        for amount, resolution in ((0.0, 256), (0.008, 128), (0.012, 128)):
            field = Bent(straight, amount) if amount else straight
            name = f"scene {pose.azimuth:g} {pose.elevation:g} bent {amount:g}"
            compare(
                name, field, resolution, Photo(rgba, "png", True), there.astype(np.float32), 512, SCENE_SIZE
            )


if __name__ == "__main__":
    main()
