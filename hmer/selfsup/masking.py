"""Spatial masking: hide a share of the ink, in blocks."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def hide_ink(images: Tensor, share: float, block: int) -> tuple[Tensor, Tensor]:
    """Hide blocks until at least `share` of each image's ink is gone.

    Only blocks that hold ink are hidden (hiding paper teaches nothing), in random order and on a
    grid with a random origin; the last block with ink always stays. Vectorised over the batch;
    random numbers come from torch's global generator.

    Args:
        images: float (B, 1, H, W), ink 1 on 0.
        share: of the summed grey value, in [0, 1].
        block: side of a block in pixels.

    Returns:
        The images with the blocks blanked, and the hidden pixels, bool (B, 1, H, W).
    """
    if not 0 <= share <= 1:
        raise ValueError(f"the hidden share must lie in [0, 1], not {share}")
    height, width = images.shape[-2:]
    top, left = (int(x) for x in torch.randint(block, (2,)))
    bottom, right = -(height + top) % block, -(width + left) % block
    padded = functional.pad(images, (left, right, top, bottom))
    mass = functional.avg_pool2d(padded, block)
    flat = mass.flatten(1)
    inked = flat > 0

    keys = torch.rand(flat.shape, device=images.device).masked_fill(~inked, 2.0)
    order = keys.argsort(dim=1)
    ordered = flat.gather(1, order)
    before = ordered.cumsum(dim=1) - ordered
    wanted = share * flat.sum(dim=1, keepdim=True)
    chosen = (before < wanted - 1e-6 * wanted) & (ordered > 0)
    rank = torch.arange(flat.shape[1], device=images.device)
    chosen &= rank < inked.sum(dim=1, keepdim=True) - 1
    hidden = torch.zeros_like(inked).scatter(1, order, chosen).view_as(mass)

    pixels = hidden.repeat_interleave(block, dim=2).repeat_interleave(block, dim=3)
    pixels = pixels[:, :, top : top + height, left : left + width]
    return images.masked_fill(pixels, 0.0), pixels
