"""Cutting a mesh into flat charts and packing them: xatlas, in a process of its own that can be killed.

xatlas takes seconds on a sound mesh, and has been seen to run for ever on a broken one. The child imports
numpy and xatlas only, so that it starts in a blink.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from infra.errors import UnwrapFailed

#: the child: this module, run by itself
COMMAND = (sys.executable, "-m", "gpu_container.unwrap")
#: faces of a patch, about
PATCH_FACES = 1250


@dataclass(frozen=True)
class Charts:
    """A mesh with vertices doubled along its charts' borders: each then has one place in the texture."""

    source: NDArray[np.int32]  # (k,) which of the mesh's vertices each one is
    faces: NDArray[np.int32]  # (m, 3), the mesh's faces in their order
    uv: NDArray[np.float32]  # (k, 2) 0..1 in a square; no two charts overlap


def unwrap(
    vertices: NDArray[np.float32],
    faces: NDArray[np.int32],
    resolution: int,
    padding: float,
    deadline: float,
) -> Charts:
    """Charts of a mesh, packed into a square.

    Args:
        vertices: ``(n, 3)``.
        faces: ``(m, 3)``.
        resolution: about how many texels a side the packer works with.
        padding: texels of that size kept free between charts, about.
        deadline: seconds after which the packer is killed.

    Raises:
        UnwrapFailed: it overran the deadline, or died.
    """
    request = io.BytesIO()
    np.savez(request, vertices=vertices, faces=faces, resolution=resolution, padding=padding)
    try:
        child = subprocess.run(
            COMMAND,
            input=request.getvalue(),
            capture_output=True,
            timeout=deadline,
            check=False,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        )
    except subprocess.TimeoutExpired:
        raise UnwrapFailed(
            f"Cutting the surface into texture charts took over {deadline:.0f} s. Ask for fewer target_faces."
        ) from None
    if child.returncode != 0:
        raise UnwrapFailed(
            f"Cutting the surface into texture charts failed (status {child.returncode}): "
            f"{child.stderr.decode(errors='replace').strip()[-300:]}"
        )
    with np.load(io.BytesIO(child.stdout)) as answer:
        return Charts(answer["source"], answer["faces"], answer["uv"])


def patches(vertices: NDArray[np.float32], faces: NDArray[np.int32]) -> list[NDArray[np.int64]]:
    """The faces in groups of about ``PATCH_FACES`` neighbours: halved again and again across the longest side.

    xatlas works on groups in parallel, and its time grows faster than their size. Groups cut by place leave
    fewer charts than groups cut by direction, which fall to pieces where the surface is rough.
    """
    centers = vertices[faces].mean(axis=1)
    groups = [np.arange(len(faces))]
    for _ in range(max(0, round(np.log2(len(faces) / PATCH_FACES)))):
        halves = []
        for group in groups:
            across = centers[group, np.ptp(centers[group], axis=0).argmax()]
            order = group[np.argsort(across, kind="stable")]
            halves += [np.sort(half) for half in np.array_split(order, 2)]
        groups = halves
    return groups


def pack(vertices: NDArray[np.float32], faces: NDArray[np.int32], resolution: int, padding: float) -> Charts:
    """:func:`unwrap`, in this process and for as long as it takes."""
    import xatlas  # the parent never needs it

    atlas = xatlas.Atlas()
    members = patches(vertices, faces)
    sources = []
    for member in members:
        source, local = np.unique(faces[member], return_inverse=True)
        sources.append(source)
        atlas.add_mesh(vertices[source], local.reshape(-1, 3).astype(np.uint32))
    charts, packing = xatlas.ChartOptions(), xatlas.PackOptions()
    charts.max_iterations = 1
    packing.resolution = resolution
    packing.padding = round(padding)
    atlas.generate(chart_options=charts, pack_options=packing)

    all_faces = np.empty_like(faces)
    all_sources, all_uv, first = [], [], 0
    for index, (member, source) in enumerate(zip(members, sources, strict=True)):
        mapping, local_faces, uv = atlas[index]
        all_faces[member] = local_faces.astype(np.int32) + first
        all_sources.append(source[mapping])
        all_uv.append(uv)
        first += len(mapping)
    # uv come as shares of the atlas's width and height, which are near each other but not equal
    extent = np.array([atlas.width, atlas.height], np.float32)
    uv = np.concatenate(all_uv) * (extent / extent.max())
    return Charts(np.concatenate(all_sources).astype(np.int32), all_faces, uv.astype(np.float32))


def _serve() -> None:
    """Read a request from standard input, answer on standard output."""
    with np.load(io.BytesIO(sys.stdin.buffer.read())) as request:
        packed = pack(
            request["vertices"], request["faces"], int(request["resolution"]), float(request["padding"])
        )
    answer = io.BytesIO()
    np.savez(answer, source=packed.source, faces=packed.faces, uv=packed.uv)
    sys.stdout.buffer.write(answer.getvalue())


if __name__ == "__main__":
    _serve()
