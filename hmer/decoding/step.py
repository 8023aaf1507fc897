"""The step function that all searches call: one token further, for many hypotheses at once."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int64]
Floats = NDArray[np.float32]


class Step(Protocol):
    """Continues K hypotheses of each of B inputs by one token.

    Caches belong to the step: the search hands them back as it got them, and asks for those of
    other hypotheses.
    """

    def __call__(self, tokens: Numbers, past: Any) -> tuple[Floats, Any]:
        """Log-probabilities (B, K, V) after tokens (B, K), and grown caches (None at first)."""
        ...

    def reorder(self, past: Any, inputs: Numbers, origin: Numbers) -> Any:
        """Caches of other hypotheses, and of fewer inputs.

        `inputs` (B',): which inputs stay; `origin` (B', K'): which of its input's hypotheses each
        new one continues.
        """
        ...

    def keep(self, rows: Numbers) -> Step:
        """The step for the inputs `rows` (B',) only."""
        ...


@runtime_checkable
class TreeStep(Step, Protocol):
    """A step that continues hypotheses by several tokens, and in several ways, at once."""

    @property
    def rows(self) -> int:
        """So many new tokens of an input are best taken at once."""
        ...

    def grow(self, tokens: Numbers, parents: Numbers, past: Any) -> tuple[Floats, Any]:
        """Continue by trees of tokens (B, M), each after those before it in its tree.

        `parents` (B, M) is the number of the new token that each follows; -1 for the first M' of
        each input, which continue the hypotheses of `past`, each its own. Returns log-probabilities
        (B, M, V), and caches of M hypotheses.
        """
        ...


def log_softmax(logits: Floats) -> Floats:
    """Log-probabilities (..., V) of logits (..., V)."""
    found: Floats = logits - logits.max(axis=-1, keepdims=True)
    found -= np.log(np.exp(found).sum(axis=-1, keepdims=True))
    return found


def in_place(inputs: Numbers, origin: Numbers, before: int, width: int) -> bool:
    """Whether nothing moves: all of `before` inputs stay, with their `width` hypotheses."""
    return origin.shape == (before, width) and bool(
        (inputs == np.arange(before)).all() and (origin == np.arange(width)).all()
    )
