"""The structure of an expression: rows of symbols, joined by spatial relations.

A row is what stands on one baseline, left to right. Everything that hangs on a symbol (its
scripts, the parts of a fraction, what stands under a radical) is a row of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class Relation(StrEnum):
    """Where a child row stands, seen from its parent symbol."""

    SUP = "sup"  # a ^ { . }
    SUB = "sub"  # a _ { . }
    ABOVE = "above"  # numerator; upper limit after \limits
    BELOW = "below"  # denominator; lower limit after \limits
    INSIDE = "inside"  # radicand; content of a bare braced group
    INDEX = "index"  # root index


Row = tuple["Node", ...]
"""Symbols on one baseline; each stands to the right of the one before it."""


@dataclass(frozen=True, slots=True)
class Node:
    """A symbol (its LaTeX token) and the rows that hang on it, in the order they are written.

    `token` is the empty string for a bare braced group, whose content is the INSIDE child.
    """

    token: str
    children: tuple[tuple[Relation, Row], ...] = ()

    def child(self, relation: Relation) -> Row | None:
        """The row at `relation`, or None."""
        return next((row for kind, row in self.children if kind is relation), None)


def expression_depth(row: Row) -> int:
    """Nesting of `row`: 0 for symbols on one baseline, 1 for `x ^ { 2 }`, and so on."""
    below = (expression_depth(child) for node in row for _, child in node.children)
    return max((1 + depth for depth in below), default=0)


def walk(row: Row) -> Iterator[Node]:
    """All nodes of `row`, each before what hangs on it."""
    for node in row:
        yield node
        for _, child in node.children:
            yield from walk(child)


def symbol_count(row: Row) -> int:
    """Symbols in `row`, fraction bars and radicals included, structure (braces) not."""
    return sum(1 for node in walk(row) if node.token)


def grounded(node: Node) -> Node:
    """`node`; a script without base gets an empty group as base, so that it can follow others."""
    if node.token or node.child(Relation.INSIDE) is not None:
        return node
    return Node("", ((Relation.INSIDE, ()), *node.children))
