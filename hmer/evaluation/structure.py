"""The structure of an expression without its symbols: which rows hang where."""

from __future__ import annotations

from collections.abc import Sequence

from hmer.errors import LatexError
from hmer.latex.dialect import canonical_row
from hmer.latex.tree import Row, parse

Shape = tuple[tuple[tuple[str, "Shape"], ...], ...]
"""Per symbol of a row: its child rows as (relation, shape)."""


def shape(row: Row) -> Shape:
    """The tree of `row` with its symbols erased; children keep their order."""
    return tuple(
        tuple((relation.value, shape(child)) for relation, child in node.children) for node in row
    )


def same_structure(truth: Sequence[str], prediction: Sequence[str]) -> bool:
    r"""Whether both have the same tree when symbols are ignored.

    Trees are compared in their canonical spelling, since `\limits`, the order of scripts and
    groups that only group cannot be seen in the picture. A sequence that cannot be parsed has no
    structure, and agrees only with itself.
    """
    if list(truth) == list(prediction):
        return True
    try:
        return shape(canonical_row(parse(truth))) == shape(canonical_row(parse(prediction)))
    except LatexError:
        return False
