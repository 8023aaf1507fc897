"""Nesting, counted on tokens."""

from __future__ import annotations

from collections.abc import Sequence


def nesting_depth(tokens: Sequence[str]) -> int:
    """How many braced groups are open at the deepest point; 0 for a plain row.

    Counted on tokens rather than on the tree, so that every caption has a depth.
    """
    depth = deepest = 0
    for token in tokens:
        depth += (token == "{") - (token == "}")
        deepest = max(deepest, depth)
    return deepest
