"""Structure tree of a caption with the number of every token, and the ink that each part owns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hmer.errors import LatexError
from hmer.ink.strokes import Ink, Points, Symbol
from hmer.latex.tree import Node, Relation, Row, parse, split_children


@dataclass(frozen=True, slots=True)
class Spot:
    """A node of the tree.

    Attributes:
        token: as in `hmer.latex.tree.Node`.
        place: which token of the caption it is, counted from 0; None for a bare group.
        children: the rows that hang on it.
    """

    token: str
    place: int | None
    children: tuple[tuple[Relation, Spots], ...] = ()

    def child(self, relation: Relation) -> Spots | None:
        """The row at `relation`, or None."""
        return next((row for kind, row in self.children if kind is relation), None)


Spots = tuple[Spot, ...]
"""A row of them."""

_LIMITS = (Relation.ABOVE, Relation.BELOW)


def spots(row: Row) -> Spots:
    """The row with places as `hmer.latex.tree.serialise` numbers the tokens."""
    return _row(row, 0)[0]


def rows(row: Spots) -> Iterator[Spots]:
    """`row` and all rows below it, each before those that hang on it."""
    yield row
    for spot in row:
        for _, child in spot.children:
            yield from rows(child)


def _row(row: Row, at: int) -> tuple[Spots, int]:
    found = []
    for node in row:
        spot, at = _node(node, at)
        found.append(spot)
    return tuple(found), at


def _node(node: Node, at: int) -> tuple[Spot, int]:
    if not node.children:
        return Spot(node.token, at if node.token else None), at + bool(node.token)
    parts, scripts = split_children(node)
    place = at if node.token else None
    at += bool(node.token)
    children = []
    for relation, row in parts:
        inner, at = _row(row, at + 1)
        at += 1
        children.append((relation, inner))
    at += any(relation in _LIMITS for relation, _ in scripts)
    for relation, row in scripts:
        inner, at = _row(row, at + 2)
        at += 1
        children.append((relation, inner))
    return Spot(node.token, place, tuple(children)), at


_OVER = (Relation.ABOVE, Relation.BELOW)


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


@dataclass(frozen=True, slots=True)
class RowSpan:
    """A row of an expression and where it stands in the caption.

    Attributes:
        relation: to the symbol on which the row hangs; None for the outermost row.
        parent: place of that symbol; -1 if there is none (outermost, or on a bare group).
        bounds: node i of the row is written by the tokens `bounds[i]` to `bounds[i + 1] - 1`.
        heads: the token of each node, "" for bare groups.
    """

    relation: Relation | None
    parent: int
    bounds: tuple[int, ...]
    heads: tuple[str, ...]


def row_spans(row: Row) -> list[RowSpan]:
    """All rows of a tree, spelled as `hmer.latex.tree` does; those below come before it."""
    found: list[RowSpan] = []
    _span(row, None, -1, 0, found)
    return found


def _span(row: Row, relation: Relation | None, parent: int, at: int, found: list[RowSpan]) -> int:
    bounds = [at]
    for node in row:
        at = _node_end(node, at, found)
        bounds.append(at)
    found.append(RowSpan(relation, parent, tuple(bounds), tuple(node.token for node in row)))
    return at


def _node_end(node: Node, at: int, found: list[RowSpan]) -> int:
    """Number of the first token after `node`, which starts at token `at`."""
    parts, scripts = split_children(node)
    parent = at if node.token else -1
    at += bool(node.token)
    for relation, row in parts:
        at = _span(row, relation, parent, at + 1, found) + 1
    at += any(relation in _OVER for relation, _ in scripts)  # \limits
    for relation, row in scripts:
        at = _span(row, relation, parent, at + 2, found) + 1
    return at


@dataclass(frozen=True)
class Material:
    """Expressions whose ink is known symbol by symbol.

    Attributes:
        tokens: captions.
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
            if ink is None or found is None:
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

    def strokes_of(self, expression: int, start: int, stop: int) -> NDArray[np.int64]:
        """Numbers of the strokes that write the tokens `start` to `stop - 1`, in writing order."""
        first, last = self.first_stroke[expression : expression + 2]
        places = self.places[first:last]
        return np.asarray(np.flatnonzero((places >= start) & (places < stop)) + first, np.int64)

    def stroke(self, number: int) -> Points:
        """The points of a stroke, (n, 2)."""
        return self.points[self.stroke_points[number] : self.stroke_points[number + 1]]


def stroke_places(ink: Ink, tokens: Sequence[str]) -> list[int] | None:
    """Which token of the caption each stroke writes; None unless that is known of every one.

    Also None where a token that is written has no strokes, or the caption cannot be parsed.
    """
    places = [-1] * len(ink.strokes)
    for symbol in ink.symbols:
        if symbol.place is None or not 0 <= symbol.place < len(tokens):
            return None
        if tokens[symbol.place] != symbol.token:
            return None
        for stroke in symbol.strokes:
            if places[stroke] != -1:
                return None
            places[stroke] = symbol.place
    if -1 in places:
        return None
    try:
        written = {place for span in row_spans(parse(tokens)) for place in heads(span)}
    except LatexError:
        return None
    return places if written == set(places) else None


def heads(span: RowSpan) -> Iterator[int]:
    """The places of the symbols of a row."""
    return (at for at, token in zip(span.bounds, span.heads, strict=False) if token)


def symbols_of(places: Sequence[int], tokens: Sequence[str]) -> tuple[Symbol, ...]:
    """The symbols of ink whose stroke i writes the token `places[i]`, by place."""
    strokes: dict[int, list[int]] = {}
    for number, place in enumerate(places):
        strokes.setdefault(place, []).append(number)
    return tuple(Symbol(tokens[place], tuple(strokes[place]), place) for place in sorted(strokes))
