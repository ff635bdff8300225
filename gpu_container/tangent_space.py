"""Normal maps: the frame that viewers build at each texel, and directions written down in it.

Red runs along the texture's u, green up the picture, blue outward, as glTF and USD have it.
Reference: Khronos, glTF 2.0 specification, "Meshes", "Material".
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import normalize

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


def local(directions: torch.Tensor, normals: torch.Tensor, tangents: torch.Tensor) -> torch.Tensor:
    """Unit ``directions`` in the frames that a viewer builds from interpolated ``normals`` and ``tangents``:
    ``(n, 3)``, ``(n, 3)`` and ``(n, 4)``. Straight outward where they lean too far.
    """
    n, t = normalize(normals, dim=-1), normalize(tangents[:, :3], dim=-1)
    b = torch.linalg.cross(n, t) * tangents[:, 3:].sign()
    # Interpolated, the three are not quite at right angles: what is wanted is what the viewer's sum gives back.
    # The inverse of such a frame by its cross products; a solver takes a hundred times as long for a million.
    across_n, across_t = torch.linalg.cross(b, n), torch.linalg.cross(n, t)
    volume = (t * across_n).sum(dim=-1)
    parts = [(side * directions).sum(dim=-1) for side in (across_n, across_t, torch.linalg.cross(t, b))]
    inside = torch.stack(parts, dim=-1) * volume.sign()[:, None]  # of any length, since it is brought to 1
    leans = (volume.abs() < _FLATTEST) | ((directions * n).sum(dim=-1) < _MOST_TURNED)
    outward = torch.tensor([0.0, 0.0, 1.0], device=n.device)
    return normalize(torch.where(leans[:, None], outward, inside), dim=-1)


def as_texels(directions: torch.Tensor) -> NDArray[np.uint8]:
    """Unit vectors ``(n, 3)`` as bytes: -1..1 becomes 0..255."""
    return np.asarray(((directions.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).cpu().numpy())
