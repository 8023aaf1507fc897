r"""Tokens as people write them to those that `hmer.latex.reader` knows: one spelling of each."""

from __future__ import annotations

from functools import cache
from itertools import chain

from hmer.latex.commands import LIMITS, PARTS
from hmer.latex.spellings import (
    BLANKS,
    DEFAULT_LIMITS,
    ESCAPED,
    FENCES,
    FONTS,
    FUNCTIONS,
    OTHERS,
    SIZES,
    SYNONYMS,
)
from hmer.latex.vocabulary import vocabulary

INDEX_AFTER = "\\ABOVE"
OVER = "\\over"
STACK = "\\vtop"

_NEVER_GLUED = BLANKS | FONTS | FENCES | SIZES | PARTS.keys() | {LIMITS, "\\sp", "\\sb"}


def plain_tokens(tokens: list[str]) -> list[str]:
    """Tokens without blanks, fonts, sizes and fences; glued ones apart, synonyms replaced."""
    plain: list[str] = []
    after_fence = False
    for token in chain.from_iterable(map(_unglued, tokens)):
        if token in BLANKS or token in FONTS or token in SIZES:
            continue
        if token in FENCES:
            after_fence = True
            continue
        if not (after_fence and token == "."):
            plain.extend(SYNONYMS.get(token, (token,)))
        after_fence = False
    return plain


def _unglued(token: str) -> tuple[str, ...]:
    r"""A symbol's command and the letters glued to it (`\gtp`), where together they are no command.

    Up to two letters, the next factors; after `\lt` and `\gt`, escaped signs of XML, any.
    """
    if len(token) < 4 or token in _known() or token in OTHERS:
        return (token,)
    for end in range(len(token) - 1, 2, -1):
        head, rest = token[:end], token[end:]
        if head in ESCAPED or (len(rest) <= 2 and head in _known() and head not in _NEVER_GLUED):
            return (head, *rest)
    return (token,)


@cache
def _known() -> frozenset[str]:
    """Commands that the tables know."""
    symbols = vocabulary("wap").tokens + vocabulary("comer").tokens
    return frozenset((*symbols, *SYNONYMS, *PARTS, *FUNCTIONS.values())) | (
        BLANKS | FONTS | FENCES | SIZES | DEFAULT_LIMITS | {LIMITS, OVER, INDEX_AFTER, STACK}
    )
