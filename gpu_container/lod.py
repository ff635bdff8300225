"""Further levels of detail: the same surface in fewer faces, for what stands far away or has to be drawn often.

Each is unwrapped and painted for itself. It takes its colours and its relief from the dense surface, as the
finest does, and not from the level before: what its shape has lost, its normal map still shows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from gpu_container.mesh import Mesh, fewer_faces
from gpu_container.texture import TexturedMesh

#: paints a mesh with a texture of so many texels a side, and tells how far it is, rising to 1
Paint = Callable[[Mesh, int, Callable[[float], None]], TexturedMesh]

#: side of the smallest texture, texels
LEAST_SIDE = 256


def painted(
    surface: Mesh, levels: Sequence[int], size: int, paint: Paint, progress: Callable[[float], None]
) -> list[TexturedMesh]:
    """``surface`` itself, with a texture of ``size`` texels a side, and one more for each of ``levels``.

    Args:
        levels: faces each; the surface as it is where it has no more of them.
        progress: called with the share that is done, rising to 1.
    """
    meshes = [surface, *(fewer_faces(surface, faces) for faces in levels)]
    total = sum(len(mesh.faces) for mesh in meshes)
    done = 0

    def painted_next(mesh: Mesh) -> TexturedMesh:
        nonlocal done
        before, done = done, done + len(mesh.faces)
        side = texture_side(size, len(mesh.faces), len(surface.faces))
        return paint(mesh, side, lambda part: progress((before + part * len(mesh.faces)) / total))

    return [painted_next(mesh) for mesh in meshes]


def texture_side(size: int, faces: int, of: int) -> int:
    """Half of ``size`` for a quarter of the faces, and so on: each covers as many texels as before."""
    return max(LEAST_SIDE, size >> max(0, round(math.log(of / faces, 4))))
