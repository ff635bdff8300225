"""Normal maps: the frame that viewers build at each texel, and directions written down in it.

Red runs along the texture's u, green up the picture, blue outward, as glTF and USD have it.
Reference: Khronos, glTF 2.0 specification, "Meshes", "Material".
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gpu_container.compiled import compiled
from gpu_container.device import in_parts

#: a direction that turns further from the mesh's normal than this, as a cosine, is another surface's
_MOST_TURNED = 0.3
#: a frame whose axes span less than this is none
_FLATTEST = 1e-3


def tangents(
    vertices: NDArray[np.float32],
    normals: NDArray[np.float32],
    uv: NDArray[np.float32],
    faces: NDArray[np.int32],
) -> NDArray[np.float32]:
    """Unit tangents ``(k, 4)``: along u, at right angles to the normals. ``w`` is 1 or -1: times the cross
    product of normal and tangent it points up the picture.

    Args:
        vertices, normals: ``(k, 3)``, doubled where charts are cut.
        uv: ``(k, 2)``, v down.
        faces: ``(m, 3)``.
    """
    corners, places = vertices.astype(np.float64)[faces], (uv * (1, -1)).astype(np.float64)[faces]
    edge1, edge2 = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    (u1, v1), (u2, v2) = (places[:, 1] - places[:, 0]).T, (places[:, 2] - places[:, 0]).T
    turned = np.sign(u1 * v2 - u2 * v1)[:, None]
    along = _summed((edge1 * v2[:, None] - edge2 * v1[:, None]) * turned, faces, len(vertices))
    upward = _summed((edge2 * u1[:, None] - edge1 * u2[:, None]) * turned, faces, len(vertices))
    n = normals.astype(np.float64)
    along -= n * np.einsum("ij,ij->i", n, along)[:, None]
    lengths = np.linalg.norm(along, axis=1, keepdims=True)
    anything = np.cross(n, np.where(np.abs(n[:, :1]) < 0.9, (1.0, 0.0, 0.0), (0.0, 1.0, 0.0)))
    anything /= np.linalg.norm(anything, axis=1, keepdims=True)
    along = np.where(lengths > 1e-20, along / np.maximum(lengths, 1e-20), anything)
    hand = np.where(np.einsum("ij,ij->i", np.cross(n, along), upward) < 0, -1.0, 1.0)
    return np.concatenate([along, hand[:, None]], axis=1).astype(np.float32)


def _summed(per_face: NDArray[np.float64], faces: NDArray[np.int32], vertices: int) -> NDArray[np.float64]:
    """What the faces around each vertex say, added up."""
    spread = np.repeat(per_face, 3, axis=0)
    return np.stack([np.bincount(faces.ravel(), spread[:, axis], vertices) for axis in range(3)], axis=-1)


def local(
    directions: NDArray[np.float32], normals: NDArray[np.float32], tangents: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Unit ``directions`` in the frames that a viewer builds from interpolated ``normals`` and ``tangents``:
    ``(n, 3)``, ``(n, 3)`` and ``(n, 4)``. Straight outward where they lean too far.
    """
    inside = np.empty_like(directions)
    in_parts(lambda part: _local(directions[part], normals[part], tangents[part], inside[part]), len(inside))
    return inside


@compiled
def _local(
    directions: NDArray[np.float32],
    normals: NDArray[np.float32],
    tangents: NDArray[np.float32],
    inside: NDArray[np.float32],
) -> None:
    for index in range(len(directions)):
        dx, dy, dz = directions[index, 0], directions[index, 1], directions[index, 2]
        nx, ny, nz = _unit(normals[index, 0], normals[index, 1], normals[index, 2])
        tx, ty, tz = _unit(tangents[index, 0], tangents[index, 1], tangents[index, 2])
        hand = 1.0 if tangents[index, 3] >= 0 else -1.0
        bx, by, bz = _cross(nx, ny, nz, tx, ty, tz)
        bx, by, bz = bx * hand, by * hand, bz * hand
        # Interpolated, the three are not quite at right angles: what is wanted is what the viewer's sum gives
        # back. The inverse of such a frame is its cross products, over the volume that it spans.
        ux, uy, uz = _cross(bx, by, bz, nx, ny, nz)
        vx, vy, vz = _cross(nx, ny, nz, tx, ty, tz)
        wx, wy, wz = _cross(tx, ty, tz, bx, by, bz)
        volume = tx * ux + ty * uy + tz * uz
        if abs(volume) < _FLATTEST or dx * nx + dy * ny + dz * nz < _MOST_TURNED:
            inside[index, 0], inside[index, 1], inside[index, 2] = 0.0, 0.0, 1.0
            continue
        side = 1.0 if volume > 0 else -1.0
        inside[index, 0], inside[index, 1], inside[index, 2] = _unit(
            side * (ux * dx + uy * dy + uz * dz),
            side * (vx * dx + vy * dy + vz * dz),
            side * (wx * dx + wy * dy + wz * dz),
        )


@compiled
def _unit(x: float, y: float, z: float) -> tuple[float, float, float]:
    length = max(np.sqrt(x * x + y * y + z * z), 1e-12)
    return x / length, y / length, z / length


@compiled
def _cross(ax: float, ay: float, az: float, bx: float, by: float, bz: float) -> tuple[float, float, float]:
    return ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx


def as_texels(directions: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Unit vectors ``(n, 3)`` as bytes: -1..1 becomes 0..255."""
    return np.round((np.clip(directions, -1, 1) + 1) * 127.5).astype(np.uint8)
