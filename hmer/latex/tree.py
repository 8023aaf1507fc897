"""The structure of an expression: rows of symbols, joined by spatial relations.

A row is what stands on one baseline, left to right. Everything that hangs on a symbol (its
scripts, the parts of a fraction, what stands under a radical) is a row of its own.
"""

from __future__ import annotations

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
