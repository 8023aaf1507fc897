"""Global contrastive loss: two views of one expression against all other expressions."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def nt_xent(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """NT-Xent (Chen et al., 2020, SimCLR, equation 1), mean over the 2B anchors.

    Args:
        first: (B, d) embeddings of the first views, any length.
        second: (B, d) embeddings of the second views; row i belongs to row i of `first`.
        temperature: of the softmax over cosine similarities.

    Raises:
        ValueError: fewer than two expressions: there would be nothing to contrast with.
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
