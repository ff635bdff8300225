"""Ambient occlusion: how much of the sky each point of a surface sees past the rest of the object.

Rays leave every point in the same directions, spread evenly over the sphere (a Fibonacci lattice: Keinert et
al., "Spherical Fibonacci mapping", 2015), and count by the cosine to its normal. The same directions everywhere
leave no noise between neighbours to be smoothed away, and rays side by side are the fastest ones to trace.

Under the object lies a floor. A floor is bright itself, so it darkens only what comes close to it: soles, and
the foot of a wall.
"""

from __future__ import annotations

import numpy as np
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene
from numpy.typing import NDArray

from gpu_container.compiled import compiled
from gpu_container.field import RADIUS
from gpu_container.mesh import Mesh
from gpu_container.texels import Texels

#: directions over the whole sphere; half of them leave any one point
DIRECTIONS = 128
#: rays start this far above the surface, world units: faces stand a little out of their smooth normals' plane
OFFSET = 0.002 * RADIUS
#: the floor is felt up to this height, as a share of the object's
FLOOR_REACH = 0.25
#: rays flatter than this over their own face, as a cosine, do not count: they would only meet its neighbours
_FLATTEST = 0.03
#: texels further apart than this in space, in their own widths, are no neighbours
_NEAR = 3.0


def openness(
    mesh: Mesh,
    points: NDArray[np.float32],
    normals: NDArray[np.float32],
    facing: NDArray[np.float32],
    floor: bool = True,
) -> NDArray[np.float32]:
    """The share of the sky that is open, weighted by the cosine: ``(n,) float32``, 1 with nothing in the way.

    Args:
        mesh: what is in the way.
        points: ``(n, 3)`` on it.
        normals: smooth unit normals ``(n, 3)`` there: they weigh the directions.
        facing: unit normals ``(n, 3)`` of the faces there: no direction below them counts.
        floor: whether the object stands on one.
    """
    scene = EmbreeScene()
    TriangleMesh(scene, np.ascontiguousarray(mesh.vertices[mesh.faces]))
    start = points + np.float32(OFFSET) * facing
    ground = mesh.vertices[:, 2].min()
    reach = FLOOR_REACH * float(np.ptp(mesh.vertices[:, 2])) if floor else 0.0
    light, sky = np.zeros(len(points), np.float32), np.zeros(len(points), np.float32)
    for direction in directions(DIRECTIONS):
        cosine = normals @ direction
        leaving = np.flatnonzero((cosine > 0) & (facing @ direction > _FLATTEST))
        origins = start[leaving]
        rays = np.broadcast_to(direction, origins.shape)
        free = scene.run(origins, np.ascontiguousarray(rays), query="OCCLUDED") < 0
        share = free.astype(np.float32)
        if direction[2] < 0 and reach > 0:
            share *= np.minimum((origins[:, 2] - ground) / (-direction[2] * reach), 1).clip(0)
        light[leaving] += cosine[leaving] * share
        sky[leaving] += cosine[leaving]
    return np.divide(light, sky, out=np.ones_like(light), where=sky > 0)


def directions(count: int) -> NDArray[np.float32]:
    """``count`` unit vectors ``(count, 3)``, spread evenly over the sphere."""
    turn = np.arange(count) * (np.pi * (3 - np.sqrt(5)))
    height = 1 - (2 * np.arange(count) + 1) / count
    around = np.sqrt(1 - height**2)
    return np.stack([around * np.cos(turn), around * np.sin(turn), height], axis=-1).astype(np.float32)


def spread_out(
    few: Texels, values: NDArray[np.float32], all_of_them: Texels, mesh: Mesh
) -> NDArray[np.float32]:
    """``values`` ``(t,)`` of a small texture's texels at those of a larger one ``(n,)``.

    Negative where no texel of the small one shows a place nearby.
    """
    corners = mesh.vertices[mesh.faces]
    number_of = np.full(few.covered.shape, -1, np.int32)
    number_of[few.covered] = np.arange(len(values))
    rows, columns = np.nonzero(all_of_them.covered)
    result = np.empty(len(rows), np.float32)
    doubled = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    texel = np.sqrt(float(doubled.sum()) / 2 / few.covered.sum())
    _spread(
        number_of, few.of(corners), values,
        rows.astype(np.int32), columns.astype(np.int32), all_of_them.of(corners), len(all_of_them.covered),
        _NEAR * texel, result,
    )  # fmt: skip
    return result


@compiled
def _spread(
    number_of: NDArray[np.int32],
    coarse_points: NDArray[np.float32],
    values: NDArray[np.float32],
    rows: NDArray[np.int32],
    columns: NDArray[np.int32],
    points: NDArray[np.float32],
    size: int,
    near: float,
    result: NDArray[np.float32],
) -> None:
    """Bilinear values of a small texture at a larger one's texels, from those that lie near in space.

    What lies beside a texel in the texture may be another chart, from anywhere on the surface.

    Args:
        number_of: ``(c, c)`` which point each texel of the small texture shows, -1 for none.
        coarse_points: ``(p, 3)`` where they lie; values: ``(p,)`` of each.
        rows, columns: ``(n,)`` of the texels in the larger texture, which has ``size`` by ``size``.
        points: ``(n, 3)`` where they lie.
        near: points further apart than this are not neighbours, world units.
        result: out, ``(n,)``; negative where no texel of the small texture lies near.
    """
    side = number_of.shape[0]
    for index in range(len(points)):
        y = (rows[index] + 0.5) * side / size - 0.5
        x = (columns[index] + 0.5) * side / size - 0.5
        first_row, first_column = int(np.floor(y)), int(np.floor(x))
        total, weight = 0.0, 0.0
        for row in range(max(first_row, 0), min(first_row + 2, side)):
            for column in range(max(first_column, 0), min(first_column + 2, side)):
                number = number_of[row, column]
                if number < 0:
                    continue
                dx = coarse_points[number, 0] - points[index, 0]
                dy = coarse_points[number, 1] - points[index, 1]
                dz = coarse_points[number, 2] - points[index, 2]
                if dx * dx + dy * dy + dz * dz > near * near:
                    continue
                share = (1 - abs(row - y)) * (1 - abs(column - x)) + 1e-6
                total += share * values[number]
                weight += share
        result[index] = total / weight if weight > 0 else -1.0
