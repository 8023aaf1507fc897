"""Short names for building structure trees."""

from __future__ import annotations

from hmer.latex.tree import Node, Relation, Row


def leaf(token: str) -> Node:
    """A symbol without children."""
    return Node(token)


def leaves(*tokens: str) -> Row:
    """A row of plain symbols."""
    return tuple(Node(token) for token in tokens)


def scripted(token: str, sub: Row | None = None, sup: Row | None = None) -> Node:
    """A symbol with a subscript, a superscript or both, the subscript spelled first."""
    scripts = ((Relation.SUB, sub), (Relation.SUP, sup))
    return Node(token, tuple((relation, row) for relation, row in scripts if row is not None))


def limited(token: str, below: Row, above: Row) -> Node:
    r"""An operator with `\limits` below and above."""
    return Node(token, ((Relation.BELOW, below), (Relation.ABOVE, above)))


def fraction(numerator: Row, denominator: Row) -> Node:
    r"""A `\frac`."""
    return Node(r"\frac", ((Relation.ABOVE, numerator), (Relation.BELOW, denominator)))


def root(radicand: Row, index: Row | None = None) -> Node:
    r"""A `\sqrt`, with or without index."""
    inside = ((Relation.INSIDE, radicand),)
    return Node(r"\sqrt", inside if index is None else ((Relation.INDEX, index), *inside))


def bracketed(opening: str, content: Row, closing: str, sup: Row | None = None) -> Row:
    """Content between brackets, with an exponent on the closing one if given."""
    return (Node(opening), *content, scripted(closing, sup=sup))
