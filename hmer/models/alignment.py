"""Guided attention: while a token is written, the decoder should look at its symbol.

*Our design*, after the attention guider of "Track, Attend and Parse" (Zhang, Du and Dai, 2018,
section IV-C), which asks a recurrent decoder for the same: where the data say which strokes write
which token, the alignment that a decoder otherwise has to find out by itself is taught.
"""

from __future__ import annotations

import torch
from torch import Tensor

UNKNOWN = -100
"""Place of a cell of which nobody knows what is written in it."""


def alignment_loss(attention: Tensor, places: Tensor, targets: Tensor) -> Tensor:
    """How little of the cross-attention falls on the symbol of the token that is written.

    Args:
        attention: (2B, T, M), shares of the attention over M cells, both reading directions.
        places: int64 (B, M), place in the caption of the token written in each cell.
        targets: int64 (2B, T): a caption and its stop token, padded with 0; rows from B on are
            read from its end.

    Returns:
        Mean of -log of the share on the right cells, over all tokens that have any; 0 if none.
    """
    batch, length = len(places), targets.shape[1]
    steps = torch.arange(length, device=targets.device)
    # The stop token belongs to the known targets: the last token is one step before it.
    last = (targets[:batch] != 0).sum(dim=1, keepdim=True) - 2
    written = torch.cat([steps.expand(batch, length), last - steps])
    token = (steps <= last).repeat(2, 1)
    wanted = written.unsqueeze(-1) == torch.cat([places, places]).unsqueeze(1)
    wanted &= token.unsqueeze(-1)
    share = (attention * wanted).sum(dim=-1)
    known = wanted.any(dim=-1)
    # Only of the known ones: the others' share is 0, whose logarithm has no gradient.
    return -share[known].clamp(min=1e-6).log().sum() / known.sum().clamp(min=1)
