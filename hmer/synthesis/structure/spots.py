"""The structure tree with every symbol's number in the caption: what ties ink to tokens."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hmer.latex.commands import split_children
from hmer.latex.tree import Node, Relation, Row


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
    """The row with places as `hmer.latex.serialise.serialise` numbers the tokens."""
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
