"""Captions that must not be written: those on which the recogniser is validated or tested.

New sequences are made from training ink only, but a piece of a training expression can be, token
for token, an expression of the test. Short ones (`x`, `a + b`) cannot be kept out: they are
everywhere in training already.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

SHORT = 3
"""Captions of at most so many tokens are never excluded."""


@dataclass
class Leakage:
    """Tells which captions may be written, and counts those that may not.

    Attributes:
        short: longest caption, in tokens, that is never excluded.
        excluded: how many were refused.
    """

    short: int = SHORT
    excluded: int = 0
    _held: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, captions: Iterable[Sequence[str]], short: int = SHORT) -> Leakage:
        """Keep these captions (of validation and test sets) from being written."""
        held = {" ".join(caption) for caption in captions if len(caption) > short}
        return cls(short, 0, held)

    def __len__(self) -> int:
        return len(self._held)

    def allows(self, tokens: Sequence[str]) -> bool:
        """Whether an expression with this caption may be written; counts it if not."""
        if len(tokens) <= self.short or " ".join(tokens) not in self._held:
            return True
        self.excluded += 1
        return False
