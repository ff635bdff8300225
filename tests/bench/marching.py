"""Marching cubes by every library that is installed, on the same grids: `python -m tests.bench.marching`.

Each runs in a process of its own, so that its memory can be told: that above the grid, which all are given with
a sample of nothing around it. One that is not installed is left out.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from gpu_container import memory, topology
from gpu_container.field import SURFACE_RAW, Field

RESOLUTIONS, RUNS = (256, 512), 3
#: raw density around the grid
_NOTHING = SURFACE_RAW - 12.0

Triangles = tuple[NDArray[Any], NDArray[Any]]
Way = Callable[[NDArray[np.float32]], Triangles]


def _ours() -> Way:
    from gpu_container import marching

    return lambda raw: marching.surface(raw, SURFACE_RAW)


def _scikit_image() -> Way:
    from skimage.measure import marching_cubes

    return lambda raw: marching_cubes(raw, SURFACE_RAW, gradient_direction="ascent")[:2]


def _pymcubes() -> Way:
    import mcubes

    return lambda raw: mcubes.marching_cubes(raw, SURFACE_RAW)


def _vtk(name: str) -> Way:
    import vtkmodules.all as vtk
    from vtkmodules.util.numpy_support import numpy_to_vtk, vtk_to_numpy

    def run(raw: NDArray[np.float32]) -> Triangles:
        image = vtk.vtkImageData()
        image.SetDimensions(*raw.shape[::-1])
        image.GetPointData().SetScalars(numpy_to_vtk(raw.ravel()))
        contour = getattr(vtk, name)()
        contour.SetInputData(image)
        contour.SetValue(0, SURFACE_RAW)
        contour.ComputeNormalsOff()
        contour.ComputeGradientsOff()
        contour.Update()
        found = contour.GetOutput()
        return (
            vtk_to_numpy(found.GetPoints().GetData())[:, ::-1],
            vtk_to_numpy(found.GetPolys().GetConnectivityArray()).reshape(-1, 3),
        )

    return run


def _libigl() -> Way:
    import igl

    def run(raw: NDArray[np.float32]) -> Triangles:
        axes = [np.arange(side, dtype=np.float64) for side in raw.shape]
        places = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
        ordered = places.transpose(2, 1, 0, 3).reshape(-1, 3)
        values = raw.transpose(2, 1, 0).ravel().astype(np.float64)
        return igl.marching_cubes(values, ordered, *raw.shape, SURFACE_RAW)[:2]

    return run


def _warp() -> Way:
    import warp

    warp.config.quiet = True
    warp.init()
    warp.set_device("cpu")

    def run(raw: NDArray[np.float32]) -> Triangles:
        marched = warp.MarchingCubes(*raw.shape)
        marched.surface(warp.array(raw, dtype=float, device="cpu"), SURFACE_RAW)
        return marched.verts.numpy(), marched.indices.numpy().reshape(-1, 3)

    return run


#: a name, what has to be installed for it, and how to get at it
WAYS: dict[str, tuple[str, Callable[[], Way]]] = {
    "Maquette": ("maquette", _ours),
    "scikit-image": ("scikit-image", _scikit_image),
    "PyMCubes": ("PyMCubes", _pymcubes),
    "VTK FlyingEdges3D": ("vtk", lambda: _vtk("vtkFlyingEdges3D")),
    "VTK MarchingCubes": ("vtk", lambda: _vtk("vtkMarchingCubes")),
    "libigl": ("libigl", _libigl),
    "Warp, on the CPU": ("warp-lang", _warp),
}


def main() -> None:
    """Measure and print."""
    console = Console(width=120)
    for name, raw in _grids():
        table = Table(title=f"{name}, best of {RUNS}")
        for column in ("", "seconds", "MB more", "faces", "closed", "manifold", "same again", "MB on disk"):
            table.add_column(column, justify="right" if column else "left")
        with tempfile.NamedTemporaryFile(suffix=".npy") as grid:
            np.save(grid.name, np.pad(raw, 1, constant_values=_NOTHING))
            for way, (package, _) in WAYS.items():
                if (size := _installed(package)) is not None:
                    with console.status(f"{name}: {way}"):
                        table.add_row(way, *_measured(way, grid.name), f"{size / 1e6:.0f}")
        console.print(table)


def _grids() -> Iterator[tuple[str, NDArray[np.float32]]]:
    """A name, and raw densities ``(r, r, r)``: two objects, and samples that know nothing of each other."""
    from tests.bench import stages, triposr

    photo = stages.sample_photos()[0]
    for name, field in ((photo.stem, _inflated(photo)), ("the chair", triposr.scene_field()[0])):
        for resolution in RESOLUTIONS:
            yield f"{name}, {resolution}³", field.density_grid(resolution).numpy()
    noise = np.random.default_rng(1).normal(size=(64,) * 3) + SURFACE_RAW
    yield "noise, 64³", noise.astype(np.float32)


def _inflated(path: Path) -> Field:
    """A photo's, by the embedded engine."""
    from gpu_container import matte, photo
    from gpu_container.engines.inflate import Inflate

    engine = Inflate(torch.device("cpu"))
    picture = photo.decode(path.read_bytes())
    alpha = matte.cut_out(picture, "auto", None).alpha
    return engine.reconstruct(photo.frame(picture, alpha, 0.85, engine.frame_size))


def _measured(way: str, grid: str) -> list[str]:
    """The table's row of one way, from a process of its own."""
    child = subprocess.run(
        (sys.executable, "-m", "tests.bench.marching", way, grid), capture_output=True, check=False, text=True
    )
    lines = child.stdout.splitlines()
    done = child.returncode == 0 and lines
    return list(json.loads(lines[-1])) if done else [f"status {child.returncode}", *[""] * 5]


def _installed(package: str) -> int | None:
    """Bytes of a package's own files, or None."""
    try:
        listed = [Path(str(part.locate())) for part in files(package) or []]
    except PackageNotFoundError:
        return None
    return sum(path.stat().st_size for path in listed if path.is_file())


def _one(way: str, grid: str) -> list[str]:
    raw = np.load(grid)
    run = WAYS[way][1]()
    noise = np.random.default_rng(1).normal(size=(8, 8, 8)) + SURFACE_RAW
    run(noise.astype(np.float32))  # compiles, loads, starts
    memory.reset_peaks()
    before, seconds, made = memory.peak(), [], []
    for _ in range(RUNS):
        start = time.perf_counter()
        made.append(run(raw))
        seconds.append(time.perf_counter() - start)
        if len(made) == 1:
            peak = memory.peak() - before
        made = made[:1] + made[-1:]
    vertices, faces = np.asarray(made[0][0], np.float32), np.asarray(made[0][1], np.int32)
    same = all(
        np.array_equal(one, other) for one, other in zip(*(list(each) for each in made[:2]), strict=True)
    )
    return [
        f"{min(seconds):.2f}",
        f"{peak:.0f}",
        str(len(faces)),
        _said(topology.is_watertight(faces)),
        _said(topology.is_manifold(vertices, faces)),
        _said(same),
    ]


def _said(truth: bool) -> str:
    return "yes" if truth else "no"


if __name__ == "__main__":
    if len(sys.argv) == 3:
        print(json.dumps(_one(*sys.argv[1:])))
    else:
        main()
