"""What a search may be forbidden to write, hypothesis by hypothesis."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]


class Constraint(Protocol):
    """An automaton over token numbers, in the order in which they are written.

    From each state that is reached through allowed tokens the stop is reached within the tokens
    that are left: a constrained search is never stuck.
    """

    def start(self) -> Hashable:
        """The state before the first token."""
        ...

    def advance(self, state: Hashable, token: int) -> Hashable:
        """The state after an allowed token."""
        ...

    def allowed(self, state: Hashable, left: int) -> Mask:
        """What may be next, bool (V,), the stop included, with `left` tokens to be written.

        Equal answers should be the same array; it is not written to.
        """
        ...


def stack_allowed(
    constraints: Sequence[Constraint], states: Sequence[Hashable], left: Sequence[int]
) -> Mask:
    """What each of N hypotheses, with so many tokens left, may write next: bool (N, V)."""
    masks: dict[int, int] = {}
    distinct: list[Mask] = []
    index = []
    for constraint, state, rest in zip(constraints, states, left, strict=True):
        mask = constraint.allowed(state, rest)
        number = masks.setdefault(id(mask), len(distinct))
        if number == len(distinct):
            distinct.append(mask)
        index.append(number)
    return np.stack(distinct)[index]
