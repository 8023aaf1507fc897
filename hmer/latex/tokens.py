"""LaTeX text to tokens: commands, escaped signs and single characters; blanks separate."""

from __future__ import annotations

import re

from hmer.errors import LatexError

_TOKEN = re.compile(r"\\[A-Za-z]+|\\.|\S", re.DOTALL)


def tokenize(latex: str) -> list[str]:
    r"""Tokens of `latex`: `x^2` and `x ^ 2` both give `x`, `^`, `2`; `\alpha b` gives two.

    A backslash before a blank (a control space) is the token `\ `; other blanks only separate.

    Raises:
        LatexError: the text ends in a backslash.
    """
    tokens = [token if token.strip() == token else "\\ " for token in _TOKEN.findall(latex)]
    if "\\" in tokens:
        raise LatexError(f"LaTeX {shorten(latex)!r} ends in a backslash; remove it")
    return tokens


def shorten(text: str, width: int = 60) -> str:
    """`text` cut to `width` characters, for error messages."""
    return text if len(text) <= width else text[: width - 3] + "..."
