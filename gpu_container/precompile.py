"""Compiles, when the image is built, what a worker would otherwise compile at its first job.

    python -m gpu_container.precompile PHOTO

numba keeps the machine code of each function that runs in ``NUMBA_CACHE_DIR``, by processor and by the source's
date; so what is run here, as a worker would run it, is ready there. The largest part is not ours: the matting
library that rembg imports compiles for more than half a minute.
"""

from __future__ import annotations

import importlib.util
import logging
import sys
import tempfile
from pathlib import Path

import torch

from gpu_container import device, engines, pipeline
from infra.options import EngineName, Options
from infra.settings import settings

log = logging.getLogger(__name__)


def precompile(photo: Path) -> None:
    """Run everything once, small, on the CPU.

    Raises:
        MaquetteError: see :func:`gpu_container.pipeline.run`; an image in which that happens is of no use.
    """
    given = settings()
    device.set_threads(given.threads)
    models = pipeline.Models(weights=given.weights, matte=given.matte_model)
    found: list[EngineName] = ["inflate"]
    if given.weights is not None:
        engines.preload(given.weights, torch.device("cpu"))
        found.append("triposr")
    if importlib.util.find_spec("rembg") is not None:
        import rembg  # noqa: F401
    for engine in found:
        # The model for mattes once, the embedded matte, which is for where there is none, in the other run.
        matte = models.matte if engine == found[-1] else None
        options = Options(
            engine=engine, resolution=64, texture_size=256, target_faces=2000, views=4, view_size=64
        )
        with tempfile.TemporaryDirectory(prefix="maquette-") as folder:
            result = pipeline.run(
                photo.read_bytes(),
                photo.name,
                options,
                Path(folder),
                models=pipeline.Models(models.weights, matte),
                device=torch.device("cpu"),
            )
        log.info("%s: %d faces", result.engine, result.faces)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    precompile(Path(sys.argv[1]))
