"""``manifest.json``: what came of a photo, and how. Written last, so that a folder that has one is whole.

docs/manifest.md describes it for those who read it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from gpu_container import printing, topology
from gpu_container.export import print_coordinates
from gpu_container.mesh import Mesh
from gpu_container.texture import TexturedMesh
from infra import artifacts

#: raised when a reader of the one before could go wrong
SCHEMA = 1


def write(
    folder: Path,
    files: Sequence[Path],
    *,
    mesh: Mapping[str, Any],
    options: Mapping[str, Any],
    source: Mapping[str, Any],
    engine: str,
    matte: str,
    device: str,
    timings: Mapping[str, float],
    notices: Sequence[str],
) -> Path:
    """Hash ``files`` as they lie on the disk and write the manifest; it appears whole or not at all.

    Args:
        files: every other artifact, all in ``folder``.
        mesh: from :func:`mesh_facts`.
        options: the job's, defaults filled in.
        source: what is known of the photo: name, bytes, SHA-256, format, size.
        timings: seconds per stage.
        notices: sentences that its owner should read.

    Raises:
        OSError: a file cannot be read, or ``folder`` not be written to.
    """
    with ThreadPoolExecutor(4) as pool:  # hashing lets go of the interpreter's lock
        described = list(pool.map(_describe, files))
    content = {
        "schema": SCHEMA,
        "version": version("maquette"),
        "input": dict(source),
        "options": dict(options),
        "engine": engine,
        "matte": matte,
        "device": device,
        "notices": list(notices),
        "timings": {stage: round(seconds, 4) for stage, seconds in timings.items()},
        "mesh": dict(mesh),
        "files": described,
    }
    path = folder / artifacts.MANIFEST
    unfinished = path.with_suffix(".json.part")
    unfinished.write_text(json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n", "utf-8")
    return unfinished.replace(path)


def _describe(path: Path) -> dict[str, Any]:
    data = path.read_bytes()
    return {
        "name": path.name,
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "type": artifacts.content_type(path.name),
    }


def mesh_facts(mesh: Mesh, print_height_mm: float) -> dict[str, Any]:
    """What a printer or a viewer wants to know of ``mesh``; lengths in the Field's units but for ``print``."""
    volume = float(topology.signed_volumes(mesh.vertices, mesh.faces).sum())
    low, high = mesh.vertices.min(axis=0), mesh.vertices.max(axis=0)
    scale = print_height_mm / float(high[2] - low[2])  # millimetres per unit
    printed = print_coordinates(mesh, print_height_mm)
    bodies, euler = topology.bodies(mesh.faces)[0], topology.euler_number(mesh.faces)
    watertight = topology.is_watertight(mesh.faces)
    return {
        "faces": len(mesh.faces),
        "vertices": len(mesh.vertices),
        "watertight": watertight,
        "manifold": topology.is_manifold(mesh.vertices, mesh.faces),
        "bodies": bodies,
        "euler": euler,
        # holes through it, as a cup's handle makes one; only closed bodies have a genus
        "genus": bodies - euler // 2 if watertight else None,
        "volume": round(volume, 6),
        "area": round(_area(mesh), 6),
        "bounds": [[round(float(value), 6) for value in corner] for corner in (low, high)],
        "print": printing.facts(printed, mesh.faces, volume * scale**3),
    }


def lod_facts(levels: Sequence[TexturedMesh]) -> list[dict[str, Any]]:
    """What tells the files of further levels of detail apart, in their order."""
    return [
        {
            "name": artifacts.lod_name(number),
            "faces": len(level.mesh.faces),
            "vertices": len(level.mesh.vertices),
            "watertight": topology.is_watertight(level.mesh.faces),
            "texture_size": len(level.texture),
        }
        for number, level in enumerate(levels, start=1)
    ]


def _area(mesh: Mesh) -> float:
    corners = mesh.vertices.astype(np.float64)[mesh.faces]
    crossed = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    return float(np.linalg.norm(crossed, axis=1).sum() / 2)
