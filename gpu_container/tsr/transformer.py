"""From image tokens to a triplane: a transformer over learned triplane tokens, and an upsampler.

Attributes carry the checkpoint's names, which are those of diffusers' blocks.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from gpu_container.tsr.attention import attend
from gpu_container.tsr.config import TransformerConfig


class TriplaneTokenizer(nn.Module):
    """Learned tokens, one for each cell of the three planes: where every reconstruction starts."""

    def __init__(self, plane_size: int, channels: int) -> None:
        super().__init__()
        self.plane_size = plane_size
        self.embeddings = nn.Parameter(torch.zeros(3, channels, plane_size, plane_size))

    def forward(self) -> torch.Tensor:
        """``(3 · s², c)``: plane by plane, row by row."""
        return self.embeddings.flatten(2).transpose(1, 2).flatten(0, 1)

    def detokenize(self, tokens: torch.Tensor) -> torch.Tensor:
        """``(3 · s², c)`` → planes ``(3, c, s, s)``."""
        return tokens.reshape(3, self.plane_size, self.plane_size, -1).permute(0, 3, 1, 2)


class Transformer1D(nn.Module):
    """Normalise, project, attend layer by layer, project back, add what came in."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        width = config.in_channels
        self.norm = nn.GroupNorm(config.norm_num_groups, width, eps=1e-6)
        self.proj_in = nn.Linear(width, width)
        self.transformer_blocks = nn.ModuleList(TransformerBlock(config) for _ in range(config.num_layers))
        self.proj_out = nn.Linear(width, width)

    def forward(self, tokens: torch.Tensor, image_tokens: torch.Tensor) -> torch.Tensor:
        """``(n, c)`` and ``(m, cross_attention_dim)`` → ``(n, c)``."""
        hidden = self.proj_in(self.norm(tokens.T[None])[0].T)  # groups of channels, normalised over all tokens
        for block in self.transformer_blocks:
            hidden = block(hidden, image_tokens)
        result: torch.Tensor = self.proj_out(hidden) + tokens
        return result


class TransformerBlock(nn.Module):
    """Pre-norm: self-attention, attention to the image, gated MLP; each added to what it was given."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        width = config.in_channels
        self.norm1 = nn.LayerNorm(width)
        self.attn1 = CrossAttention(width, width, config.num_attention_heads)
        self.norm2 = nn.LayerNorm(width)
        self.attn2 = CrossAttention(width, config.cross_attention_dim, config.num_attention_heads)
        self.norm3 = nn.LayerNorm(width)
        self.ff = FeedForward(width)

    def forward(self, tokens: torch.Tensor, image_tokens: torch.Tensor) -> torch.Tensor:
        normed = self.norm1(tokens)
        tokens = tokens + self.attn1(normed, normed)
        tokens = tokens + self.attn2(self.norm2(tokens), image_tokens)
        result: torch.Tensor = tokens + self.ff(self.norm3(tokens))
        return result


class CrossAttention(nn.Module):
    def __init__(self, width: int, context_width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.to_q = nn.Linear(width, width, bias=False)
        self.to_k = nn.Linear(context_width, width, bias=False)
        self.to_v = nn.Linear(context_width, width, bias=False)
        self.to_out = nn.Sequential(nn.Linear(width, width))

    def forward(self, tokens: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        mixed = attend(self.to_q(tokens), self.to_k(context), self.to_v(context), self.heads)
        result: torch.Tensor = self.to_out(mixed)
        return result


class FeedForward(nn.Module):
    """GEGLU (Shazeer 2020): half of the hidden layer gates the other, then back to ``width``."""

    def __init__(self, width: int) -> None:
        super().__init__()
        # the middle one holds the place of a dropout, so that the last is `net.2` as in the checkpoint
        self.net = nn.Sequential(GatedProjection(width, 4 * width), nn.Identity(), nn.Linear(4 * width, width))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.net(tokens)
        return result


class GatedProjection(nn.Module):
    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.proj = nn.Linear(width, 2 * hidden)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        value, gate = self.proj(tokens).chunk(2, dim=-1)
        result: torch.Tensor = value * F.gelu(gate)
        return result


class TriplaneUpsampler(nn.Module):
    """Planes twice as fine, with fewer channels."""

    def __init__(self, channels: int, plane_channels: int) -> None:
        super().__init__()
        self.upsample = nn.ConvTranspose2d(channels, plane_channels, kernel_size=2, stride=2)

    def forward(self, planes: torch.Tensor) -> torch.Tensor:
        """``(3, c, s, s)`` → ``(3, plane_channels, 2 s, 2 s)``."""
        result: torch.Tensor = self.upsample(planes)
        return result
