"""Choosing what to hide: pieces of ink, in some order, until their share is reached."""

from __future__ import annotations

import torch
from torch import Tensor


def choose(mass: Tensor, share: float, keys: Tensor) -> Tensor:
    """Hide as many pieces of each expression as its share needs, and never its last one.

    *Our design.* Vectorised over the batch: no step depends on what an expression holds.

    Args:
        mass: (B, U) ink of each piece, 0 where there is none: such a piece is never hidden.
        share: of each row's sum that the hidden pieces have at least, in [0, 1]; less only where
            the last piece with ink would have to go.
        keys: (B, U) finite; pieces are hidden in growing order of these.

    Returns:
        bool (B, U): hidden.

    Raises:
        ValueError: the share is no share.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"the hidden share must lie in [0, 1], not {share}")
    inked = mass > 0
    order = keys.masked_fill(~inked, torch.inf).argsort(dim=1)
    ordered = mass.gather(1, order)
    before = ordered.cumsum(dim=1) - ordered
    wanted = share * mass.sum(dim=1, keepdim=True)
    # Within rounding of the share is enough.
    chosen = (before < wanted - 1e-6 * wanted) & (ordered > 0)
    rank = torch.arange(mass.shape[1], device=mass.device)
    chosen &= rank < inked.sum(dim=1, keepdim=True) - 1
    return torch.zeros_like(inked).scatter(1, order, chosen)


def hidden_share(images: Tensor, hidden: Tensor) -> Tensor:
    """Share of each image's ink, (B, 1, H, W), that lies under hidden pixels (same shape): (B,).

    0 for a blank image.
    """
    total = images.flatten(1).sum(dim=1)
    gone = (images * hidden).flatten(1).sum(dim=1)
    return gone / total.clamp(min=1e-6)
