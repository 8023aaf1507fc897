r"""Classifier of single symbols: a linear layer on pooled features of the ink cells.

The decoder of a recogniser that is trained on expressions takes a rare symbol that stands alone for
a common one that looks like it (`\chi` for `x`): its prior is that of expressions. The features
tell them apart, as a linear probe (Alain and Bengio, 2017, "Understanding intermediate layers using
linear classifier probes") shows; so a probe is kept, and its opinion is mixed with the decoder's
(`hmer.decoding.lone_symbol`). It is fitted when the training is over
(`hmer.training.lone_symbol`), on weights that stay as they are: expressions pay nothing for it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

POOLED = 4
"""Times the channels: mean and maximum of two kinds of features."""


def pooled(features: Tensor, attended: Tensor, valid: Tensor) -> Tensor:
    """Mean and maximum over the ink cells: (B, `POOLED` * channels).

    Args:
        features: (B, M, channels), the encoder's.
        attended: (B, M, channels), the same in context.
        valid: bool (B, M): False for padding. One cell of each image at least is valid.
    """
    inside = valid.unsqueeze(-1)
    count = inside.sum(dim=1)
    found = []
    for kind in (features, attended):
        found.append(kind.masked_fill(~inside, 0.0).sum(dim=1) / count)
        found.append(kind.masked_fill(~inside, -torch.inf).amax(dim=1))
    return torch.cat(found, dim=1)


class LoneSymbol(nn.Module):
    r"""Which symbol an image shows, if it shows no more than one.

    `token` has a logit for every class of the vocabulary, the stop token's for ink that is not one
    symbol; `letter` those of the letter that a command encloses (`\mathbb { R }`).
    """

    def __init__(self, channels: int, vocabulary: int) -> None:
        super().__init__()
        self.token = nn.Linear(POOLED * channels, vocabulary)
        self.letter = nn.Linear(POOLED * channels, vocabulary)

    def forward(self, features: Tensor) -> Tensor:
        """Logits (B, 2, vocabulary), of token and letter, from what `pooled` returns."""
        return torch.stack([self.token(features), self.letter(features)], dim=1)
