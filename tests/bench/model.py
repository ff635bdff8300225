"""Mesh, texture and files of a Field, against the way that TripoSR goes; and how true few faces are to many.

TripoSR's way: the density at every sample of the grid, marching cubes on all of it, xatlas on all of its faces,
the colour of every texel. It writes no files. xatlas takes half a minute or more for so many faces: it is
waited for once.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import xatlas
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore_scene import EmbreeScene
from numpy.typing import NDArray
from rich.console import Console
from scipy.spatial import cKDTree
from skimage.measure import marching_cubes

from gpu_container import export, mesh, relief, shading, texture
from gpu_container.field import RADIUS, SURFACE_RAW, Field, grid_axis
from gpu_container.texture import TexturedMesh
from tests import viewer

RESOLUTION, FACES, SIZE = 256, 20_000, 1024
LARGE_RESOLUTION, LARGE_SIZE = 512, 2048
PICTURE = 512
#: degrees around the model at which it is looked at
DIRECTIONS = (0, 60, 150, 240)
#: samples behind a point at which its ray begins
_BEHIND = 0.05

#: raw densities ``(n,)`` and colours ``(n, 3)`` at points ``(n, 3)``, one at a time, without any shortcut
Plain = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Measured:
    """Medians in seconds, distances in samples of the grid, and ratios of the same run."""

    name: str
    grid: float
    mesh: float
    texture: float
    files: float
    plain_grid: float
    plain_mesh: float
    plain_unwrap: float
    plain_texels: float
    dense_faces: int
    faces: int
    #: everything at 512³ and 2048²
    large: float
    #: from the mesh to the dense surface and back
    mean_distance: float
    furthest: float
    #: of lit pictures without colours to those of the dense surface, the worst; without and with the map
    decibels_alone: float
    decibels: float

    @property
    def total(self) -> float:
        return self.grid + self.mesh + self.texture + self.files

    @property
    def plain(self) -> float:
        return self.plain_grid + self.plain_mesh + self.plain_unwrap + self.plain_texels

    @property
    def ratio(self) -> float:
        return self.plain / self.total

    def as_dict(self) -> dict[str, object]:
        """For bench.json."""
        return {**asdict(self), "total": self.total, "plain": self.plain, "ratio": self.ratio}

    def rows(self) -> list[tuple[str, str]]:
        """What is measured, and the number."""
        return [
            (
                "grid, mesh, texture, files, seconds",
                " ".join(f"{s:.2f}" for s in (self.grid, self.mesh, self.texture, self.files)),
            ),
            ("all of it, seconds", f"{self.total:.2f}"),
            (f"the same at {LARGE_RESOLUTION}³ and {LARGE_SIZE}², seconds", f"{self.large:.2f}"),
            (
                "TripoSR's way, once: grid, marching cubes, xatlas, texels, seconds",
                " ".join(
                    f"{s:.1f}" for s in (self.plain_grid, self.plain_mesh, self.plain_unwrap, self.plain_texels)
                ),
            ),
            ("times faster than that", f"{self.ratio:.0f}"),
            ("faces, of so many", f"{self.faces} of {self.dense_faces}"),
            (
                "distance from the dense surface, samples: mean, furthest",
                f"{self.mean_distance:.3f} {self.furthest:.2f}",
            ),
            (
                "lit, against the dense surface, decibels: without, with the normal map",
                f"{self.decibels_alone:.1f} {self.decibels:.1f}",
            ),
        ]


def measure(
    name: str, field: Field, plain_raw: Plain, plain_color: Plain, runs: int, console: Console
) -> Measured:
    """Both ways, side by side in this process."""
    with console.status(f"{name}: mesh, texture, files"):
        made = [_make(field, RESOLUTION, SIZE) for _ in range(runs + 1)][1:]
        large = statistics.median(
            sum(_make(field, LARGE_RESOLUTION, LARGE_SIZE)[0]) for _ in range(min(runs, 3))
        )
    seconds = [statistics.median(each) for each in zip(*(times for times, _ in made), strict=True)]
    textured, grid = made[0][1], field.density_grid(RESOLUTION)
    dense = mesh.largest_body(*mesh.isosurface(grid))
    dense = mesh.to_field(dense[0], RESOLUTION), dense[1]
    with console.status(f"{name}: TripoSR's way"), torch.inference_mode():
        plain = _plain(plain_raw, plain_color)
    with console.status(f"{name}: how true it is"):
        mean, furthest = _distances(textured.mesh, dense, grid)
        alone, bent = _decibels(textured, dense)
    return Measured(
        name, *seconds, *plain, len(dense[1]), len(textured.mesh.faces), large, mean, furthest, alone, bent
    )  # fmt: skip


def plain_raw(field: Field) -> Plain:
    """Raw density of a Field that is asked for it point by point."""
    return lambda points: 1 + torch.log(field.density(points).clamp_min(1e-12))


def _make(field: Field, resolution: int, size: int) -> tuple[list[float], TexturedMesh]:
    """Seconds of grid, mesh, texture and files, and what came of it."""
    times = [time.perf_counter()]
    grid = field.density_grid(resolution)
    times.append(time.perf_counter())
    surface = mesh.extract(field, grid, FACES)
    times.append(time.perf_counter())
    textured = texture.bake(surface, field, grid, size)
    times.append(time.perf_counter())
    with tempfile.TemporaryDirectory() as folder:
        export.write_models(textured, Path(folder), 100.0)
        times.append(time.perf_counter())
    return np.diff(times).tolist(), textured


def _plain(raw: Plain, color: Plain) -> tuple[float, float, float, float]:
    axis = grid_axis(RESOLUTION)
    y, z = torch.meshgrid(axis, axis, indexing="ij")
    start = time.perf_counter()
    dense = torch.stack(
        [raw(torch.stack([x.expand_as(y), y, z], dim=-1).reshape(-1, 3)).reshape(y.shape) for x in axis]
    )
    gridded = time.perf_counter()
    vertices, faces, _, _ = marching_cubes(dense.numpy(), SURFACE_RAW, gradient_direction="ascent")
    meshed = time.perf_counter()
    xatlas.parametrize(vertices, faces.astype(np.uint32))
    unwrapped = time.perf_counter()
    color((torch.rand(SIZE**2, 3) * 2 - 1) * 0.5)
    colored = time.perf_counter()
    return gridded - start, meshed - gridded, unwrapped - meshed, colored - unwrapped


def _distances(few: mesh.Mesh, dense: mesh.Triangles, grid: torch.Tensor) -> tuple[float, float]:
    """Mean and greatest distance in samples: of the mesh from the dense surface, and of that from the mesh."""
    rng = np.random.default_rng(1)
    spacing = 2 * RADIUS / (len(grid) - 1)
    corners = few.vertices[few.faces]
    areas = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    chosen = rng.choice(len(corners), 200_000, p=areas / areas.sum())
    points = np.einsum("nc,ncx->nx", rng.dirichlet((1, 1, 1), len(chosen)), corners[chosen]).astype(np.float32)
    upward = np.tile(np.array([[0, 0, 1]], np.float32), (len(points), 1))
    there = np.linalg.norm(relief.under(grid, points, upward)[0] - points, axis=1)
    # Back: along the dense surface's normal, or to the nearest corner; neither is shorter than the best way.
    normals = shading.vertex_normals(*dense)
    scene = EmbreeScene()
    TriangleMesh(scene, corners)
    # some hits lie on the starting point, where rays miss: start a little behind it
    behind = np.float32(_BEHIND * spacing)
    ways = (normals, -normals)
    along = [np.abs(scene.run(dense[0] - way * behind, way, output=1)["tfar"] - behind) for way in ways]
    nearest = cKDTree(few.vertices).query(dense[0])[0]
    back = np.minimum(np.minimum(*along), nearest)
    both = np.concatenate([there, back]) / spacing
    return float((there.mean() + back.mean()) / 2 / spacing), float(both.max())


def _decibels(textured: TexturedMesh, dense: mesh.Triangles) -> tuple[float, float]:
    """Lit pictures against the dense surface's, the worst direction's: without and with the normal map."""
    normals = shading.vertex_normals(*dense)
    alone, bent = [], []
    for degrees in DIRECTIONS:
        many = _look(dense[0], dense[1], degrees)
        few = _look(textured.mesh.vertices, textured.mesh.faces, degrees)
        both = (many["primID"] >= 0) & (few["primID"] >= 0)
        light = _light(degrees)
        expected = _lit(_mixed(many, both, normals[dense[1]]), light)
        own = _mixed(few, both, textured.normals[textured.mesh.faces])
        alone.append(_psnr(_lit(own, light), expected))
        bent.append(_psnr(_lit(_bent(textured, few, both, own), light), expected))
    return min(alone), min(bent)


def _look(
    vertices: NDArray[np.float32], faces: NDArray[np.int32], degrees: float
) -> dict[str, NDArray[np.float32]]:
    """What parallel rays meet, from outside at this angle around the model."""
    angle = np.radians(degrees)
    ahead, right = -np.array([np.cos(angle), np.sin(angle), 0]), np.array([-np.sin(angle), np.cos(angle), 0])
    at = ((np.arange(PICTURE) + 0.5) / PICTURE * 2 - 1) * RADIUS
    across, up = np.meshgrid(at, -at)
    origins = across[..., None] * right + up[..., None] * np.array([0, 0, 1]) - 3 * ahead
    scene = EmbreeScene()
    TriangleMesh(scene, vertices[faces].astype(np.float32))
    directions = np.tile(ahead.astype(np.float32), (PICTURE**2, 1))
    return dict(scene.run(origins.reshape(-1, 3).astype(np.float32), directions, output=1))


def _mixed(
    hit: dict[str, NDArray[np.float32]], where: NDArray[np.bool_], corners: NDArray[np.float32]
) -> NDArray[np.float64]:
    """What faces have at their corners ``(m, 3, c)``, where they were hit."""
    u, v = hit["u"][where], hit["v"][where]
    weights = np.stack([1 - u - v, u, v], axis=-1).astype(np.float64)
    return np.asarray(np.einsum("nc,ncx->nx", weights, corners[hit["primID"][where]].astype(np.float64)))


def _bent(
    textured: TexturedMesh,
    hit: dict[str, NDArray[np.float32]],
    where: NDArray[np.bool_],
    own: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Normals as the glTF specification has a viewer bend them."""
    turned = _mixed(hit, where, textured.tangents[textured.faces])
    texels = viewer.sample(textured.normal_map, _mixed(hit, where, textured.uv[textured.faces])) * 2 - 1
    n, t = _unit(own), _unit(turned[:, :3])
    b = np.cross(n, t) * np.sign(turned[:, 3:])
    return np.asarray(t * texels[:, :1] + b * texels[:, 1:2] + n * texels[:, 2:])


def _light(degrees: float) -> NDArray[np.float64]:
    """From the upper right of whoever looks."""
    angle = np.radians(degrees) - 0.6
    return _unit(np.array([[np.cos(angle), np.sin(angle), 1.0]]))[0]


def _lit(normals: NDArray[np.float64], light: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(0.25 + 0.75 * np.clip(_unit(normals) @ light, 0, 1))


def _unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def _psnr(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    return float(-10 * np.log10(((one - other) ** 2).mean()))
