r"""Structure labels: what auxiliary decoders learn beside the tokens, computed once per caption.

All functions take the tokens of a caption (without start and end) and return one label per token.
Each label set is as in the published system named with it; none of them needs token numbers.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from hmer.latex.tree import ROOTLESS, Relation, parse, place_tokens

BLANK = "<space>"
"""The implicit tag of every token that is not kept."""

MTL_KEPT = frozenset("{}^_[]+=-><") | {r"\frac", r"\sqrt", r"\times", r"\cdot", r"\div", r"\geq"}
"""Tokens that the implicit head of HMER-MTL keeps (17)."""

ICAL_KEPT = frozenset("{}^_")
"""Tokens that the implicit character module of ICAL keeps (4)."""

MAIN, UPPER, LOWER = 3, 4, 5
"""Branch codes of PosFormer's position forest; 0, 1, 2 are padding, start and end."""

LEVELS = 5
"""Classes of the nested level: 0 to 4, deeper counts as 4."""

POSITIONS = 6
"""Classes of the relative position: padding, start, end, main line, upper, lower."""

_BRANCH = {
    Relation.SUP: UPPER,
    Relation.ABOVE: UPPER,
    Relation.INDEX: UPPER,
    Relation.SUB: LOWER,
    Relation.BELOW: LOWER,
    Relation.INSIDE: LOWER,
}


class Position(NamedTuple):
    """Place of a token in PosFormer's position forest.

    Attributes:
        identifier: branch codes of the enclosing groups, outermost first, then `MAIN`.
        level: nested level, 0 to 4.
        relative: relative position, a branch code.
    """

    identifier: tuple[int, ...]
    level: int
    relative: int


def reverse(tokens: Sequence[str]) -> list[str]:
    """The caption right to left, as BTTR trains it; its own inverse."""
    return list(tokens[::-1])


def implicit_tags(tokens: Sequence[str], kept: Collection[str]) -> list[str]:
    """`tokens` with everything outside `kept` replaced by `BLANK` (HMER-MTL, ICAL)."""
    return [token if token in kept else BLANK for token in tokens]


def positions(tokens: Sequence[str]) -> list[Position]:
    """Position-forest labels (PosFormer, ECCV 2024), one per token.

    Scripts, limits, numerators and root indices above are `UPPER`; below, and under a radical or
    an accent, `LOWER`. Structure tokens belong to the line of the symbol that carries them.

    Raises:
        LatexError: the tokens cannot be parsed.
    """
    return [
        _position((*(_BRANCH[relation] for relation in placed.path), MAIN))
        for placed in place_tokens(parse(tokens))
    ]


def parents(tokens: Sequence[str]) -> list[int]:
    r"""Parent pointers (TAMER, AAAI 2025): number of the token on which each token hangs.

    The next symbol of a row hangs on the one before (on the command, after a construct); the first
    of a script or part on its base. Structure tokens and the very first symbol have `ROOTLESS`.
    Unlike the published parser, scripts may come in either order.

    Raises:
        LatexError: the tokens cannot be parsed.
    """
    return [placed.parent for placed in place_tokens(parse(tokens))]


def reverse_parents(pointers: Sequence[int]) -> list[int]:
    """The pointers of `parents` for the caption right to left."""
    last = len(pointers) - 1
    return [ROOTLESS if parent == ROOTLESS else last - parent for parent in reversed(pointers)]


def _position(identifier: tuple[int, ...]) -> Position:
    level = min(len(identifier) - 1, LEVELS - 1)
    return Position(identifier, level, identifier[level - 1] if level else identifier[0])
