from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hmer.errors import LatexError
from hmer.latex.tokens import shorten, tokenize


@pytest.mark.parametrize(
    ("latex", "tokens"),
    [
        ("", []),
        ("x^2", ["x", "^", "2"]),
        (r"\alpha b", ["\\alpha", "b"]),
        (r"\alphab", ["\\alphab"]),
        (r"\{1,\, 2\}", ["\\{", "1", ",", "\\,", "2", "\\}"]),
        ("a\\ b\\\nc", ["a", "\\ ", "b", "\\ ", "c"]),
        (" x \t\n y ", ["x", "y"]),
    ],
)
def test_tokens(latex: str, tokens: list[str]) -> None:
    assert tokenize(latex) == tokens


def test_lone_backslash_is_refused() -> None:
    with pytest.raises(LatexError, match="backslash"):
        tokenize("x + \\")


@given(st.text())
@settings(deadline=None, max_examples=100)
def test_nothing_but_blanks_is_lost(text: str) -> None:
    try:
        tokens = tokenize(text)
    except LatexError:
        assert text.endswith("\\")
    else:
        assert "".join("".join(tokens).split()) == "".join(text.split())
        assert tokenize(" ".join(tokens)) == tokens


def test_shorten() -> None:
    assert shorten("abc", 3) == "abc"
    assert shorten("abcdefgh", 6) == "abc..."
