"""USDZ, for AR Quick Look on Apple's devices and for whatever reads USD: one mesh, one material, its pictures.

Written by Pixar's own library (usd-core). Reference: Pixar, "Usdz File Format Specification"; Apple, "Creating
USD files for Apple devices".
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Here and not where they are used: loading this library in one thread while another loads one, too, can end
# with both waiting for each other.
from pxr import Gf, Kind, Sdf, Usd, UsdGeom, UsdShade, Vt

from gpu_container.glb import ROUGHNESS

#: the first file of the package, and the only one that says anything about the scene
_SCENE = "model.usdc"
#: names of the pictures in it
COLOR, NORMAL, OCCLUSION = "color.png", "normal.png", "occlusion.png"
#: picture -> input of the surface and its type, what is read of the picture and its type, colour space
_USES = {
    COLOR: ("diffuseColor", Sdf.ValueTypeNames.Color3f, "rgb", Sdf.ValueTypeNames.Float3, "sRGB"),
    NORMAL: ("normal", Sdf.ValueTypeNames.Normal3f, "rgb", Sdf.ValueTypeNames.Float3, "raw"),
    OCCLUSION: ("occlusion", Sdf.ValueTypeNames.Float, "r", Sdf.ValueTypeNames.Float, "raw"),
}
#: 1 January 1980, the first day that a ZIP file can name, in seconds since 1970
_EPOCH = 315532800


def named(color: bytes, normal: bytes, occlusion: bytes | None = None) -> dict[str, bytes]:
    """Pictures by their names in the package: sRGB; tangent space, y up; one channel, 255 for open sky."""
    pictures = {COLOR: color, NORMAL: normal}
    return pictures if occlusion is None else {**pictures, OCCLUSION: occlusion}


def encode(
    positions: NDArray[np.float32],
    normals: NDArray[np.float32],
    faces: NDArray[np.int32],
    uv: NDArray[np.float32],
    uv_faces: NDArray[np.int32],
    pictures: Mapping[str, bytes],
) -> bytes:
    """The bytes of a ``.usdz``; the same model gives the same bytes.

    Args:
        positions: ``(n, 3)`` metres, y up, the front towards +z, the base on y = 0.
        normals: ``(n, 3)``, of length 1.
        faces: ``(m, 3)`` into those, counter-clockwise seen from outside.
        uv: ``(k, 2)``, v down from the picture's upper edge.
        uv_faces: ``(m, 3)`` into ``uv``.
        pictures: PNG files, see :func:`named`.
    """
    with tempfile.TemporaryDirectory(prefix="maquette-") as name:
        folder = Path(name)
        _write_scene(folder / _SCENE, positions, normals, faces, uv, uv_faces, list(pictures))
        for picture, content in pictures.items():
            (folder / picture).write_bytes(content)
        package = folder / "model.usdz"
        writer = Sdf.ZipFileWriter.CreateNew(str(package))
        for member in (_SCENE, *pictures):
            os.utime(folder / member, (_EPOCH, _EPOCH))  # the package records it
            writer.AddFile(str(folder / member), member)
        writer.Save()
        return package.read_bytes()


def _write_scene(
    path: Path,
    positions: NDArray[np.float32],
    normals: NDArray[np.float32],
    faces: NDArray[np.int32],
    uv: NDArray[np.float32],
    uv_faces: NDArray[np.int32],
    pictures: list[str],
) -> None:
    stage = Usd.Stage.CreateNew(str(path))
    UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.y)
    UsdGeom.SetStageMetersPerUnit(stage, 1.0)
    root = UsdGeom.Xform.Define(stage, "/model")
    stage.SetDefaultPrim(root.GetPrim())
    Usd.ModelAPI(root).SetKind(Kind.Tokens.component)

    mesh = UsdGeom.Mesh.Define(stage, "/model/mesh")
    mesh.CreatePointsAttr(Vt.Vec3fArray.FromNumpy(positions.astype(np.float32)))
    mesh.CreateFaceVertexCountsAttr(Vt.IntArray.FromNumpy(np.full(len(faces), 3, np.int32)))
    mesh.CreateFaceVertexIndicesAttr(Vt.IntArray.FromNumpy(faces.astype(np.int32).ravel()))
    mesh.CreateSubdivisionSchemeAttr(UsdGeom.Tokens.none)  # else it would be smoothed on the way to the screen
    mesh.CreateNormalsAttr(Vt.Vec3fArray.FromNumpy(normals.astype(np.float32)))
    mesh.SetNormalsInterpolation(UsdGeom.Tokens.vertex)
    low, high = positions.min(axis=0).tolist(), positions.max(axis=0).tolist()
    mesh.CreateExtentAttr([Gf.Vec3f(*low), Gf.Vec3f(*high)])
    # Each corner has a place in the picture of its own: cuts leave the surface closed.
    primvars = UsdGeom.PrimvarsAPI(mesh)
    st = primvars.CreatePrimvar("st", Sdf.ValueTypeNames.TexCoord2fArray, UsdGeom.Tokens.faceVarying)
    st.Set(Vt.Vec2fArray.FromNumpy((uv * (1, -1) + (0, 1)).astype(np.float32)))  # v runs upwards here
    st.SetIndices(Vt.IntArray.FromNumpy(uv_faces.astype(np.int32).ravel()))

    material = UsdShade.Material.Define(stage, "/model/material")
    surface = _shader(stage, "/model/material/surface", "UsdPreviewSurface")
    surface.CreateInput("roughness", Sdf.ValueTypeNames.Float).Set(ROUGHNESS)
    surface.CreateInput("metallic", Sdf.ValueTypeNames.Float).Set(0.0)
    surface.CreateInput("useSpecularWorkflow", Sdf.ValueTypeNames.Int).Set(0)
    material.CreateSurfaceOutput().ConnectToSource(surface.ConnectableAPI(), "surface")
    place = _shader(stage, "/model/material/place", "UsdPrimvarReader_float2")
    place.CreateInput("varname", Sdf.ValueTypeNames.String).Set("st")
    place.CreateOutput("result", Sdf.ValueTypeNames.Float2)
    for name in pictures:
        texture = _shader(stage, f"/model/material/{Path(name).stem}", "UsdUVTexture")
        texture.CreateInput("file", Sdf.ValueTypeNames.Asset).Set(Sdf.AssetPath(f"./{name}"))
        texture.CreateInput("st", Sdf.ValueTypeNames.Float2).ConnectToSource(place.ConnectableAPI(), "result")
        for wrap in ("wrapS", "wrapT"):
            texture.CreateInput(wrap, Sdf.ValueTypeNames.Token).Set("clamp")
        use, kind, channels, channels_kind, space = _USES[name]
        texture.CreateOutput(channels, channels_kind)
        texture.CreateInput("sourceColorSpace", Sdf.ValueTypeNames.Token).Set(space)
        if name == NORMAL:  # bytes 0..255 are directions -1..1
            texture.CreateInput("scale", Sdf.ValueTypeNames.Float4).Set(Gf.Vec4f(2, 2, 2, 1))
            texture.CreateInput("bias", Sdf.ValueTypeNames.Float4).Set(Gf.Vec4f(-1, -1, -1, 0))
        surface.CreateInput(use, kind).ConnectToSource(texture.ConnectableAPI(), channels)
    UsdShade.MaterialBindingAPI.Apply(mesh.GetPrim()).Bind(material)
    stage.GetRootLayer().Save()


def _shader(stage: Any, path: str, kind: str) -> Any:
    shader = UsdShade.Shader.Define(stage, path)
    shader.CreateIdAttr(kind)
    if kind == "UsdPreviewSurface":
        shader.CreateOutput("surface", Sdf.ValueTypeNames.Token)
    return shader
