"""Targets of an implicit head: the caption with everything but structure replaced by a blank."""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor

from hmer.latex.vocabulary import Vocabulary

HEAVIEST = 10.0
"""Greatest weight of a class in `blank_weights`."""


def tag_table(words: Vocabulary, kept: Collection[str]) -> Tensor:
    """Implicit tag of every token number, int64 (len(words),).

    Padding, start, end and the tokens in `kept` keep their number; all others become the blank,
    `len(words)`. (The published systems put the blank at 3 and move the tokens up.) Indexing the
    table with targets of any shape gives implicit targets: tags do not depend on the context.
    """
    table = torch.arange(len(words))
    table[words.encode(token for token in words.tokens if token not in kept)] = len(words)
    return table


def blank_weights(tags: Tensor, classes: int) -> Tensor:
    """Weight of every class against the flood of blanks: float (classes,) (ICAL).

    With r the share of blanks among all places, padding included, every class weighs
    min(10, 1 + ln(1 + 1 / (1 - r + 1e-6))) and the blank, the last class, 1.

    Args:
        tags: int64 (R, T), padded implicit targets.
        classes: of the implicit head.
    """
    blank = classes - 1
    share = (tags == blank).float().mean()
    weight = 1 + torch.log(1 + 1 / (1 - share + 1e-6))
    weights = weight.clamp(max=HEAVIEST).repeat(classes)
    weights[blank] = 1.0
    return weights
