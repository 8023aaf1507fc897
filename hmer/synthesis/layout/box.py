"""Boxes of placed ink, and rules of layout: brackets, spacing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from hmer.ink.strokes import Ink, Symbol
from hmer.synthesis.glyphs.font import BUILT, WORDS, Glyph
from hmer.synthesis.substitutions import BRACKETS

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


CLOSING = {closing: opening for opening, closing in BRACKETS.items()} | {"|": "|"}
"""Closing brackets and what opens them; a bar does both."""

_OPENING = frozenset(CLOSING.values())


def bracket_pairs(tokens: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Positions of matched brackets in a row, inner pairs first."""
    open_at: list[int] = []
    for place, token in enumerate(tokens):
        opening = CLOSING.get(token)
        if opening is not None and open_at and tokens[open_at[-1]] == opening:
            yield open_at.pop(), place
        elif token in _OPENING:
            open_at.append(place)


_RELATIONS = r"""
    \ll \gg \approx \cong \equiv \sim \simeq \propto \ni \notin \subset \subseteq \supset \supseteq
    \Rightarrow \Leftarrow \Leftrightarrow \leftarrow \leftrightarrow \mapsto \models \vdash \perp
    """
_BINARY = r"\mp \cap \cup \vee \wedge \oplus \ominus \otimes \odot \setminus \circ \ast *"

_KINDS: dict[str, str] = {
    **dict.fromkeys("0123456789", "digit"),
    **dict.fromkeys((*WORDS, r"\sum", r"\int"), "operator"),
    **dict.fromkeys(("+", "-", r"\times", r"\div", r"\pm", r"\cdot"), "binary"),
    **dict.fromkeys(_BINARY.split(), "binary"),
    **dict.fromkeys(("=", "<", ">", r"\leq", r"\geq", r"\neq"), "relation"),
    **dict.fromkeys((r"\in", r"\rightarrow", *_RELATIONS.split()), "relation"),
    **dict.fromkeys(BRACKETS, "open"),
    **dict.fromkeys(BRACKETS.values(), "close"),
    **dict.fromkeys((",", ".", r"\ldots", r"\cdots"), "punctuation"),
}
_ABOUT = {"binary": 0.22, "relation": 0.28}
_NOTHING_BEFORE = ("open", "binary", "relation", "punctuation")


def kind(token: str) -> str:
    """What a symbol is on its baseline; letters, fractions and roots are ordinary.

    Named functions and large operators are operators.
    """
    return _KINDS.get(token, "ordinary")


def _is_sign(before: str | None, token: str) -> bool:
    """Whether this is no binary operator, since there is nothing before it."""
    return kind(token) == "binary" and (before is None or kind(before) in _NOTHING_BEFORE)


def pair(before: str | None, token: str, after: str) -> tuple[str, str]:
    """The kinds of the neighbours `token` and `after`, as habits of spacing distinguish them.

    A sign that is no binary operator (see `gap`) is of the kind "sign"; fractions and radicals are
    "built", the point within a number is "point".
    """
    return "sign" if _is_sign(before, token) else _name(token), _name(after)


def _name(token: str) -> str:
    if token in (*BUILT, ""):
        return "built"
    return "point" if token == "." else kind(token)


def gap(before: str | None, token: str, after: str) -> float:
    """Blank between the symbols `token` and `after`, in symbol units, for an average hand.

    `before` is what stands left of `token` (None at the start of a row): it tells a sign from a
    binary operator.
    """
    left, right = kind(token), kind(after)
    if left == "digit" and right == "digit":
        return 0.13
    if (left == "digit" and after == ".") or (token == "." and right == "digit"):
        return 0.1
    if _is_sign(before, token):
        return 0.1
    if left in _ABOUT or right in _ABOUT:
        return max(_ABOUT.get(left, 0.0), _ABOUT.get(right, 0.0))
    if left == "punctuation":
        return 0.24
    if right == "punctuation":
        return 0.09
    if left == "operator" or right == "operator":
        return 0.22
    if left == "open" or right in ("open", "close"):
        return 0.1
    return 0.14
