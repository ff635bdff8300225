"""The options of a job as command-line flags, for every command that takes them. None leaves the default."""

from __future__ import annotations

from typing import Annotated

import typer

Engine = Annotated[str | None, typer.Option(help="auto, triposr or inflate.")]
Background = Annotated[str | None, typer.Option(help="auto, remove or keep.")]
ForegroundRatio = Annotated[float | None, typer.Option(help="Share of the frame that the object takes [0.85].")]
Resolution = Annotated[int | None, typer.Option(help="Density samples along a side [256].")]
TextureSize = Annotated[int | None, typer.Option(help="Side of the texture, pixels [1024].")]
TargetFaces = Annotated[int | None, typer.Option(help="Triangles of the mesh [20000].")]
Parts = Annotated[str | None, typer.Option(help="largest, or all bodies that are more than crumbs.")]
Lods = Annotated[str | None, typer.Option(help="Triangles of coarser models as well: 5000,1000.")]
TextureSource = Annotated[
    str | None, typer.Option(help="auto: the photo where it is better; field: the Field's colours alone.")
]
AmbientOcclusion = Annotated[bool | None, typer.Option(help="Bake a map of ambient occlusion.")]
Views = Annotated[int | None, typer.Option(help="Pictures in the orbit [30].")]
ViewSize = Annotated[int | None, typer.Option(help="Side of each picture, pixels [512].")]
PrintHeight = Annotated[float | None, typer.Option(help="Height of the printed model, mm [100].")]
