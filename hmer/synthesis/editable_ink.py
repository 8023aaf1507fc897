"""Ink of an expression as a tree that can be rearranged, and checks of its layout."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from hmer.ink.strokes import Ink, Points, Symbol
from hmer.latex.tree import ROOT, Node, Relation, Row, parse, serialise, symbols
from hmer.synthesis.ink_index import Material

Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""

NOWHERE: Box = (np.inf, np.inf, -np.inf, -np.inf)
"""The box of nothing."""


@dataclass(slots=True)
class Part:
    """A symbol and what hangs on it.

    Attributes:
        token: the LaTeX token; "" for a bare group, which has no ink of its own.
        strokes: its ink, as yet neither scaled nor moved.
        scale, offset: of its own ink, along x and y; it is scaled first.
    """

    token: str
    strokes: tuple[Points, ...] = ()
    rows: list[tuple[Relation, list[Part]]] = field(default_factory=list)
    scale: tuple[float, float] = (1.0, 1.0)
    offset: tuple[float, float] = (0.0, 0.0)
    _raw: Box | None = None

    def box(self) -> Box:
        """Around its own ink."""
        if not self.strokes:
            return NOWHERE
        if self._raw is None:
            points = np.concatenate(self.strokes)
            (left, top), (right, bottom) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
            self._raw = (left, top, right, bottom)
        left, top, right, bottom = self._raw
        (sx, sy), (dx, dy) = self.scale, self.offset
        return left * sx + dx, top * sy + dy, right * sx + dx, bottom * sy + dy

    def extent(self) -> Box:
        """Around its ink and all that hangs on it."""
        box = self.box()
        for _, row in self.rows:
            box = joined(box, extent(row))
        return box

    def move(self, dx: float, dy: float) -> None:
        """Shift it with all that hangs on it."""
        self.offset = (self.offset[0] + dx, self.offset[1] + dy)
        for _, row in self.rows:
            move(row, dx, dy)

    def grow(self, factor: float) -> None:
        """Scale it with all that hangs on it, about the origin."""
        self.scale = (self.scale[0] * factor, self.scale[1] * factor)
        self.offset = (self.offset[0] * factor, self.offset[1] * factor)
        for _, row in self.rows:
            for part in row:
                part.grow(factor)

    def fit(self, wanted: Box) -> None:
        """Scale and move its own ink into a box; along an axis without extent it is centred."""
        box = self.box()
        scale, offset = list(self.scale), list(self.offset)
        for axis in (0, 1):
            low, high = box[axis], box[axis + 2]
            to, end = wanted[axis], wanted[axis + 2]
            if high - low < 1e-3:
                offset[axis] += (to + end - low - high) / 2
                continue
            factor = (end - to) / (high - low)
            scale[axis] *= factor
            offset[axis] = to + (offset[axis] - low) * factor
        self.scale, self.offset = (scale[0], scale[1]), (offset[0], offset[1])

    def draw(self, strokes: tuple[Points, ...]) -> None:
        """Give it other ink, where that is."""
        self.strokes, self._raw = strokes, None
        self.scale, self.offset = (1.0, 1.0), (0.0, 0.0)

    def drawn(self) -> tuple[Points, ...]:
        """Its own strokes as they have come to stand."""
        scale, offset = np.array(self.scale, np.float32), np.array(self.offset, np.float32)
        return tuple(np.asarray(stroke * scale + offset, np.float32) for stroke in self.strokes)


def joined(one: Box, other: Box) -> Box:
    """The smallest box around both."""
    return (
        one[0] if one[0] < other[0] else other[0],
        one[1] if one[1] < other[1] else other[1],
        one[2] if one[2] > other[2] else other[2],
        one[3] if one[3] > other[3] else other[3],
    )


def extent(row: Sequence[Part]) -> Box:
    """Around all ink of a row and what hangs on it."""
    box = NOWHERE
    for part in row:
        box = joined(box, part.extent())
    return box


def move(row: Sequence[Part], dx: float, dy: float) -> None:
    """Shift a row."""
    if dx or dy:
        for part in row:
            part.move(dx, dy)


def walk(row: Sequence[Part]) -> Iterator[Part]:
    """All parts of a row, each before what hangs on it."""
    for part in row:
        yield part
        for _, below in part.rows:
            yield from walk(below)


def depth(row: Sequence[Part]) -> int:
    """Levels of nesting: 0 for symbols on one baseline."""
    below = (1 + depth(rows) for part in row for _, rows in part.rows)
    return max(below, default=0)


def take(material: Material, expression: int, start: int, stop: int) -> list[Part]:
    """The row that the tokens `start` to `stop - 1` of an expression write."""
    tokens = material.tokens[expression][start:stop]
    strokes: dict[int | None, list[Points]] = {}
    for number in material.strokes_of(expression, start, stop).tolist():
        place = int(material.places[number]) - start
        strokes.setdefault(place, []).append(material.stroke(number))
    return _parts(parse(tokens), strokes)


def parts_of(ink: Ink, tokens: Sequence[str]) -> list[Part]:
    """The row that placed ink writes. Raises LatexError: the caption cannot be parsed."""
    strokes = {s.place: [ink.strokes[i] for i in s.strokes] for s in ink.symbols}
    return _parts(parse(tokens), strokes)


def _parts(row: Row, strokes: Mapping[int | None, list[Points]]) -> list[Part]:
    return [
        Part(
            node.token,
            tuple(strokes.get(node.start, ()) if node.token else ()),
            [(relation, _parts(below, strokes)) for relation, below in node.children],
        )
        for node in row
    ]


def spelled(row: Sequence[Part]) -> list[str]:
    """The caption of a row."""
    return serialise(tuple(map(_node, row)))


def _node(part: Part) -> Node:
    rows = ((relation, tuple(map(_node, row))) for relation, row in part.rows)
    return Node(part.token, tuple(rows))


def to_ink(row: Sequence[Part]) -> Ink:
    """The ink of a row, each symbol with its place in `spelled(row)`."""
    places = [node.start for node in symbols(parse(spelled(row)))]
    strokes: list[Points] = []
    named: list[Symbol] = []
    parts = (part for part in walk(row) if part.token)
    for part, place in zip(parts, places, strict=True):
        first = len(strokes)
        strokes.extend(part.drawn())
        named.append(Symbol(part.token, tuple(range(first, len(strokes))), place))
    return Ink(tuple(strokes), tuple(named))


_BAR = "\\frac"
_DESCENT = 0.35  # of its height, from the top, below which a symbol's subscript is: y has a tail
_BACK = 0.25  # of its width that a symbol may begin before the one on its left


def faults(row: Sequence[Part]) -> Iterator[str]:
    """Every place at which the ink of an expression contradicts its tree, in words."""
    before: Part | None = None
    for part in row:
        if before is not None and not _follows(before, part):
            yield f"{part.token or 'a group'} is not to the right of {before.token or 'a group'}"
        for relation, below in part.rows:
            if below and part.token and not _stands(part, relation, below):
                yield f"the {relation} row of {part.token} is not where it should be"
            yield from faults(below)
        before = part if part.token else None


def _follows(before: Part, part: Part) -> bool:
    if not part.token:
        return True
    one, other = before.box(), part.box()
    return (one[0] + one[2]) / 2 < (other[0] + other[2]) / 2 + _BACK * (other[2] - other[0])


def _stands(part: Part, relation: Relation, below: Sequence[Part]) -> bool:
    own, row = part.box(), extent(below)
    x, y, height = (row[0] + row[2]) / 2, (row[1] + row[3]) / 2, (own[1] + own[3]) / 2
    if part.token == ROOT and relation is Relation.INSIDE:
        return own[0] < x < own[2] and own[1] < y < own[3] + 0.5 * (own[3] - own[1])
    if part.token == _BAR:
        return own[0] <= x <= own[2] and (y < height if relation is Relation.ABOVE else y > height)
    if relation in (Relation.SUP, Relation.ABOVE):
        return y < height
    if relation in (Relation.SUB, Relation.BELOW):
        return y > own[1] + _DESCENT * (own[3] - own[1])
    return True
