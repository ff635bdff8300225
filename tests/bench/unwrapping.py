"""Charts by xatlas and by our own way, on the same meshes: `python -m tests.bench.unwrapping`.

Both are packed by `packing.py` into the default texture, so that only the cutting and flattening differ.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
import xatlas
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from gpu_container import mesh, packing, texture
from gpu_container.segmentation import neighbours
from gpu_container.unwrap import Charts, unwrap
from tests.bench import model, stages, triposr

RUNS = 5
#: cells between charts: as many as in a texture of the default size
PADDING = texture.PADDING * texture.PACKING_SIZE / model.SIZE
#: faces of a patch, about, where xatlas gets the mesh in pieces, which it works on side by side
PATCH_FACES = 1250

Way = Callable[[NDArray[np.float32], NDArray[np.int32]], Charts]


def by_xatlas(
    vertices: NDArray[np.float32], faces: NDArray[np.int32], groups: list[NDArray[np.int64]]
) -> Charts:
    """Charts of these groups of faces, by themselves; its own packing is kept as short as it can be."""
    atlas, sources = xatlas.Atlas(), []
    for group in groups:
        source, local = np.unique(faces[group], return_inverse=True)
        sources.append(source)
        atlas.add_mesh(vertices[source], local.reshape(-1, 3).astype(np.uint32))
    charts, quickly = xatlas.ChartOptions(), xatlas.PackOptions()
    charts.max_iterations = 1
    quickly.texels_per_unit = 50
    atlas.generate(chart_options=charts, pack_options=quickly)
    all_faces, all_sources, all_uv, first = np.empty_like(faces), [], [], 0
    for index, (group, source) in enumerate(zip(groups, sources, strict=True)):
        mapping, local_faces, uv = atlas[index]
        all_faces[group] = local_faces.astype(np.int32) + first
        all_sources.append(source[mapping])
        all_uv.append(uv * np.array([atlas.width, atlas.height], np.float32))
        first += len(mapping)
    return Charts(np.concatenate(all_sources).astype(np.int32), all_faces, np.concatenate(all_uv))


def halved(vertices: NDArray[np.float32], faces: NDArray[np.int32]) -> list[NDArray[np.int64]]:
    """Faces in groups of neighbours: halved again and again across the longest side."""
    centers, groups = vertices[faces].mean(axis=1), [np.arange(len(faces))]
    for _ in range(round(np.log2(len(faces) / PATCH_FACES))):
        ordered = [it[np.argsort(centers[it, np.ptp(centers[it], axis=0).argmax()])] for it in groups]
        groups = [half for it in ordered for half in np.array_split(it, 2)]
    return groups


WAYS: dict[str, Way] = {
    "Maquette": unwrap,
    "xatlas": lambda vertices, faces: by_xatlas(vertices, faces, [np.arange(len(faces))]),
    "xatlas, in patches": lambda vertices, faces: by_xatlas(vertices, faces, halved(vertices, faces)),
}


def main() -> None:
    """Measure and print."""
    console = Console(width=120)
    photo = stages.measure(stages.sample_photos()[0], 1, console)
    for name, field in ((photo.name, photo.field), ("the chair", triposr.scene_field()[0])):
        surface = mesh.extract(field, field.density_grid(model.RESOLUTION), model.FACES)
        table = Table("", "seconds", "packing", "charts", "seams", "filled", "stretch", "1 %", title=name)
        for way, cut in WAYS.items():
            table.add_row(way, *_measured(surface, cut))
        console.print(table)
    console.print(f"Seconds are medians of {RUNS}, with {torch.get_num_threads()} threads.")


def _measured(surface: mesh.Mesh, cut: Way) -> list[str]:
    cutting, packing_up = [], []
    for _ in range(RUNS + 1):
        start = time.perf_counter()
        charts = cut(surface.vertices, surface.faces)
        cutting.append(time.perf_counter() - start)
        start = time.perf_counter()
        uv = packing.packed(charts.uv, charts.faces, texture.PACKING_SIZE, PADDING)
        packing_up.append(time.perf_counter() - start)
    if uv is None:
        raise RuntimeError("the charts could not be packed")
    links = charts.faces[:, :2].ravel(), charts.faces[:, 1:].ravel()
    graph = coo_array((np.ones(len(links[0])), links), shape=(len(uv),) * 2)
    count, chart = connected_components(graph, directed=False)
    near, chart = neighbours(surface.faces), chart[charts.faces[:, 0]]
    corners = surface.vertices[surface.faces].astype(np.float64)
    sides = np.linalg.norm(np.roll(corners, -1, axis=1) - corners, axis=2)
    seams = sides[(near < 0) | (chart[near] != chart[:, None])].sum() / 2
    stretches, filled = stretch(corners, uv[charts.faces].astype(np.float64))
    numbers = (
        f"{statistics.median(cutting[1:]):.2f}",
        f"{statistics.median(packing_up[1:]):.2f}",
        f"{count}",
        f"{seams:.0f}",
        f"{filled:.2f}",
    )
    return [*numbers, f"{np.sqrt((stretches**2).mean()):.3f}", f"{np.quantile(stretches, 0.99):.2f}"]


def stretch(corners: NDArray[np.float64], flat: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """How much longer a way on the surface is than in the texture, the root mean square over directions, at a
    million points of even spread: relative to the mean of all; and the share of the texture that is covered.

    Reference: Sander, Snyder, Gortler & Hoppe, "Texture mapping progressive meshes", 2001.
    """
    one, other = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    u, v = flat[:, 1] - flat[:, 0], flat[:, 2] - flat[:, 0]
    doubled = np.abs(u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0])
    area = np.linalg.norm(np.cross(one, other), axis=1) / 2
    sound = doubled > 1e-12
    along = (one * v[:, 1:] - other * u[:, 1:])[sound] / doubled[sound, None]
    across = (other * u[:, :1] - one * v[:, :1])[sound] / doubled[sound, None]
    each = np.sqrt((np.square(along).sum(axis=1) + np.square(across).sum(axis=1)) / 2)
    chosen = np.random.default_rng(1).choice(len(each), 1_000_000, p=area[sound] / area[sound].sum())
    filled = doubled.sum() / 2
    return each[chosen] / np.sqrt(area.sum() / filled), float(filled)


if __name__ == "__main__":
    main()
