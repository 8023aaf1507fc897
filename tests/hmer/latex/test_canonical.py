from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hmer.latex.canonical import canonical, canonical_row
from hmer.latex.parse import parse
from hmer.latex.serialise import serialise
from hmer.latex.tree import Row, walk


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("x ^ { 2 } _ { i }", "x _ { i } ^ { 2 }"),
        (r"\int \limits ^ { 1 } _ { 0 } x", r"\int _ { 0 } ^ { 1 } x"),
        ("{ { x } + { y z } }", "x + y z"),
        ("{ a b } ^ { 2 }", "a b ^ { 2 }"),
        ("{ x _ { i } } ^ { 2 }", "{ x _ { i } } ^ { 2 }"),  # not set like x_i^2
        ("x _ { } ^ { 2 }", "x ^ { 2 }"),
        (r"\sqrt [ ] { x }", r"\sqrt { x }"),
        (r"\frac { } { x }", r"\frac { } { x }"),
        ("{ } ^ { 2 } x { } ^ { 3 } y", "^ { 2 } x { } ^ { 3 } y"),
        ("x { ^ { 2 } }", "x { } ^ { 2 }"),
        ("{ } ^ { }", ""),
        ("f ^ { ' }", r"f ^ { \prime }"),
        (r"f \prime", r"f \prime"),
        ("x ^", "x ^"),
        (r"\limits x", r"\limits x"),
    ],
)
def test_hand_worked(caption: str, expected: str) -> None:
    assert canonical(caption.split()) == expected.split()


@given(data=st.data())
@settings(deadline=None, max_examples=100)
def test_is_a_projection_that_keeps_the_symbols(
    data: st.DataObject, rows: st.SearchStrategy[Row]
) -> None:
    row = data.draw(rows)
    once = canonical(serialise(row))
    assert canonical(once) == once
    assert "\\limits" not in once
    signs = [node.token.replace("'", "\\prime") for node in walk(row) if node.token]
    kept = [node.token for node in walk(parse(once)) if node.token]
    assert sorted(kept) == sorted(signs)
    assert serialise(canonical_row(row)) == once
