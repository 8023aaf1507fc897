"""Metrics of embeddings: spread, alignment of partners, uniformity."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

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
