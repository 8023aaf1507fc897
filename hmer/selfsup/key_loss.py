"""Global contrastive loss against the keys of a slow encoder."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from hmer.selfsup.global_loss import memory_similarity


def key_info_nce(
    queries: Tensor,
    keys: Tensor,
    temperature: float,
    negatives: Tensor | None = None,
    others: Tensor | None = None,
) -> Tensor:
    """InfoNCE of queries against keys (He et al., 2020, MoCo, equation 1), mean over B queries.

    Negatives of a query are the keys of the other expressions of the batch (as in MoCo v3, Chen
    et al., 2021) and those in memory. No gradient reaches keys.

    Args:
        queries: (B, d) embeddings of one view, any length.
        keys: (B, d) embeddings of the other view by the slow encoder; row i belongs to query i.
        temperature: of the softmax over cosine similarities.
        negatives: (Q, d) earlier keys, any length.
        others: bool (B, Q), False where the memory holds the same expression; None: nowhere.

    Raises:
        ValueError: views of different shapes, or nothing to contrast with.
    """
    if queries.shape != keys.shape:
        raise ValueError(f"views of different shapes: {queries.shape} and {keys.shape}")
    if len(queries) < 2 and (negatives is None or not len(negatives)):
        raise ValueError("a contrastive loss needs at least two expressions in a batch")
    anchors = functional.normalize(queries.float(), dim=1)
    logits = anchors @ functional.normalize(keys.detach().float(), dim=1).T / temperature
    if negatives is not None and len(negatives):
        memory = memory_similarity(anchors, negatives, others, temperature)
        logits = torch.cat([logits, memory], dim=1)
    return functional.cross_entropy(logits, torch.arange(len(queries), device=queries.device))
