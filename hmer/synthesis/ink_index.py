"""Index of the ink of many expressions by token: which strokes write which part of a caption."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hmer.ink.strokes import Ink, Points
from hmer.latex.alignment import stroke_places
from hmer.latex.tree import MATRIX
from hmer.synthesis.substitutions import rarity

_RARE = 0.25  # how strongly what has rare tokens is preferred
_MOST_RARE = 4.0  # times that it comes more often, at most


class InkedCaptions(Protocol):
    """Captions and the ink that writes them: a split of a dataset, say."""

    @property
    def tokens(self) -> Sequence[Sequence[str]]:
        """The captions."""
        ...

    def __len__(self) -> int: ...

    def ink(self, index: int) -> Ink | None:
        """Normalised ink, if there is any."""
        ...


@dataclass(frozen=True)
class Material:
    """Expressions whose ink is known symbol by symbol.

    Attributes:
        numbers: (e,), which expression of the split each of them is.
        points: float32 (p, 2), of all strokes of all expressions, symbol units.
        stroke_points: (s + 1,), where each stroke begins in `points`.
        first_stroke: (e + 1,), where each expression begins among the strokes.
        places: (s,), which token of its caption each stroke belongs to.
        boxes: float32 (s, 4): left, top, right, bottom of each stroke.
        skipped: how many expressions have no ink, or ink with symbols that do not fit the caption.
    """

    tokens: list[list[str]]
    numbers: NDArray[np.int64]
    points: NDArray[np.float32]
    stroke_points: NDArray[np.int64]
    first_stroke: NDArray[np.int64]
    places: NDArray[np.int32]
    boxes: NDArray[np.float32]
    skipped: int

    def __len__(self) -> int:
        return len(self.tokens)

    @classmethod
    def of(cls, expressions: InkedCaptions) -> Material:
        """What of a split can be taken apart."""
        tokens: list[list[str]] = []
        numbers: list[int] = []
        strokes: list[Points] = []
        places: list[int] = []
        counts = [0]
        for index in range(len(expressions)):
            caption, ink = expressions.tokens[index], expressions.ink(index)
            found = None if ink is None else stroke_places(ink, caption)
            if ink is None or found is None or MATRIX in caption:  # runs of its row are no captions
                continue
            tokens.append(list(caption))
            numbers.append(index)
            strokes.extend(ink.strokes)
            places.extend(found)
            counts.append(len(strokes))
        corners = [(*stroke.min(axis=0), *stroke.max(axis=0)) for stroke in strokes]
        return cls(
            tokens,
            np.array(numbers, np.int64),
            np.concatenate(strokes) if strokes else np.empty((0, 2), np.float32),
            np.cumsum([0, *map(len, strokes)], dtype=np.int64),
            np.array(counts, np.int64),
            np.array(places, np.int32),
            np.array(corners, np.float32).reshape(-1, 4),
            len(expressions) - len(tokens),
        )

    def rare_boost(self) -> dict[str, float]:
        """For every token how much more often than others to draw what contains it."""
        seen = Counter(token for tokens in self.tokens for token in tokens)
        return rarity(seen, _RARE, _MOST_RARE)

    def strokes_of(self, expression: int, start: int, stop: int) -> NDArray[np.int64]:
        """Numbers of the strokes that write the tokens `start` to `stop - 1`, in writing order."""
        first, last = self.first_stroke[expression : expression + 2]
        places = self.places[first:last]
        return np.asarray(np.flatnonzero((places >= start) & (places < stop)) + first, np.int64)

    def stroke(self, number: int) -> Points:
        """The points of a stroke, (n, 2)."""
        return self.points[self.stroke_points[number] : self.stroke_points[number + 1]]
