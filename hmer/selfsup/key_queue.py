"""A memory of embeddings of the latest batches: negatives beyond what one batch can hold."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class KeyQueue(nn.Module):
    """First in, first out (He et al., 2020, MoCo, section 3.2); kept in checkpoints.

    *Our design*: it remembers whose embedding each is. Sets of handwriting are small, so that a
    queue often holds the very expression that is looked at, which is no negative.
    """

    keys: Tensor
    """float (size, channels), newest first, of unit length."""
    owners: Tensor
    """int64 (size,): number of the expression; -1 where nothing has been put yet."""

    def __init__(self, size: int, channels: int) -> None:
        super().__init__()
        self.size = size
        self.register_buffer("keys", torch.zeros(size, channels))
        self.register_buffer("owners", torch.full((size,), -1, dtype=torch.long))

    def push(self, keys: Tensor, owners: Tensor) -> None:
        """Put embeddings (n, channels) of the expressions `owners` (n,); the oldest fall out."""
        newest = functional.normalize(keys.detach().float(), dim=1).to(self.keys.device)
        names = owners.to(self.owners.device)
        self.keys.copy_(torch.cat([newest, self.keys])[: self.size])
        self.owners.copy_(torch.cat([names, self.owners])[: self.size])

    def negatives(self, samples: Tensor) -> tuple[Tensor, Tensor]:
        """What is in the queue, and where it is of another expression.

        Args:
            samples: int64 (B,) numbers of the anchors' expressions.

        Returns:
            (Q, channels) and bool (B, Q), Q at most the size.
        """
        filled = int((self.owners >= 0).sum())
        owners = self.owners[:filled]
        return self.keys[:filled], samples[:, None] != owners[None]
