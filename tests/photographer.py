"""Photos of surfaces from a known place, by ray casting: what registration and projection are judged by."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene
from numpy.typing import NDArray

from gpu_container.field import Field
from gpu_container.mesh import Mesh
from gpu_container.registration import Pose
from gpu_container.texture import TexturedMesh
from tests import viewer

Picture = NDArray[np.float64]  # (s, s, 3) sRGB 0..1, NaN where there is nothing
Rays = tuple[NDArray[np.float32], NDArray[np.float32]]  # origins and unit directions, (s², 3), row by row


def pinhole_rays(pose: Pose, size: int) -> Rays:
    """Through the centres of a picture's pixels."""
    camera = pose.camera
    offsets = ((np.arange(size) + 0.5) / size * 2 - 1) * pose.half
    across = (offsets + pose.right)[None, :, None] * camera.right
    upward = (pose.up - offsets)[:, None, None] * camera.up
    return _rays(camera.position, camera.forward + across + upward)


def _rays(start: NDArray[np.float64], ways: NDArray[np.float64]) -> Rays:
    ways = ways.reshape(-1, 3) / np.linalg.norm(ways, axis=-1).reshape(-1, 1)
    return np.tile(start, (len(ways), 1)).astype(np.float32), ways.astype(np.float32)


def frame_rays(position: NDArray[np.float64], half_side: float, size: int) -> Rays:
    """The same for a camera on the x axis whose frame lies in the plane x = 0, ``half_side`` to each side."""
    offsets = ((np.arange(size) + 0.5) / size * 2 - 1) * half_side
    z, y = np.meshgrid(-offsets, offsets, indexing="ij")
    return _rays(position, np.stack([np.zeros_like(y), y, z], axis=-1) - position)


def cast(mesh: Mesh, rays: Rays) -> tuple[NDArray[np.bool_], NDArray[np.int32], NDArray[np.float64]]:
    """Which rays ``(n,)`` meet the mesh; and of those that do the face, and its corners' weights ``(m, 3)``."""
    scene = EmbreeScene()
    TriangleMesh(scene, np.ascontiguousarray(mesh.vertices[mesh.faces]))
    hit = scene.run(*rays, output=1)
    there = hit["primID"] >= 0
    u, v = hit["u"][there].astype(np.float64), hit["v"][there].astype(np.float64)
    return there, hit["primID"][there], np.stack([1 - u - v, u, v], axis=-1)


def look(textured: TexturedMesh, rays: Rays) -> Picture:
    """The model with its texture, unlit."""
    there, face, weights = cast(textured.mesh, rays)
    uv = np.einsum("nc,ncx->nx", weights, textured.uv[textured.faces[face]])
    return _picture(there, viewer.sample(textured.texture, uv))


def photograph(field: Field, surface: Mesh, pose: Pose, size: int, strength: float = 0.25) -> Picture:
    """``surface`` in the colours of ``field``, under a sharp pattern of which the field knows nothing."""
    there, face, weights = cast(surface, pinhole_rays(pose, size))
    points = np.einsum("nc,ncx->nx", weights, surface.vertices[surface.faces[face]]).astype(np.float32)
    colors = field.color(torch.from_numpy(points)).numpy()
    cells = np.sign(np.sin(points * 90 + (0, 0, 1)).prod(axis=1))
    return _picture(there, np.clip(colors * (1 + strength * cells[:, None]), 0, 1))


def _picture(there: NDArray[np.bool_], colors: NDArray[np.floating]) -> Picture:
    size = round(len(there) ** 0.5)
    picture = np.full((len(there), 3), np.nan)
    picture[there] = colors
    return picture.reshape(size, size, 3)


def likeness(one: Picture, other: Picture) -> tuple[float, float]:
    """PSNR in decibels, and the similarity of gradients (Xue et al., "Gradient magnitude similarity deviation",
    2014; their mean), 1 at best; where both show something."""
    both = ~np.isnan(one[..., 0]) & ~np.isnan(other[..., 0])
    slopes = []
    for picture in (one, other):
        grey = cv2.cvtColor(np.nan_to_num(picture, nan=0.5).astype(np.float32), cv2.COLOR_RGB2GRAY)
        slopes.append(
            np.hypot(cv2.Scharr(grey, -1, 1, 0, scale=1 / 16), cv2.Scharr(grey, -1, 0, 1, scale=1 / 16))
        )
    similar = (2 * slopes[0] * slopes[1] + 0.0026) / (slopes[0] ** 2 + slopes[1] ** 2 + 0.0026)
    return viewer.psnr(one, other), float(similar[both].mean())
