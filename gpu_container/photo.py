from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Photo:
    """A decoded picture, upright, in sRGB."""

    rgba: NDArray[np.uint8]  # (h, w, 4), straight alpha; 255 everywhere if the file had none
    format: str  # "jpeg", "png", ...
    has_alpha: bool  # the file's own alpha says something (is not opaque everywhere)


@dataclass(frozen=True)
class Frame:
    """The object cut out, centred in a square, on grey: what engines see."""

    rgb: NDArray[np.float32]  # (s, s, 3) sRGB 0..1, composited on 0.5 grey
    alpha: NDArray[np.float32]  # (s, s) 0..1
    #: sides ("top", "bottom", "left", "right") where the photo's own edge cuts the object off
    cut: frozenset[str]
