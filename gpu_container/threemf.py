"""3MF, for printers and their slicers: millimetres, z up, a colour at every corner.

Written by the format's own library (lib3mf). Slicers read colours at corners (``m:colorgroup``), hardly one
reads a texture. Reference: 3MF Consortium, "3D Manufacturing Format Core Specification", "Materials and
Properties Extension".
"""

from __future__ import annotations

import uuid
from ctypes import string_at
from importlib.metadata import version
from io import BytesIO
from typing import Any

import lib3mf
import numpy as np
from numpy.typing import NDArray

#: the library, loaded before there is any thread that might load another one meanwhile
_WRAPPER = lib3mf.get_wrapper()
#: name space of the package's identities: made from the model itself, so that they are the same every time
_NAMESPACE = uuid.UUID("6d61715e-7565-5474-8e65-000000000002")


def build(positions: NDArray[np.float32], faces: NDArray[np.int32], colors: NDArray[np.uint8]) -> Any:
    """The library's model of a mesh, for :func:`encode`.

    Args:
        positions: ``(n, 3)`` millimetres, z up from the bed.
        faces: ``(m, 3)``, counter-clockwise seen from outside.
        colors: ``(n, 3)`` sRGB.
    """
    model = _WRAPPER.CreateModel()
    model.SetUnit(lib3mf.ModelUnit.MilliMeter)
    metadata = model.GetMetaDataGroup()
    metadata.AddMetaData("", "Application", f"Maquette {version('maquette')}", "xs:string", True)

    mesh = model.AddMeshObject()
    mesh.SetName("model")
    mesh.SetGeometry(
        _structures(lib3mf.Position, positions.astype(np.float32)),
        _structures(lib3mf.Triangle, faces.astype(np.uint32)),
    )
    group = model.AddColorGroup()
    palette, at = np.unique(colors, axis=0, return_inverse=True)
    numbers = np.array([group.AddColor(lib3mf.Color(*color, 255)) for color in palette.tolist()], np.uint32)
    resource, corners = group.GetResourceID(), numbers[at.reshape(-1)][faces]
    properties = np.insert(
        corners, 0, resource, axis=1
    )  # the resource, then one of its colours for each corner
    mesh.SetAllTriangleProperties(_structures(lib3mf.TriangleProperties, properties))
    mesh.SetObjectLevelProperty(resource, int(corners[0, 0]))
    item = model.AddBuildItem(mesh, _WRAPPER.GetIdentityTransform())

    identity = uuid.uuid5(_NAMESPACE, positions.tobytes().hex() + faces.tobytes().hex())
    for owner, name in ((model.SetBuildUUID, "build"), (mesh.SetUUID, "mesh"), (item.SetUUID, "item")):
        owner(str(uuid.uuid5(identity, name)))
    return model


def encode(model: Any) -> bytes:
    """The bytes of a ``.3mf``; the same model gives the same bytes.

    By way of callbacks, since ``WriteToBuffer`` packs everything twice, once to learn how long it will be.
    """
    package = BytesIO()
    # C keeps no hold of the two: they have to outlive the call by themselves
    write = lib3mf.WriteCallback(lambda address, size, _: package.write(string_at(address, size)))
    seek = lib3mf.SeekCallback(lambda place, _: package.seek(place))
    model.QueryWriter("3mf").WriteToCallback(write, seek, None)
    return package.getvalue()


def _structures(kind: Any, rows: NDArray[Any]) -> Any:
    """One of the library's structures for each row, without an object of Python's for each."""
    return (kind * len(rows)).from_buffer_copy(np.ascontiguousarray(rows))
