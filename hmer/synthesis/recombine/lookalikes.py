"""Which symbols can stand where another stands: categories of one role and one shape.

A letter may become another letter that reaches as high and as low, a digit another digit, an
operator another operator; the expression stays one that could have been written there.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

CATEGORIES: tuple[tuple[str, ...], ...] = tuple(
    tuple(line.split())
    for line in (
        "0 1 2 3 4 5 6 7 8 9",
        r"a c e m n o r s u v w x z \alpha \sigma \pi",
        r"b d f h i k l t \lambda \theta",
        r"g j p q y \gamma \mu \beta \phi",
        r"A B C E F G H I L M N P R S T V X Y \Delta",
        r"+ - \times \div \pm \cdot",
        r"= < > \leq \geq \neq \in \rightarrow",
        r"\sin \cos \tan \log",
        r"\forall \exists",
        r"\ldots \cdots",
    )
)
"""Tokens that can take one another's place; a token is in one category at most."""


class Lookalikes:
    """Draws another symbol for a symbol; rare ones more often than they occur."""

    def __init__(self, counts: Mapping[str, int], tempering: float) -> None:
        """Prepare the draws.

        Args:
            counts: how often each token occurs; others are never drawn.
            tempering: 1: tokens as often as they occur; 0: all of a category as often.
        """
        self._others: dict[str, tuple[list[str], NDArray[np.float64]]] = {}
        for category in CATEGORIES:
            for token in category:
                others = [other for other in category if other != token and counts.get(other)]
                if others:
                    chance = np.array([counts[other] for other in others], np.float64) ** tempering
                    self._others[token] = (others, np.cumsum(chance / chance.sum()))

    def another(self, token: str, rng: np.random.Generator) -> str | None:
        """Another token of the category of `token`; None if it has none."""
        if token not in self._others:
            return None
        others, below = self._others[token]
        return others[min(int(np.searchsorted(below, rng.random())), len(others) - 1)]
