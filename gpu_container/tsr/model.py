"""TripoSR (Tochilkin et al. 2024, arXiv:2403.02151): one picture in, a triplane out.

    picture (512, 512, 3)
      → image tokens (1025, 768)        vision.py: ViT-B/16
      → triplane tokens (3 · 32², 1024) transformer.py: 16 layers that look at the image's
      → scene code (3, 40, 64, 64)      transformer.py: the upsampler
      → density and colour at a point   decoder.py, triplane.py

Module names are the checkpoint's.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from gpu_container.tsr import checkpoint
from gpu_container.tsr.config import TSRConfig, read_config
from gpu_container.tsr.decoder import Decoder
from gpu_container.tsr.transformer import Transformer1D, TriplaneTokenizer, TriplaneUpsampler
from gpu_container.tsr.vision import ImageTokenizer

Picture = Image.Image | NDArray[np.float32] | torch.Tensor


def half_precision(device: torch.device) -> torch.dtype | None:
    """In what matrices are multiplied on ``device``; None is float32.

    Norms and the sums from layer to layer stay in float32 either way. bfloat16 has float32's range and is
    preferred where the device computes in it; a CPU that only converts it gains nothing.
    """
    if device.type != "cuda":
        return None
    return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16


class TSR(nn.Module):
    """The whole network; its tensors are float32."""

    def __init__(self, config: TSRConfig) -> None:
        super().__init__()
        self.config = config
        channels = config.transformer.in_channels
        self.image_tokenizer = ImageTokenizer(config.vision)
        self.tokenizer = TriplaneTokenizer(config.plane_size, channels)
        self.backbone = Transformer1D(config.transformer)
        self.post_processor = TriplaneUpsampler(channels, config.plane_channels)
        self.decoder = Decoder(3 * config.plane_channels, config.decoder_neurons, config.decoder_hidden_layers)

    @classmethod
    def load(cls, directory: Path, device: torch.device | str = "cpu") -> TSR:
        """The network in ``directory``: ``config.yaml`` and ``model.safetensors`` or ``model.ckpt``.

        Raises:
            WeightsMissing: there is no such directory, or no tensors in it.
            WeightsCorrupt: a file is damaged, or the tensors are not those that config.yaml describes.
        """
        path = checkpoint.find(directory)
        config = read_config(directory)
        with torch.device("meta"):  # shapes only: the tensors are the file's
            network = cls(config)
        checkpoint.fit(network, checkpoint.read(path), path)
        return network.to(device).eval().requires_grad_(False)

    @property
    def device(self) -> torch.device:
        """Where its tensors live."""
        return self.tokenizer.embeddings.device

    @torch.inference_mode()
    def encode(self, image: Picture) -> torch.Tensor:
        """The scene code of one picture, ``(3, plane_channels, 2 · plane_size, 2 · plane_size) float32``.

        Args:
            image: sRGB on grey, the object in the middle: ``(h, w, 3)`` in 0..1, or a PIL image. It is
                resampled to ``cond_image_size``².
        """
        dtype = half_precision(self.device)
        with torch.autocast(self.device.type, dtype, enabled=dtype is not None):
            scene_code: torch.Tensor = self(self.prepare(image))
        return scene_code.float()

    def prepare(self, image: Picture) -> torch.Tensor:
        """``image`` as the network takes it: ``(3, s, s) float32`` on its device, s = ``cond_image_size``."""
        if isinstance(image, Image.Image):
            image = torch.from_numpy(np.array(image.convert("RGB"))) / 255
        pixels = torch.as_tensor(image, dtype=torch.float32, device=self.device).permute(2, 0, 1)
        size = (self.config.cond_image_size,) * 2
        if pixels.shape[1:] == size:
            return pixels
        return F.interpolate(pixels[None], size, mode="bilinear", align_corners=False, antialias=True)[0]

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """``(3, s, s)`` from :meth:`prepare` → scene code."""
        tokens = self.backbone(self.tokenizer(), self.image_tokenizer(pixels))
        scene_code: torch.Tensor = self.post_processor(self.tokenizer.detokenize(tokens))
        return scene_code
