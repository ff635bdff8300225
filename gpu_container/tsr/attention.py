"""Multi-head attention (Vaswani et al. 2017) over tokens without a batch."""

from __future__ import annotations

import torch
import torch.nn.functional as F


def attend(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, heads: int) -> torch.Tensor:
    """``softmax(q kᵀ / √d) v`` per head: ``(n, c)``, ``(m, c)``, ``(m, c)`` → ``(n, c)``."""
    q, k, v = (x.reshape(len(x), heads, -1).transpose(0, 1)[None] for x in (query, key, value))
    mixed = F.scaled_dot_product_attention(q, k, v)  # (1, heads, n, c / heads)
    return mixed[0].transpose(0, 1).flatten(1)
