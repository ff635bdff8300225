"""The embedded engine: a photo's outline, inflated. No weights, no network, about a second."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from gpu_container.engines import backside, inflation
from gpu_container.engines.inflated_field import InflatedField
from gpu_container.engines.silhouette import CANVAS, FRAME_SIDE, OBJECT, Silhouette, outline
from gpu_container.field import Field
from gpu_container.photo import Frame

#: how much the photo's light and dark raises and lowers the front, as a share of its depth
RELIEF = 0.14
#: half the thickness of the deepest object, world units: it stays inside the cube
DEEPEST = 0.72
#: a free form is this much flatter behind than in front
BACK = 0.85


class Inflate:
    """Photo → Field by inflating the outline: exact from the front, plausible in depth, clean behind."""

    name = "inflate"
    frame_size = 1024
    view_size = 512

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def reconstruct(self, frame: Frame) -> Field:
        """The Field of a framed photo.

        Raises:
            NoClearObject: nothing in the frame is opaque.
        """
        silhouette = outline(frame)
        q, distance = inflation.inflate(silhouette.continued > 0.5)
        q = inflation.refine(q, distance, silhouette) * silhouette.scale**2
        q = np.where(q > 0, DEEPEST**2 * np.tanh(q / DEEPEST**2), q)
        near = backside.without_rim(frame.rgb, frame.alpha)
        far = backside.far_side(near, frame.alpha)
        shape = np.stack([q, np.zeros_like(q), 1 + relief(near, silhouette, distance, len(frame.rgb))])
        return InflatedField(
            torch.from_numpy(shape.astype(np.float32))[None],
            silhouette.center,
            silhouette.scale * CANVAS / 2,
            torch.from_numpy(np.concatenate([near, far], axis=-1)).permute(2, 0, 1)[None].contiguous(),
            FRAME_SIDE / 2,
            silhouette.scale * OBJECT,
            BACK,
        ).to(self._device)


def relief(
    near: NDArray[np.float32], silhouette: Silhouette, distance: inflation.Map, side: int
) -> inflation.Map:
    """The photo's fine light and dark as a small relief ``(2n, 2n)`` around 0, fading out towards the rim."""
    lightness = on_canvas(cv2.cvtColor(near, cv2.COLOR_RGB2LAB)[..., 0] / 100, silhouette)
    size = inflation.REFINEMENT
    fine = cv2.GaussianBlur(lightness, (0, 0), 1.2 * size) - cv2.GaussianBlur(
        lightness, (0, 0), 0.035 * OBJECT * size
    )
    inward = np.clip(inflation.enlarge(distance) / (0.03 * OBJECT), 0, 1)
    return np.asarray(RELIEF * 0.25 * np.tanh(fine / 0.25) * inward, dtype=np.float32)


def on_canvas(image: NDArray[np.float32], silhouette: Silhouette) -> inflation.Map:
    """A picture of the frame ``(s, s)`` on the refined canvas ``(2n, 2n)``; beyond the frame, its edge."""
    side, size = len(image), CANVAS * inflation.REFINEMENT
    frame_pixels = silhouette.scale / inflation.REFINEMENT / FRAME_SIDE * side
    steps = (np.arange(size) + 0.5 - size / 2) * frame_pixels
    columns = steps + silhouette.center[0] / FRAME_SIDE * side + side / 2 - 0.5
    rows = steps - silhouette.center[1] / FRAME_SIDE * side + side / 2 - 0.5
    grid_columns, grid_rows = np.meshgrid(columns.astype(np.float32), rows.astype(np.float32))
    soft = cv2.GaussianBlur(image, (0, 0), max(0.3, frame_pixels / 2))
    return np.asarray(
        cv2.remap(soft, grid_columns, grid_rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE),
        dtype=np.float32,
    )
