"""The sinusoidal position code."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def sinusoid(positions: Tensor, width: int, base: float = 10_000.0) -> Tensor:
    """Interleaved sine and cosine of each position (Vaswani et al., 2017, section 3.5).

    Args:
        positions: any shape (...), real-valued.
        width: number of channels, even.
        base: the slowest wave has period 2 pi times this.

    Returns:
        (..., width): channel 2i is the sine and 2i + 1 the cosine of base^(-2i / width) times
        the position.
    """
    if width % 2:
        raise ValueError(f"a position code needs an even width, not {width}")
    frequencies = torch.exp(
        torch.arange(0, width, 2, device=positions.device) * (-math.log(base) / width)
    )
    angles = positions.float().unsqueeze(-1) * frequencies
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(-2)
