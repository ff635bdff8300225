"""Which pixels are the object: the picture's own alpha, the learned matte, or the embedded one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from gpu_container.embedded_matte import embedded_alpha
from gpu_container.photo import Photo
from gpu_container.u2net import u2net_alpha
from infra.errors import NoClearObject
from infra.options import Background

#: an own alpha counts when at least this share of the pixels is transparent ...
_LEAST_TRANSPARENT = 0.005
#: ... and no more than this
_MOST_TRANSPARENT = 0.9995


@dataclass(frozen=True)
class Matte:
    """How much of each pixel is the object, and how that was found."""

    alpha: NDArray[np.float32]  # (h, w) 0..1
    method: str  # "alpha", "keep", "u2net", "backdrop" or "grabcut"


def cut_out(photo: Photo, background: Background = "auto", model: Path | None = None) -> Matte:
    """The object of ``photo``.

    ``background`` says what to do:

    - ``auto``: the picture's own alpha if it is a drawn one, else the background is removed;
    - ``remove``: the background is removed by the looks of the picture, over white where it is transparent;
      what its own alpha hides stays hidden;
    - ``keep``: the picture's own alpha as it is, which for an opaque picture means the whole picture.

    ``model`` is the file u2net.onnx; where none is given the embedded matte does the work.

    Raises:
        NoClearObject: nothing stands out clearly enough; a wrong matte would be worse.
        WeightsMissing, WeightsCorrupt, MissingDependency: see :func:`gpu_container.u2net.u2net_alpha`.
    """
    own = photo.rgba[..., 3].astype(np.float32) / np.float32(255)
    if photo.has_alpha and (own > 0.5).mean() < 1 - _MOST_TRANSPARENT:
        raise NoClearObject(
            "The picture is transparent nearly everywhere. Send one in which the object can be seen."
        )
    if background == "keep":
        return Matte(own, "keep")
    if background == "auto" and photo.has_alpha and _is_drawn(own):
        return Matte(own, "alpha")

    rgb = photo.rgba[..., :3]
    if background == "remove" and photo.has_alpha:
        rgb = np.rint(rgb * own[..., None] + 255 * (1 - own[..., None])).astype(np.uint8)
    if model is not None:
        alpha, method = u2net_alpha(np.ascontiguousarray(rgb), model), "u2net"
    else:
        alpha, method = embedded_alpha(np.ascontiguousarray(rgb))
    if background == "remove" and photo.has_alpha:
        alpha = np.asarray(alpha * own, np.float32)
    return Matte(alpha, method)


def _is_drawn(alpha: NDArray[np.float32]) -> bool:
    """Whether somebody cut the object out: enough is transparent, and not just as scattered pixels."""
    transparent = (alpha < 0.5).astype(np.uint8)
    solid = cv2.morphologyEx(transparent, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    return bool(solid.mean() >= _LEAST_TRANSPARENT)
