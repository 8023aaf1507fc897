"""What every generator of written expressions hands over, and how it is asked for one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from hmer.ink.strokes import Ink


@dataclass(frozen=True, slots=True)
class Written:
    """An expression made by a generator.

    Attributes:
        ink: normalised (symbol units, left top at (0, 0)), with its symbols; each symbol's
            `place` is the index of its token in `tokens`.
        tokens: the caption, spelled as `hmer.latex.serialise` spells it.
        kind: which generator made it ("decompose", "recombine", "compose"), for counts.
        base: number, in the split, of the expression it was made from; None if there is no one.
        hand: the real hand whose glyphs were followed, "" if no single one was.
    """

    ink: Ink
    tokens: list[str]
    kind: str
    base: int | None = None
    hand: str = ""


class Synthesiser(Protocol):
    """A generator: built once, picklable, asked again and again."""

    def __call__(self, rng: np.random.Generator) -> Written | None:
        """One expression, decided by `rng` alone; None where this draw made nothing usable."""
        ...
