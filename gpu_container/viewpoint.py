"""The framed photo as a View of the surface: known from the engine, or found."""

from __future__ import annotations

import logging

import numpy as np
import torch
from numpy.typing import NDArray

from gpu_container import registration
from gpu_container.device import evaluate
from gpu_container.engines.backside import without_rim
from gpu_container.field import Field, PhotographedField
from gpu_container.mesh import Mesh
from gpu_container.photo import WORKING_SIDE, Frame, Photo
from gpu_container.photo import frame as framed
from gpu_container.projection import View

log = logging.getLogger(__name__)


def view_of(
    picture: Photo,
    alpha: NDArray[np.float32],
    foreground_ratio: float,
    frame: Frame,
    texture_size: int,
    field: Field,
    surface: Mesh,
) -> View | None:
    """The photo as a View of ``surface``, as sharp as the texture can show it; None where it adds nothing.

    It adds nothing to a Field whose colours are the photo's own already, unless the texture is finer than what
    the engine looked at. Where the model is too unlike the photo for its camera to be found, a notice says so.

    Args:
        picture, alpha, foreground_ratio: what :func:`gpu_container.photo.frame` made of them is ``frame``.
        frame: what the engine looked at.
        surface: the field's.
    """
    side = min(texture_size, WORKING_SIDE)
    finer = side > len(frame.rgb)
    if isinstance(field, PhotographedField) and not finer:
        return None
    if finer:
        frame = framed(picture, alpha, foreground_ratio, side)
    rgb = without_rim(frame.rgb, frame.alpha)

    def on_device(points: NDArray[np.float32]) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(points)).to(field.device)

    if isinstance(field, PhotographedField):
        return View(
            rgb,
            frame.alpha,
            lambda points: np.asarray(field.photo_places(on_device(points)).cpu().numpy()),
            np.array(field.photo_position),
        )
    fit = registration.find(
        rgb, frame.alpha, surface, lambda points: evaluate(field.color, on_device(points)).cpu().numpy()
    )
    log.info("the photo fits from %s: overlap %.3f, difference %.3f", fit.pose, fit.overlap, fit.difference)
    if not fit.good:
        log.warning(
            "The model differs too much from the photo for the photo to be laid onto it (outlines overlap by "
            "%.0f %%): its texture has the model's own colours.",
            100 * fit.overlap,
        )
        return None
    return View(rgb, frame.alpha, fit.pose.project, fit.pose.camera.position)
