"""Losses of both phases: contrast of expressions and of ink cells, entropy band of the map.

*From the abstract* (arXiv 2508.06107): a global and a local contrastive loss. *Our design*: NT-Xent
over expressions, InfoNCE over cells with ink matched by where the ink went, and the band in which
the map's entropy must lie.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


def nt_xent(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """NT-Xent (Chen et al., 2020, SimCLR, equation 1), mean over the 2B anchors.

    Args:
        first: (B, d) embeddings of the first views, any length.
        second: (B, d) embeddings of the second views; row i belongs to row i of `first`.
        temperature: of the softmax over cosine similarities.

    Raises:
        ValueError: views of different shapes, or fewer than two expressions.
    """
    if first.shape != second.shape:
        raise ValueError(f"views of different shapes: {first.shape} and {second.shape}")
    count = len(first)
    if count < 2:
        raise ValueError("a contrastive loss needs at least two expressions in a batch")
    embeddings = functional.normalize(torch.cat([first, second]).float(), dim=1)
    similarity = embeddings @ embeddings.T / temperature
    similarity.fill_diagonal_(-torch.inf)
    partners = torch.arange(2 * count, device=first.device).roll(count)
    return functional.cross_entropy(similarity, partners)


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


def ink_mean(features: Tensor, cells: Tensor) -> Tensor:
    """Mean feature over the given cells: (B, channels).

    Args:
        features: (B, channels, h, w).
        cells: bool (B, h, w), at least one per image.
    """
    weights = cells.unsqueeze(1).to(features.dtype)
    return (features * weights).sum(dim=(2, 3)) / weights.sum(dim=(2, 3))


def projector(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    """Two-layer perceptron (Chen et al., 2020, section 4.2), with layer norm between.

    Layer norm in place of batch norm: it works on single cells as on whole expressions and for
    any batch.
    """
    return nn.Sequential(
        nn.Linear(inputs, hidden), nn.LayerNorm(hidden), nn.GELU(), nn.Linear(hidden, outputs)
    )


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
