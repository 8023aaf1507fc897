"""Boxes of placed ink: what layout moves, scales and joins.

Coordinates are symbol units, y downwards, the baseline of the box at y = 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from hmer.ink.strokes import Ink, Symbol
from hmer.synthesis.glyphs import Glyph


@dataclass(slots=True)
class Mark:
    """One written symbol: all its points, shape (n, 2), and where one stroke ends.

    `place` is its number in the caption, None if unknown.
    """

    token: str
    points: NDArray[np.float64]
    lengths: tuple[int, ...]
    place: int | None = None


@dataclass(slots=True)
class Box:
    """Marks in writing order and the rectangle around their ink. Mutable: owned by layout."""

    marks: list[Mark]
    left: float
    top: float
    right: float
    bottom: float

    @classmethod
    def of(cls, token: str, glyph: Glyph, place: int | None = None) -> Self:
        """A box around one symbol."""
        points = np.concatenate(glyph)
        (left, top), (right, bottom) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
        mark = Mark(token, points, tuple(len(stroke) for stroke in glyph), place)
        return cls([mark], left, top, right, bottom)

    @property
    def width(self) -> float:
        """Width of the ink."""
        return self.right - self.left

    @property
    def height(self) -> float:
        """Height of the ink."""
        return self.bottom - self.top

    def move(self, dx: float, dy: float) -> Self:
        """Shift everything; returns the box itself."""
        for mark in self.marks:
            mark.points += (dx, dy)
        self.left += dx
        self.right += dx
        self.top += dy
        self.bottom += dy
        return self

    def stretch(self, x: float, y: float) -> Self:
        """Scale about the origin; returns the box itself."""
        for mark in self.marks:
            mark.points *= (x, y)
        self.left *= x
        self.right *= x
        self.top *= y
        self.bottom *= y
        return self

    def fit_height(self, top: float, bottom: float) -> Self:
        """Stretch vertically so that the ink reaches from `top` to `bottom`."""
        scale = (bottom - top) / max(self.height, 1e-6)
        self.stretch(1.0, scale)
        return self.move(0.0, top - self.top)

    def add(self, other: Box) -> Self:
        """Take over the marks of another box; returns the box itself."""
        self.marks += other.marks
        self.left = min(self.left, other.left)
        self.top = min(self.top, other.top)
        self.right = max(self.right, other.right)
        self.bottom = max(self.bottom, other.bottom)
        return self


def to_ink(marks: list[Mark], turn: float) -> Ink:
    """The marks as ink, turned by `turn` radians, left-top at (0, 0)."""
    if not marks:
        return Ink(())
    points = np.concatenate([mark.points for mark in marks])
    points = points @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    points -= points.min(axis=0)
    lengths = [length for mark in marks for length in mark.lengths]
    strokes = tuple(np.split(points.astype(np.float32), np.cumsum(lengths)[:-1]))
    symbols, first = [], 0
    for mark in marks:
        strokes_of = tuple(range(first, first + len(mark.lengths)))
        symbols.append(Symbol(mark.token, strokes_of, mark.place))
        first += len(mark.lengths)
    return Ink(strokes, tuple(symbols))
