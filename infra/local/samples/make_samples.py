"""Make the sample photos again: ``python -m infra.local.samples.make_samples [NAME…] --out DIR``.

At full size a picture takes a minute or two on four cores. The same seed, size and samples give the same one.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from infra.local.samples import robot, teapot, toadstool
from infra.local.samples.develop import develop, save
from infra.local.samples.studio import Scene, camera, lamps
from infra.local.samples.tracer import tracer_for

SCENES: dict[str, Scene] = {scene.name: scene for scene in (robot.SCENE, teapot.SCENE, toadstool.SCENE)}
SIZE = 1024
SAMPLES = 64
SEED = 7


def photograph(
    scene: Scene, size: int = SIZE, samples: int = SAMPLES, seed: int = SEED, threads: int | None = None
) -> NDArray[np.uint8]:
    """(size, size, 3) sRGB photo of a scene, the same for any number of threads; seed 0 to 999."""
    rows = tracer_for(scene)
    view, rig = camera(scene), lamps()
    band = max(1, min(16, size // 16))
    with ThreadPoolExecutor(threads or os.cpu_count()) as pool:
        tops = range(0, size, band)
        bands = pool.map(lambda top: rows(view, rig, size, top, min(band, size - top), samples, seed), tops)
        film = np.concatenate(list(bands))
    return develop(film, samples, scene.exposure)


def main() -> None:
    parser = argparse.ArgumentParser(description="Make the sample photos again.")
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"of {', '.join(SCENES)}; all when none is named"
    )
    parser.add_argument("--size", type=int, default=SIZE, help="pixels per side (default %(default)s)")
    parser.add_argument(
        "--samples", type=int, default=SAMPLES, help="light paths per pixel (default %(default)s)"
    )
    parser.add_argument("--out", type=Path, required=True, help="the folder to write NAME.jpg into")
    chosen = parser.parse_args()
    unknown = [name for name in chosen.names if name not in SCENES]
    if unknown:
        parser.error(f"there is no sample named {', '.join(unknown)}; there are {', '.join(SCENES)}")
    chosen.out.mkdir(parents=True, exist_ok=True)
    for name in chosen.names or SCENES:
        started = time.perf_counter()
        path = chosen.out / f"{name}.jpg"
        save(photograph(SCENES[name], chosen.size, chosen.samples), path)
        seconds = time.perf_counter() - started
        sys.stdout.write(f"{path}  {path.stat().st_size / 1000:.0f} kB  {seconds:.0f} s\n")


if __name__ == "__main__":
    main()
