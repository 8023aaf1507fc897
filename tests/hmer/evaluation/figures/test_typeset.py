"""Text of expressions."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hmer.evaluation.diff import Marked
from hmer.evaluation.figures.typeset import mathtext, mathtext_size, wrap


@pytest.mark.parametrize(
    ("tokens", "text"),
    [
        ("x ^ { 2 }", "$x^{2}$"),
        ("\\alpha x \\lt 1", r"$\alpha x<1$"),
        ("\\sum \\limits _ { i } i", r"$\sum _{i}i$"),
        ("\\sqrt [ 3 ] { x }", r"$\sqrt [3]{x}$"),
        ("$ x", r"$\$x$"),
        ("\\frac { x", None),
        ("\\unheard { x }", None),
        ("", None),
        ("{ " * 20 + "x" + " }" * 20, None),
    ],
)
def test_mathtext(tokens: str, text: str | None) -> None:
    assert mathtext(tokens.split()) == text


def test_scripts_are_set_as_scripts() -> None:
    script, line = mathtext(["x", "^", "{", "2", "}"]), mathtext(["x", "2"])
    assert script is not None
    assert line is not None
    assert mathtext_size(script, 12.0)[1] > mathtext_size(line, 12.0)[1]


@settings(deadline=None, max_examples=50)
@given(st.lists(st.text("ab\\", min_size=1, max_size=15), max_size=30), st.integers(4, 20))
def test_wrapped_lines_fit(tokens: list[str], width: int) -> None:
    rows = wrap([Marked(token, True) for token in tokens], width, 3)
    assert 1 <= len(rows) <= 3
    for row in rows:
        assert len("".join(run.text for run in row).rstrip()) <= width
    shown = [run.text for row in rows for run in row if run.text != " "]
    assert len(shown) == len(tokens) or shown[-1] == "…"


def test_what_differs_stands_out() -> None:
    [[same, _, other, _]] = wrap([Marked("a", True), Marked("b", False)], 20, 1)
    assert (same.bold, other.bold) == (False, True)
