"""The learned matte: U²-Net (Qin et al., Pattern Recognition 2020) through rembg, from a pinned model file."""

from __future__ import annotations

import functools
import hashlib
import logging
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from infra.errors import MissingDependency, NoClearObject, WeightsCorrupt, WeightsMissing
from infra.published import U2NET

log = logging.getLogger(__name__)

#: of the file that rembg publishes as u2net.onnx
SHA256 = U2NET.files[0].sha256
#: a map whose highest and lowest value differ by less says nothing
_FLAT = 0.05


def u2net_alpha(rgb: NDArray[np.uint8], model: Path) -> NDArray[np.float32]:
    """How much each pixel of ``rgb`` ``(h, w, 3)`` belongs to the salient object: ``(h, w) float32`` in 0..1.

    Raises:
        WeightsMissing, WeightsCorrupt: ``model`` is not there, or not the pinned file.
        MissingDependency: rembg or onnxruntime is not installed.
        NoClearObject: the network's map is flat.
    """
    session = _session(model)
    picture = Image.fromarray(rgb)
    inputs = session.normalize(picture, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), (320, 320))
    saliency = np.asarray(session.inner_session.run(None, inputs)[0], np.float32)[0, 0]
    low, high = float(saliency.min()), float(saliency.max())
    if not high - low >= _FLAT:  # also catches NaN; rembg itself would divide by this difference
        raise NoClearObject(
            "No object stands out in this picture. Try one with a single object before a plain wall."
        )
    stretched = Image.fromarray((saliency - low) / (high - low))
    alpha = np.asarray(stretched.resize(picture.size, Image.Resampling.LANCZOS))
    return np.asarray(np.clip(alpha, 0, 1), np.float32)


@functools.lru_cache(maxsize=1)
def _session(model: Path) -> Any:
    """rembg's u2net session on exactly this file: checked first, never looked up, never downloaded."""
    if not model.is_file():
        raise WeightsMissing(f"There is no matte model at {model}.")
    with model.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != SHA256:
        raise WeightsCorrupt(f"{model} is not the published u2net.onnx: SHA-256 {found}, not {SHA256}.")
    try:
        # here and not above: importing it takes seconds, and the embedded matte does without
        import onnxruntime
        from rembg.sessions.u2net import U2netSession
    except ImportError as error:
        raise MissingDependency(
            "The learned matte needs the rembg extra: pip install 'maquette[rembg]'."
        ) from error

    class PinnedSession(U2netSession):  # type: ignore[misc]
        @classmethod
        def download_models(cls, *_: Any, **__: Any) -> str:
            return str(model)

    session = PinnedSession("u2net", onnxruntime.SessionOptions())
    log.info("u2net runs on %s", session.inner_session.get_providers()[0])
    return session
