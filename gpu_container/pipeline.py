"""The stages of a job, in order, told once: photo → Field → artifacts. Knows no AWS."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import torch

from gpu_container import engines, export, lod, manifest, matte, mesh, photo, render, texture, video, viewpoint
from gpu_container.clock import Notices, Progress, StageClock
from gpu_container.device import pick_device
from gpu_container.gridded import GriddedField
from gpu_container.projection import View
from gpu_container.texture import TexturedMesh
from infra import artifacts
from infra.options import Options


@dataclass(frozen=True)
class Models:
    """Model files on this machine; where there are none, the embedded ways are taken."""

    #: directory of the TripoSR checkpoint
    weights: Path | None = None
    #: U²-Net's ONNX file
    matte: Path | None = None


NO_MODELS = Models()


@dataclass(frozen=True)
class Result:
    """What a run left behind."""

    files: list[Path]  # every artifact, the manifest last
    manifest: Path
    engine: str
    timings: dict[str, float]  # seconds per stage
    faces: int


def run(
    photo_bytes: bytes,
    filename: str,
    options: Options,
    out_dir: Path,
    progress: Progress = lambda stage, fraction: None,
    models: Models = NO_MODELS,
    device: torch.device | None = None,
) -> Result:
    """Make every artifact of one photo in ``out_dir``; ``manifest.json`` comes last.

    Args:
        photo_bytes: the picture as uploaded, in any accepted format.
        filename: what its owner calls it; only recorded.
        progress: called from this thread with a stage's name and the share of it that is done, 0..1.
        device: where the Field lives; by default CUDA when there is one.

    Raises:
        MaquetteError: see infra/errors.py; ``out_dir`` then holds no manifest.
    """
    out_dir.mkdir(parents=True, exist_ok=True)
    (out_dir / artifacts.MANIFEST).unlink(
        missing_ok=True
    )  # of an earlier run: what it lists is about to change
    clock = StageClock(progress)
    with Notices() as notices, ThreadPoolExecutor(max_workers=1) as background:
        with clock.stage("decode"):
            picture = photo.decode(photo_bytes)

        with clock.stage("matte"):
            cutout = matte.cut_out(picture, options.background, models.matte)

        with clock.stage("frame"):
            engine = engines.choose(options.engine, models.weights, device or pick_device())
            frame = photo.frame(picture, cutout.alpha, options.foreground_ratio, engine.frame_size)
            files = [export.write_input(frame, out_dir)]

        with clock.stage("reconstruct"):
            gridded = GriddedField(engine.reconstruct(frame), options.resolution)
            gridded.use(lambda it: it.grid)

        with clock.stage("render") as report:
            size = options.view_size or engine.view_size
            pictures = gridded.use(lambda it: render.orbit(it.field, it.grid, options.views, size, report))
            # ffmpeg is a process of its own: it encodes while the mesh is made; the export stage waits for it
            encoding = background.submit(video.write_video, pictures, out_dir / artifacts.VIDEO)
            files += video.write_views(pictures, out_dir)
            flattering = pictures[video.poster_view(len(pictures))]
            files.append(video.write_poster(flattering, out_dir / artifacts.POSTER))

        with clock.stage("mesh") as report:
            surface = gridded.use(
                lambda it: mesh.extract(it.field, it.grid, options.target_faces, report, parts=options.parts)
            )

        def view_of_surface(it: GriddedField) -> View | None:
            return viewpoint.view_of(
                picture,
                cutout.alpha,
                options.foreground_ratio,
                frame,
                options.texture_size,
                it.field,
                surface,
            )

        with clock.stage("texture") as report:
            view = gridded.use(view_of_surface) if options.texture_source == "auto" else None

            def paint(shape: mesh.Mesh, side: int, report: Callable[[float], None]) -> TexturedMesh:
                return gridded.use(
                    lambda it: texture.bake(
                        shape,
                        it.field,
                        it.grid,
                        side,
                        report,
                        view=view,
                        ambient_occlusion=options.ambient_occlusion,
                    )
                )

            textured, *levels = lod.painted(surface, options.lods, options.texture_size, paint, report)

        with clock.stage("export"):
            files += export.write_models(textured, out_dir, options.print_height_mm)
            files += export.write_lods(levels, out_dir)
            files.append(encoding.result())

        facts = manifest.mesh_facts(textured.mesh, options.print_height_mm)
        written = manifest.write(
            out_dir,
            files,
            mesh=facts | {"lods": manifest.lod_facts(levels)},
            options=options.as_dict() | {"engine": engine.name, "view_size": size},
            source={
                "name": filename,
                "bytes": len(photo_bytes),
                "sha256": hashlib.sha256(photo_bytes).hexdigest(),
                "format": picture.format,
            },
            engine=engine.name,
            matte=cutout.method,
            device=str(gridded.field.device),
            timings=clock.timings,
            notices=notices.messages,
        )
    return Result([*files, written], written, engine.name, clock.timings, facts["faces"])
