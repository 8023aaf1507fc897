"""Keeping the attention map from the two trivial answers: everywhere alike, and one cell.

*Our design.*
"""

from __future__ import annotations

import torch
from torch import Tensor


def evenness(log_map: Tensor) -> Tensor:
    """Entropy of each map over the log of its cell count, in [0, 1]: (B, N) to (B,).

    1 is uniform over the cells that may be seen, 0 a single cell. A map of one cell is 1.
    """
    inside = torch.isfinite(log_map)
    safe = log_map.masked_fill(~inside, 0.0)
    entropy = -(safe.exp() * safe).masked_fill(~inside, 0.0).sum(dim=1)
    most = inside.sum(dim=1).float().log()
    return torch.where(most > 0, entropy / most.clamp(min=1e-6), 1.0)


def evenness_penalty(even: Tensor, low: float, high: float) -> Tensor:
    """Squared distance of evenness (B,) from the band [low, high], averaged."""
    return ((low - even).clamp(min=0) + (even - high).clamp(min=0)).square().mean()
