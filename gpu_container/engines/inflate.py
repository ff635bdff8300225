"""The embedded engine: a photo's outline, inflated. No weights, no network, about a second."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch

from gpu_container.engines import backside, cuboid, inflation, revolution
from gpu_container.engines.inflated_field import InflatedField
from gpu_container.engines.silhouette import (
    CAMERA_DISTANCE,
    CANVAS,
    FRAME_SIDE,
    OBJECT,
    Map,
    Silhouette,
    outline,
    signed_distance,
)
from gpu_container.field import Field
from gpu_container.photo import Frame

#: how much the photo's light and dark raises and lowers the front, as a share of its depth
RELIEF = 0.14
#: half the thickness of the deepest object, world units: it stays inside the cube
DEEPEST = 0.72
#: how far a flat base is lifted towards the height of its near edge, which is round: not all of it is so near
NEAR_EDGE = 0.8
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
        form = standing(solid(silhouette))
        q = inflation.refine(form.q, form.distance, form.silhouette, form.smoothed) * silhouette.scale**2
        q = np.where(q > 0, q / (1 + (np.maximum(q, 0) / DEEPEST**2) ** 8) ** (1 / 8), q)
        near = backside.without_rim(frame.rgb, frame.alpha)
        far = backside.far_side(near, frame.alpha)
        seen = inflation.fine_distance(silhouette.seen, form.distance, form.silhouette) * silhouette.scale
        raised = 1 + relief(near, q, form.distance, silhouette) if form.smoothed else np.ones_like(q)
        shape = np.stack(
            [
                q,
                inflation.enlarge(form.middle) * silhouette.scale,
                raised,
            ]
        )
        return InflatedField(
            shape=torch.from_numpy(shape.astype(np.float32))[None],
            outline=torch.from_numpy(seen.astype(np.float32))[None, None],
            colors=torch.from_numpy(np.concatenate([near, far], axis=-1)).permute(2, 0, 1)[None].contiguous(),
            center=silhouette.center,
            half_side=silhouette.scale * CANVAS / 2,
            colors_half_side=FRAME_SIDE / 2,
            length=silhouette.scale * OBJECT,
            back=form.back,
            camera=form.camera,
        ).to(self._device)


@dataclass(frozen=True)
class Form:
    """A solid over the canvas, lengths in its pixels, maps ``(n, n)``."""

    q: Map
    #: where the middle of each ray's stretch lies, towards the viewer
    middle: Map
    #: signed distance of the outline
    distance: Map
    silhouette: Silhouette
    #: how much flatter it is behind its middle than before it
    back: float
    #: from where the photo was taken, world units
    camera: float = CAMERA_DISTANCE
    #: False where edges are sharp and faces plane
    smoothed: bool = True


def solid(silhouette: Silhouette) -> Form:
    """The kind of solid that suits the outline: a box, a turned body, or a free form."""
    flat = np.zeros_like(silhouette.alpha)
    box = cuboid.find_cuboid(silhouette)
    if box:
        q, middle, alpha = cuboid.box_shape(box, len(flat))
        boxed = replace(silhouette, alpha=alpha, continued=alpha, flat=frozenset())
        return Form(q, middle, signed_distance(alpha > 0.5), boxed, 1.0, box.camera, smoothed=False)
    profile = revolution.find_profile(silhouette)
    if profile:
        q, distance = revolution.turn(profile, silhouette.alpha > 0.5)
        return Form(q, flat, distance, silhouette, 1.0)
    q, distance = inflation.inflate(silhouette.continued > 0.5)
    return Form(q, flat, distance, silhouette, BACK)


def standing(form: Form) -> Form:
    """``form`` with its flat base, if it has one, as high as the camera saw the base's near edge.

    The camera looks down at a base below its own height: the lowest row of the photo is the edge nearest to it.
    A base left at that row's height in the picture plane would run down towards the back.
    """
    silhouette = form.silhouette
    bottom = silhouette.box[1]
    height = silhouette.center[1] - (bottom - CANVAS / 2) * silhouette.scale
    if "bottom" not in silhouette.flat or height >= 0:
        return form
    near_edge = float(np.sqrt(max(form.q[bottom - 2].max(), 0))) * silhouette.scale
    lifted = NEAR_EDGE * -height * min(near_edge, DEEPEST) / CAMERA_DISTANCE / silhouette.scale
    return replace(form, silhouette=replace(silhouette, lifted=lifted))


def relief(near: Map, q: Map, distance: Map, silhouette: Silhouette) -> Map:
    """The photo's fine light and dark as a small relief ``(2n, 2n)`` around 0, fading out towards the rim."""
    lightness = np.asarray(cv2.cvtColor(near, cv2.COLOR_RGB2LAB)[..., 0] / 100, dtype=np.float32)
    pixel = silhouette.scale / inflation.REFINEMENT
    depth = np.sqrt(np.maximum(q, 0)).astype(np.float32)
    drawn = project(lightness, depth, pixel, silhouette.center)
    fine, coarse = 1.2 * inflation.REFINEMENT, 0.035 * OBJECT * inflation.REFINEMENT
    band = cv2.GaussianBlur(drawn, (0, 0), fine) - cv2.GaussianBlur(drawn, (0, 0), coarse)
    inward = np.clip(inflation.enlarge(distance) / (0.03 * OBJECT), 0, 1)
    return np.asarray(RELIEF * 0.25 * np.tanh(band / 0.25) * inward, dtype=np.float32)


def project(image: Map, depth: Map, pixel: float, center: tuple[float, float]) -> Map:
    """What the first view's camera sees of ``image`` ``(s, s)``, the frame, on a surface over the map.

    Args:
        depth: ``(h, h)``, how far before the picture plane, world units.
        pixel: its size; center: ``(y, z)`` of the map; world units.
    """
    offset = (np.arange(len(depth)) + 0.5 - len(depth) / 2) * pixel
    nearer = 1 / (1 - depth / CAMERA_DISTANCE)
    per_unit = len(image) / FRAME_SIDE
    columns = (offset[None] + center[0]) * nearer * per_unit + len(image) / 2 - 0.5
    rows = (offset[:, None] - center[1]) * nearer * per_unit + len(image) / 2 - 0.5
    soft = cv2.GaussianBlur(image, (0, 0), max(0.3, pixel * per_unit / 2))
    drawn = cv2.remap(
        soft,
        columns.astype(np.float32),
        rows.astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(drawn, dtype=np.float32)
