"""Global contrastive loss: two views of one expression against all other expressions.

*From the abstract* (arXiv 2508.06107): a global contrastive loss. *Our design*: which one, and
that no embedding of the same expression ever counts as a negative of it.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def nt_xent(
    first: Tensor,
    second: Tensor,
    temperature: float,
    negatives: Tensor | None = None,
    others: Tensor | None = None,
) -> Tensor:
    """NT-Xent (Chen et al., 2020, SimCLR, equation 1), mean over the 2B anchors.

    With a memory of Q embeddings of earlier batches, each anchor has those for negatives too
    (Wang et al., 2020, "Cross-batch memory").

    Args:
        first: (B, d) embeddings of the first views, any length.
        second: (B, d) embeddings of the second views; row i belongs to row i of `first`.
        temperature: of the softmax over cosine similarities.
        negatives: (Q, d) embeddings from memory, any length; no gradient goes there.
        others: bool (B, Q), False where the memory holds the same expression; None: nowhere.

    Raises:
        ValueError: views of different shapes, or nothing to contrast with.
    """
    if first.shape != second.shape:
        raise ValueError(f"views of different shapes: {first.shape} and {second.shape}")
    count = len(first)
    if count < 2 and (negatives is None or not len(negatives)):
        raise ValueError("a contrastive loss needs at least two expressions in a batch")
    embeddings = functional.normalize(torch.cat([first, second]).float(), dim=1)
    similarity = embeddings @ embeddings.T / temperature
    similarity.fill_diagonal_(-torch.inf)
    if negatives is not None and len(negatives):
        twice = None if others is None else others.repeat(2, 1)
        memory = memory_similarity(embeddings, negatives, twice, temperature)
        similarity = torch.cat([similarity, memory], dim=1)
    partners = torch.arange(2 * count, device=first.device).roll(count)
    return functional.cross_entropy(similarity, partners)


def memory_similarity(
    anchors: Tensor, negatives: Tensor, others: Tensor | None, temperature: float
) -> Tensor:
    """Logits (A, Q) of unit anchors (A, d) against a memory (Q, d); -inf where not `others`."""
    memory = functional.normalize(negatives.detach().float(), dim=1)
    logits = anchors @ memory.T / temperature
    return logits if others is None else logits.masked_fill(~others, -torch.inf)
