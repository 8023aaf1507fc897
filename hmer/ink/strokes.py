"""Ink: pen strokes, and the symbols they form.

Coordinates grow to the right and downwards. *Device* ink has whatever unit the tablet used;
*normalised* ink (`hmer.ink.scale`) is measured in symbol units: a typical symbol is 1.0 high.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float32]
"""Points, shape (n, 2): x to the right, y downwards."""


@dataclass(frozen=True, slots=True)
class Symbol:
    """One written symbol.

    Attributes:
        token: its LaTeX token.
        strokes: the indices of its strokes.
        place: which token of the expression's caption it writes, counted from 0; None if unknown.
    """

    token: str
    strokes: tuple[int, ...]
    place: int | None = None


@dataclass(frozen=True, slots=True)
class Ink:
    """Strokes in writing order; `symbols` is empty where the segmentation is unknown."""

    strokes: tuple[Points, ...]
    symbols: tuple[Symbol, ...] = ()

    def bounds(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom over all points.

        Raises:
            ValueError: there is no point.
        """
        points = np.concatenate(self.strokes) if self.strokes else np.empty((0, 2), np.float32)
        if not len(points):
            raise ValueError("ink without points has no bounds")
        (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
        return float(left), float(top), float(right), float(bottom)

    def mapped(self, function: Callable[[Points], Points]) -> Ink:
        """The same ink with `function` applied to all points at once, shape (n, 2) to (n, 2)."""
        if not self.strokes:
            return self
        moved = function(np.concatenate(self.strokes)).astype(np.float32, copy=False)
        cuts = np.cumsum([len(stroke) for stroke in self.strokes])[:-1]
        return Ink(tuple(np.split(moved, cuts)), self.symbols)
