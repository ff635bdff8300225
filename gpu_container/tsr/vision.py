"""The image tokenizer: a ViT without its head (Dosovitskiy et al. 2021), trained by DINO, then by TripoSR.

Attributes carry the checkpoint's names, which are those of transformers 4.35.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from gpu_container.tsr.attention import attend
from gpu_container.tsr.config import VisionConfig

#: ImageNet's mean and standard deviation per channel, sRGB 0..1
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class ImageTokenizer(nn.Module):
    """Picture → one token per patch, and one for the whole before them."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.model = VisionTransformer(config)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """``(3, h, w)`` sRGB 0..1, sides multiples of the patch → ``(1 + h/p · w/p, hidden)``."""
        mean, deviation = image.new_tensor(MEAN)[:, None, None], image.new_tensor(DEVIATION)[:, None, None]
        tokens: torch.Tensor = self.model((image - mean) / deviation)
        return tokens


class VisionTransformer(nn.Module):
    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.embeddings = Embeddings(config)
        self.encoder = Encoder(config)
        self.layernorm = nn.LayerNorm(config.hidden_size, config.layer_norm_eps)
        self.pooler = Dense(config.hidden_size, config.hidden_size)  # in the checkpoint; TripoSR never asks it

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        tokens: torch.Tensor = self.layernorm(self.encoder(self.embeddings(image)))
        return tokens


class Embeddings(nn.Module):
    """Patches, cut out and projected, plus what tells where each was."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.grid = config.image_size // config.patch_size
        self.cls_token = nn.Parameter(torch.zeros(1, 1, config.hidden_size))
        self.position_embeddings = nn.Parameter(torch.zeros(1, 1 + self.grid**2, config.hidden_size))
        self.patch_embeddings = PatchEmbeddings(config)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        patches = self.patch_embeddings.projection(image[None])  # (1, c, rows, columns)
        rows, columns = (int(n) for n in patches.shape[2:])  # numbers also for whoever traces this
        tokens = torch.cat([self.cls_token[0], patches[0].flatten(1).T])
        return tokens + self._positions(rows, columns)

    def _positions(self, rows: int, columns: int) -> torch.Tensor:
        """Position embeddings ``(1 + rows · columns, c)``, resampled from the training's grid."""
        whole, patches = self.position_embeddings[0, :1], self.position_embeddings[0, 1:]
        if (rows, columns) == (self.grid, self.grid):
            return self.position_embeddings[0]
        planes = patches.T.reshape(1, -1, self.grid, self.grid)
        # The checkpoint was trained with scales that are a little too large (transformers 4.35 added 0.1 to the
        # size against rounding errors) and used them as they are: resampling by size gives other tokens.
        scale = ((rows + 0.1) / self.grid, (columns + 0.1) / self.grid)
        planes = F.interpolate(planes, scale_factor=scale, mode="bicubic", align_corners=False)
        return torch.cat([whole, planes[0].flatten(1).T])


class PatchEmbeddings(nn.Module):
    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.projection = nn.Conv2d(3, config.hidden_size, config.patch_size, stride=config.patch_size)


class Encoder(nn.Module):
    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.layer = nn.ModuleList(EncoderLayer(config) for _ in range(config.num_hidden_layers))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        for layer in self.layer:
            tokens = layer(tokens)
        return tokens


class EncoderLayer(nn.Module):
    """Pre-norm block: ``x + attention(norm(x))``, then ``x + mlp(norm(x))``; tokens are ``(n, c)``."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        width, eps = config.hidden_size, config.layer_norm_eps
        self.layernorm_before = nn.LayerNorm(width, eps)
        self.attention = Attention(config)
        self.layernorm_after = nn.LayerNorm(width, eps)
        self.intermediate = Dense(width, config.intermediate_size)
        self.output = Dense(config.intermediate_size, width)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        tokens = tokens + self.attention(self.layernorm_before(tokens))
        hidden = F.gelu(self.intermediate.dense(self.layernorm_after(tokens)))
        result: torch.Tensor = tokens + self.output.dense(hidden)
        return result


class Attention(nn.Module):
    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.heads = config.num_attention_heads
        self.attention = Projections(config.hidden_size)
        self.output = Dense(config.hidden_size, config.hidden_size)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        to = self.attention
        mixed = attend(to.query(tokens), to.key(tokens), to.value(tokens), self.heads)
        result: torch.Tensor = self.output.dense(mixed)
        return result


class Projections(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))


class Dense(nn.Module):
    """One linear layer under the name that the checkpoint has for it."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.dense = nn.Linear(inputs, outputs)
