"""A second opinion on textured meshes: a plain orthographic viewer, and the picture the Field itself gives.

Both look along -z with y up, as glTF puts it, at ``[-half, half]²``; pixels of nothing are NaN.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene
from numpy.typing import NDArray

from gpu_container.field import RADIUS, SURFACE_DENSITY, Field

Picture = NDArray[np.float64]  # (s, s, 3) sRGB 0..1


def turn(degrees: float) -> NDArray[np.float64]:
    """A matrix for row vectors that turns a model about y, its right side (+x) to the front for 90."""
    angle = np.radians(-degrees)
    return np.array([[np.cos(angle), 0, -np.sin(angle)], [0, 1, 0], [np.sin(angle), 0, np.cos(angle)]])


@dataclass(frozen=True)
class Seen:
    """Where rays first meet a mesh; those that meet a face's back see nothing."""

    faces: NDArray[np.int64]  # (m, 3)
    where: NDArray[np.bool_]  # (s, s) pixels that show something, n of them
    face: NDArray[np.int64]  # (n,)
    weights: NDArray[np.float64]  # (n, 3) of the face's corners

    def of(self, corners: NDArray[Any]) -> NDArray[np.float64]:
        """What vertices have ``(k, c)``, interpolated at each pixel ``(n, c)``."""
        return np.asarray(np.einsum("nc,ncd->nd", self.weights, corners[self.faces[self.face]]))

    def picture(self, colors: NDArray[np.float64]) -> Picture:
        """``colors`` ``(n, 3)`` at their pixels."""
        picture = np.full((*self.where.shape, 3), np.nan)
        picture[self.where] = colors
        return picture


def look(positions: NDArray[Any], faces: NDArray[Any], size: int, half: float = RADIUS) -> Seen:
    scene = EmbreeScene()
    TriangleMesh(scene, np.ascontiguousarray(positions[faces], np.float32))
    across = (((np.arange(size) + 0.5) / size) * 2 - 1) * half
    origins = np.stack(
        [*np.meshgrid(across, -across), np.full((size, size), positions[:, 2].max() + 1)], axis=-1
    )
    along = np.tile(np.array([0, 0, -1], np.float32), (size * size, 1))
    hit = scene.run(origins.reshape(-1, 3).astype(np.float32), along, output=1)
    first = hit["primID"]
    a, b, c = np.moveaxis(positions[faces[first]], 1, 0)
    seen = (first >= 0) & (np.cross(b - a, c - a)[:, 2] > 0)
    second, third = hit["u"][seen].astype(float), hit["v"][seen].astype(float)
    weights = np.stack([1 - second - third, second, third], axis=-1)
    return Seen(np.asarray(faces), seen.reshape(size, size), first[seen], weights)


def look_at_mesh(
    positions: NDArray[Any],
    faces: NDArray[Any],
    uv: NDArray[Any],
    texture: NDArray[np.uint8],
    size: int,
    half: float = RADIUS,
) -> Picture:
    """The model textured, uv with v down, texels interpolated."""
    seen = look(positions, faces, size, half)
    return seen.picture(sample(texture, seen.of(uv)))


def sample(texture: NDArray[np.uint8], uv: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bilinear texels ``(n, 3)`` 0..1 at ``uv`` ``(n, 2)``, clamped at the edge."""
    place = np.clip(uv * len(texture) - 0.5, 0, len(texture) - 1)
    first = np.minimum(place.astype(int), len(texture) - 2)
    (x, y), (fx, fy) = first.T, (place - first).T[..., None]
    texels = texture[..., :3] / 255.0
    upper = texels[y, x] * (1 - fx) + texels[y, x + 1] * fx
    return upper * (1 - fy) + (texels[y + 1, x] * (1 - fx) + texels[y + 1, x + 1] * fx) * fy


def look_at_corners(
    positions: NDArray[Any], faces: NDArray[Any], colors: NDArray[Any], size: int, half: float = RADIUS
) -> Picture:
    """The model with a colour ``(k, 3)`` 0..1 at every corner."""
    seen = look(positions, faces, size, half)
    return seen.picture(seen.of(colors))


def look_at_shape(positions: NDArray[Any], faces: NDArray[Any], size: int, half: float = RADIUS) -> Picture:
    """Whither each face looks: x, y, z from -1..1 as red, green, blue."""
    seen = look(positions, faces, size, half)
    a, b, c = np.moveaxis(positions[faces[seen.face]], 1, 0)
    crossed = np.cross(b - a, c - a)
    return seen.picture(crossed / np.linalg.norm(crossed, axis=1, keepdims=True) / 2 + 0.5)


def look_at_field(
    field: Field, size: int, degrees: float = 0, half: float = RADIUS, steps: int = 256, shape: bool = False
) -> Picture:
    """The colour where each ray first meets the surface of ``field`` when it is turned about its upright axis.

    With ``shape`` it is whither the surface looks there, as :func:`look_at_shape` has it.
    """
    across = ((torch.arange(size, dtype=torch.float64) + 0.5) / size * 2 - 1) * half
    depths = torch.linspace(1, -1, steps, dtype=torch.float64) * RADIUS
    up, right, towards = torch.meshgrid(
        -across, across, depths, indexing="ij"
    )  # rows down, columns to the right
    back = torch.from_numpy(turn(-degrees))  # of what the eye sees to the model as it stands

    def field_points(right: torch.Tensor, up: torch.Tensor, towards: torch.Tensor) -> torch.Tensor:
        upright = torch.stack([right, up, towards], dim=-1) @ back
        return upright[..., [2, 0, 1]].float()

    def level(points: torch.Tensor) -> torch.Tensor:
        return (field.density(points.reshape(-1, 3)).clamp_min(1e-9).log() - np.log(SURFACE_DENSITY)).double()

    above = level(field_points(right, up, towards)).reshape(right.shape)
    first = (above > 0).int().argmax(dim=-1, keepdim=True)
    hit = first[..., 0] > 0
    after, before = above.gather(-1, first), above.gather(-1, (first - 1).clamp_min(0))
    met = (depths[first] - (depths[1] - depths[0]) * after / (after - before))[..., 0][hit]
    there = (right[..., 0][hit], up[..., 0][hit], met)
    if shape:
        step = 1e-3
        slopes = [
            level(field_points(*(value - step * (axis == own) for own, value in enumerate(there))))
            - level(field_points(*(value + step * (axis == own) for own, value in enumerate(there))))
            for axis in range(3)
        ]
        seen = torch.nn.functional.normalize(torch.stack(slopes, dim=-1), dim=-1) / 2 + 0.5
    else:
        seen = field.color(field_points(*there))
    picture = np.full((size, size, 3), np.nan)
    picture[hit.numpy()] = seen.numpy()
    return picture


def psnr(one: Picture, other: Picture) -> float:
    """Decibels between two pictures where both show something."""
    both = ~np.isnan(one[..., 0]) & ~np.isnan(other[..., 0])
    return float(-10 * np.log10(np.mean((one[both] - other[both]) ** 2)))


def overlap(one: Picture, other: Picture) -> float:
    """Intersection over union of what the two show."""
    a, b = ~np.isnan(one[..., 0]), ~np.isnan(other[..., 0])
    return float((a & b).sum() / (a | b).sum())
