"""Pooling a feature map over the ink (*our design*: paper says nothing about an expression)."""

from __future__ import annotations

from torch import Tensor


def ink_mean(features: Tensor, cells: Tensor) -> Tensor:
    """Mean feature over the given cells: (B, channels).

    Args:
        features: (B, channels, h, w).
        cells: bool (B, h, w), at least one per image.
    """
    weights = cells.unsqueeze(1).to(features.dtype)
    return (features * weights).sum(dim=(2, 3)) / weights.sum(dim=(2, 3))
