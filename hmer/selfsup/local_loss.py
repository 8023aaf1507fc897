"""Local contrastive loss: the same piece of ink in two views against other pieces of ink.

*From the abstract* (arXiv 2508.06107): a local contrastive loss. *Our design*: InfoNCE over cells
with ink, matched by where the ink went.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def local_info_nce(first: Tensor, second: Tensor, valid: Tensor, temperature: float) -> Tensor:
    """InfoNCE (van den Oord et al., 2018, equation 4) over matched ink cells, both ways.

    Negatives of a cell are all other matched cells, of the same expression and of others.

    Args:
        first: (B, K, d) embeddings of K ink cells of each first view.
        second: (B, K, d) embeddings of the cells with the same ink in the second views.
        valid: bool (B, K), False for places that hold no match.
        temperature: of the softmax over cosine similarities.

    Returns:
        Mean over the valid cells and both directions; 0 where fewer than two are valid.
    """
    a = functional.normalize(first[valid].float(), dim=1)
    b = functional.normalize(second[valid].float(), dim=1)
    if len(a) < 2:
        return (a.sum() + b.sum()) * 0.0
    similarity = a @ b.T / temperature
    own = torch.arange(len(a), device=a.device)
    return 0.5 * (
        functional.cross_entropy(similarity, own) + functional.cross_entropy(similarity.T, own)
    )


def cells_at(features: Tensor, points: Tensor, stride: int) -> Tensor:
    """Features of the cells in which points lie.

    Args:
        features: (B, channels, h, w).
        points: (B, K, 2) pixel coordinates, x before y; clamped to the map.
        stride: pixels per cell.

    Returns:
        (B, K, channels).
    """
    height, width = features.shape[-2:]
    columns = (points[..., 0] / stride).long().clamp(0, width - 1)
    rows = (points[..., 1] / stride).long().clamp(0, height - 1)
    flat = features.flatten(2).transpose(1, 2)
    index = (rows * width + columns).unsqueeze(-1).expand(-1, -1, flat.shape[-1])
    return flat.gather(1, index)
