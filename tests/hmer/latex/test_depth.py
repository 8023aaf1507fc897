from __future__ import annotations

import pytest

from hmer.latex.depth import nesting_depth


@pytest.mark.parametrize(
    ("tokens", "depth"),
    [
        ("a + b", 0),
        ("\\{ a \\}", 0),
        ("x ^ { 2 } y ^ { 3 }", 1),
        ("\\frac { x ^ { y _ { 1 } } } { 2 }", 3),
    ],
)
def test_nesting_depth(tokens: str, depth: int) -> None:
    assert nesting_depth(tokens.split()) == depth
