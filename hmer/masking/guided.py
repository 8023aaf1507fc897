"""Attention-guided masking: hide by preference what the attention map looks at.

*Our design*, after AttMask (Kakogeorgiou et al., 2022, "What to hide from your students"), which
hides the most attended patches: a hidden place that nothing depends on is an easy task. Here
blocks are drawn at random with weights that grow with the map, so that masks differ from step to
step and a wrong map does not hide the same ink for ever.
"""

from __future__ import annotations

import torch
from torch import Tensor

from hmer.masking.blocks import BlockGrid
from hmer.masking.units import choose

FLOOR = 0.05
"""Least weight of a block with ink, as a share of the mean weight of such blocks."""


def hide_guided(
    images: Tensor, attention: Tensor, share: float, block: int
) -> tuple[Tensor, Tensor]:
    """Hide blocks until at least `share` of each image's ink is gone, attended ones first.

    Blocks are drawn without replacement, each with a probability in proportion to the attention
    that falls on it (and a floor), by exponential races: the order of E_u / w_u with E_u standard
    exponential is such a draw (Efraimidis and Spirakis, 2006, algorithm A).

    Args:
        images: float (B, 1, H, W), ink 1 on 0.
        attention: (B, h, w) the map, not negative; h and w divide H and W.
        share: of the summed grey value, in [0, 1].
        block: side of a block in pixels.

    Returns:
        The images with the blocks blanked, and the hidden pixels, bool (B, 1, H, W).

    Raises:
        ValueError: the share is no share, or the map does not fit the images.
    """
    height, width = images.shape[-2:]
    rows, columns = attention.shape[-2:]
    if height % rows or width % columns:
        raise ValueError(f"a map of {rows} x {columns} cells for images of {height} x {width}")
    grid = BlockGrid.random(height, width, block)
    mass = grid.mean(images)
    spread = attention.float().repeat_interleave(height // rows, dim=1)
    weight = grid.mean(spread.repeat_interleave(width // columns, dim=2).unsqueeze(1))
    inked = mass > 0
    weight = weight.masked_fill(~inked, 0.0)
    mean = weight.sum(dim=1, keepdim=True) / inked.sum(dim=1, keepdim=True).clamp(min=1)
    # A map that sees nothing of the ink (or no map) leaves blocks alike.
    weight = weight.maximum(FLOOR * mean).clamp(min=1e-12)
    race = torch.rand(mass.shape, device=images.device).clamp(min=1e-12)
    pixels = grid.pixels(choose(mass, share, -race.log() / weight))
    return images.masked_fill(pixels, 0.0), pixels
