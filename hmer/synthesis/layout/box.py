"""Boxes of placed ink: what layout moves, scales and joins.

Coordinates are symbol units, y downwards, the baseline of the box at y = 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from hmer.ink.strokes import Ink, Symbol
from hmer.synthesis.glyphs.font import Glyph

_BAND = 0.15  # symbol units: wider than points of one stroke are apart
_REACH = 3.0  # symbol units to the left of a symbol beyond which nothing is its neighbour


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


def clearance(left: Box, right: Box) -> float:
    """How far apart the ink of neighbours is along x; negative where it crosses, inf if never near.

    Compared at equal heights, in bands: an italic f may reach over the letter after it without
    touching it.
    """
    one = np.concatenate([mark.points for mark in left.marks])
    other = np.concatenate([mark.points for mark in right.marks])
    one = one[one[:, 0] > right.left - _REACH]
    top = max(left.top, right.top)
    bands = int((min(left.bottom, right.bottom) - top) / _BAND) + 1
    if bands < 1 or not len(one):
        return np.inf
    ends = np.full(bands + 2, -np.inf)
    begins = np.full(bands + 2, np.inf)
    np.maximum.at(ends, _bands(one, top, bands), one[:, 0])
    np.minimum.at(begins, _bands(other, top, bands), other[:, 0])
    ends[0] = ends[-1] = -np.inf
    # Quick strokes have few points: what passes between them shows in the bands beside.
    near = np.maximum(ends[1:-1], np.maximum(ends[:-2], ends[2:]))
    return float((begins[1:-1] - near).min())


def _bands(points: NDArray[np.float64], top: float, bands: int) -> NDArray[np.int64]:
    """Which band below `top` each point is in, from 1 on; 0 above them all."""
    return np.clip((points[:, 1] - top) // _BAND + 1, 0, bands + 1).astype(np.int64)


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
