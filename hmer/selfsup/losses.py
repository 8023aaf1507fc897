"""Losses of both phases: contrast of expressions and of ink cells, entropy band of the map.

*From the abstract* (arXiv 2508.06107): a global and a local contrastive loss. *Our design*: NT-Xent
over expressions, InfoNCE over cells with ink matched by where the ink went, and the band in which
the map's entropy must lie.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional


def nt_xent(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """NT-Xent (Chen et al., 2020, SimCLR, equation 1), mean over the 2B anchors.

    Takes embeddings (B, d) of both views, row by row of one expression, of any length.

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

    Negatives of a cell are all other matched cells, of the same expression and of others. Takes
    embeddings (B, K, d) of cells with the same ink in both views, where bool (B, K) is True. 0
    where fewer than two are valid.
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
    """Features (B, K, channels) of the cells of a map (B, channels, h, w) in which points lie.

    Points (B, K, 2) are pixel coordinates, x before y; they are clamped to the map.
    """
    height, width = features.shape[-2:]
    columns = (points[..., 0] / stride).long().clamp(0, width - 1)
    rows = (points[..., 1] / stride).long().clamp(0, height - 1)
    flat = features.flatten(2).transpose(1, 2)
    index = (rows * width + columns).unsqueeze(-1).expand(-1, -1, flat.shape[-1])
    return flat.gather(1, index)


def ink_mean(features: Tensor, cells: Tensor) -> Tensor:
    """Mean feature (B, channels) of a map (B, channels, h, w) over the cells in bool (B, h, w)."""
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


ENOUGH = 256
"""Embeddings that are measured: the number of pairs grows with the square."""


def spread(embeddings: Tensor) -> Tensor:
    """Standard deviation of normalised embeddings (B, d) over the batch, 1 if even on the sphere.

    0 means that all are equal: the representation has collapsed (Chen and He, 2021, SimSiam,
    section 4.1).
    """
    unit = functional.normalize(embeddings.detach().float(), dim=1)
    return unit.std(dim=0).mean() * math.sqrt(unit.shape[1])


def alignment(first: Tensor, second: Tensor) -> Tensor:
    """Mean squared distance of normalised partners (B, d) (Wang and Isola, 2020, equation 6).

    With alpha = 2: 0 where both views have one embedding, 2 where they have nothing in common.
    """
    a, b = (functional.normalize(x.detach().float(), dim=1) for x in (first, second))
    return (a - b).square().sum(dim=1).mean()


def uniformity(embeddings: Tensor) -> Tensor:
    """Log of the mean Gaussian potential of all pairs (Wang and Isola, 2020, equation 8).

    With t = 2: 0 where all embeddings (B, d), normalised here, are equal; about -4 where they are
    even on a sphere of many dimensions.
    """
    unit = functional.normalize(embeddings.detach().float(), dim=1)
    above = torch.ones(len(unit), len(unit), dtype=torch.bool, device=unit.device).triu(1)
    squared = (2 - 2 * (unit @ unit.T))[above]
    return (-2 * squared).exp().mean().log()


def embedding_metrics(first: Tensor, second: Tensor, suffix: str = "") -> dict[str, Tensor]:
    """`spread`, `alignment` and `uniformity` of two views' embeddings (B, d); none for B < 2."""
    if len(first) < 2:
        return {}
    first, second = first[:ENOUGH], second[:ENOUGH]
    return {
        f"spread{suffix}": spread(first),
        f"alignment{suffix}": alignment(first, second),
        f"uniformity{suffix}": uniformity(first),
    }
