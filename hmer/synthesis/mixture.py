"""Several generators as one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hmer.synthesis.leakage import Leakage
from hmer.synthesis.written import Synthesiser, Written


class Mixture:
    """Asks one of its generators at a time, by weight; a picklable `Synthesiser`."""

    def __init__(self, parts: Sequence[tuple[float, Synthesiser]]) -> None:
        """Take generators with their weights.

        Raises:
            ValueError: there is none of positive weight.
        """
        parts = [(weight, part) for weight, part in parts if weight > 0]
        if not parts:
            raise ValueError("a mixture needs a generator of positive weight")
        self.parts = [part for _, part in parts]
        weights = np.array([weight for weight, _ in parts])
        self._below = np.cumsum(weights / weights.sum())

    def __call__(self, rng: np.random.Generator) -> Written | None:
        """What the drawn generator makes."""
        number = int(np.searchsorted(self._below, rng.random(), side="right"))
        return self.parts[min(number, len(self.parts) - 1)](rng)


class Allowed:
    """A generator whose captions are checked: those that must not be written come to nothing."""

    def __init__(self, part: Synthesiser, leakage: Leakage) -> None:
        self.part = part
        self.leakage = leakage

    def __call__(self, rng: np.random.Generator) -> Written | None:
        """What the generator makes, if it may be written."""
        written = self.part(rng)
        return written if written and self.leakage.allows(written.tokens) else None
