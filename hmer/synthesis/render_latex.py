"""Rendering of given LaTeX in a hand of one's choice."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace

import numpy as np

from hmer.errors import HmerError, LatexError
from hmer.ink.scale import normalise
from hmer.latex.dialect import normalise as normalise_latex
from hmer.latex.tree import (
    ALPHABETS,
    Node,
    Relation,
    Row,
    expression_depth,
    parse,
    serialise,
    symbols,
)
from hmer.synthesis.base import Written
from hmer.synthesis.glyphs.bank import GlyphBank
from hmer.synthesis.glyphs.font import WORDS
from hmer.synthesis.glyphs.signs import written
from hmer.synthesis.hands.placement_style import FittedManner
from hmer.synthesis.hands.writer import BankWriter, Writer
from hmer.synthesis.layout.layout import DRAWN, write

MAX_TOKENS, MAX_DEPTH = 200, 10
"""Longest caption and deepest nesting that are laid out."""


def check_writable(row: Row, bank: GlyphBank | None) -> None:
    """Raise an error that says why an expression cannot be written, if it cannot.

    Raises:
        LatexError: unknown tokens (all are named), too long, or too deep.
    """
    tokens, depth = len(serialise(row)), expression_depth(row)
    if tokens > MAX_TOKENS:
        raise LatexError(f"the expression has {tokens} tokens, more than {MAX_TOKENS}: shorten it")
    if depth > MAX_DEPTH:
        raise LatexError(
            f"the expression is nested {depth} levels deep, more than {MAX_DEPTH}: flatten it"
        )
    names = dict.fromkeys(map(_glyph_name, symbols(row)))
    if unknown := [name for name in names if not has_glyph(name, bank)]:
        raise LatexError(
            f"there is no glyph for {' '.join(map(repr, unknown))}: leave it out, or write with a "
            "glyph bank that has it"
        )


def _glyph_name(node: Node) -> str:
    r"""The class that a symbol is written with; of alphabets one for each letter."""
    inside = node.child(Relation.INSIDE) or ()
    if node.token in ALPHABETS and len(inside) == 1:
        return f"{node.token}{{{inside[0].token}}}"
    return node.token


def check_balanced(latex: str) -> None:
    """Refuse braces without partner: a reader of old captions mends them, a writer should not.

    Raises:
        LatexError: there are such braces.
    """
    depth = 0
    for match in re.finditer(r"\\.|[{}]", latex, re.DOTALL):
        depth += {"{": 1, "}": -1}.get(match.group(), 0)
        if depth < 0:
            raise LatexError(
                f"unbalanced LaTeX: the '}}' at character {match.start() + 1} closes nothing; "
                "remove it"
            )
    if depth:
        raise LatexError(f"unbalanced LaTeX: {depth} '{{' never closed; add the '}}'")


def has_glyph(token: str, bank: GlyphBank | None) -> bool:
    """Whether a symbol can be written, from the bank or in the vector font."""
    if token in DRAWN or token in WORDS or (bank is not None and token in bank):
        return True
    try:
        written(token)
    except KeyError:
        return False
    return True


def write_latex(
    latex: str, writer: int, bank: GlyphBank | None = None, careful: bool = False
) -> Written:
    """The expression in the hand of this number; the same every time.

    With a bank, numbers count through its hands, else they are of the vector font; a careful hand
    places signs evenly instead of as measured on real hands.

    Raises:
        LatexError: LaTeX that cannot be read, has nothing to write, unknown tokens, or is too long
            or too deep.
        HmerError: the number is negative.
        InkError: the ink spans too much.
    """
    if writer < 0:
        raise HmerError(f"writer {writer}: hands are numbered from 0")
    check_balanced(latex)
    row = parse(normalise_latex(latex))
    check_writable(row, bank)
    rng = np.random.default_rng([writer, 3])
    hand = Writer.draw(writer)
    if bank is not None:
        source = bank.writers[writer % len(bank.writers)]
        hand = BankWriter.follow(bank, source, writer, 1.0, Counter())
    hand = replace(hand, font=written)
    manner = None if careful else FittedManner(rng)
    return Written(normalise(write(row, hand, rng, manner)), serialise(row), "compose")
