"""Hand-worked cases from the descriptions of BTTR, HMER-MTL, ICAL, PosFormer and TAMER."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hmer.errors import LatexError
from hmer.latex.labels import (
    BLANK,
    ICAL_KEPT,
    LEVELS,
    LOWER,
    MAIN,
    MTL_KEPT,
    UPPER,
    implicit_tags,
    parents,
    positions,
    reverse,
    reverse_parents,
)
from hmer.latex.reader import tokenize
from hmer.latex.tree import ROOTLESS, Row, serialise

_N = ROOTLESS


def test_reverse() -> None:
    assert reverse(tokenize("x ^ { 2 }")) == tokenize("} 2 { ^ x")
    assert reverse(reverse(["a", "b"])) == ["a", "b"]


def test_implicit_tags() -> None:
    tokens = tokenize(r"\frac { a \leq 1 } { b ^ { 2 } } \geq \pm [")
    ical = implicit_tags(tokens, ICAL_KEPT)
    mtl = implicit_tags(tokens, MTL_KEPT)
    s = BLANK
    assert ical == [s, "{", s, s, s, "}", "{", s, "^", "{", s, "}", "}", s, s, s]
    assert mtl == ["\\frac", *ical[1:13], "\\geq", s, "["]
    assert (len(MTL_KEPT), len(ICAL_KEPT)) == (17, 4)
    assert ICAL_KEPT < MTL_KEPT


def test_positions_of_the_published_example() -> None:
    found = positions(tokenize(r"\frac { a _ { 1 } } { b }"))
    assert [position.identifier for position in found] == [
        *[(3,)] * 2,
        *[(4, 3)] * 3,
        (4, 5, 3),
        (4, 3),
        *[(3,)] * 2,
        (5, 3),
        (3,),
    ]
    assert [position.level for position in found] == [0, 0, 1, 1, 1, 2, 1, 0, 0, 1, 0]
    assert [position.relative for position in found] == [3, 3, 4, 4, 4, 5, 4, 3, 3, 5, 3]


def test_positions_of_roots_and_limits() -> None:
    root = positions(tokenize(r"\sqrt [ n ] { x }"))
    assert [position.relative for position in root] == [3, 3, UPPER, 3, 3, LOWER, 3]
    limits = positions(tokenize(r"\int \limits _ { 0 } ^ { 1 } x"))
    assert [position.relative for position in limits] == [3, 3, 3, 3, 5, 3, 3, 3, 4, 3, 3]


def test_deep_positions_use_the_fourth_code() -> None:
    tokens = tokenize("a ^ { b ^ { c ^ { d _ { e ^ { f } } } } }")
    found = dict(zip(tokens, positions(tokens), strict=True))
    assert found["f"].identifier == (UPPER, UPPER, UPPER, LOWER, UPPER, MAIN)
    assert (found["f"].level, found["f"].relative) == (LEVELS - 1, LOWER)
    assert (found["e"].level, found["e"].relative) == (4, LOWER)
    assert (found["d"].level, found["d"].relative) == (3, UPPER)


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("a b c", [_N, 0, 1]),
        ("x ^ { 2 y } z", [_N, _N, _N, 0, 3, _N, 0]),
        (r"\frac { 1 } { 2 } +", [_N, _N, 0, _N, _N, 0, _N, 0]),
        (r"\sqrt [ 3 ] { x } y", [_N, _N, 0, _N, _N, 0, _N, 0]),
        (r"\int \limits _ { 0 } ^ { 1 } x", [_N, 0, _N, _N, 1, _N, _N, _N, 1, _N, 1]),
        ("a ^ { 2 } _ { 1 } b", [_N, _N, _N, 0, _N, _N, _N, 0, _N, 0]),
        ("a { b c } d", [_N, _N, 0, 2, _N, 3]),
        ("", []),
    ],
)
def test_parents(caption: str, expected: list[int]) -> None:
    assert parents(caption.split()) == expected


def test_parents_right_to_left() -> None:
    # x ^ { 2 } reversed is } 2 { ^ x: the 2 (now 1) hangs on the x (now 4).
    assert reverse_parents(parents(tokenize("x ^ { 2 }"))) == [_N, 4, _N, _N, _N]


def test_what_cannot_be_parsed_has_no_labels() -> None:
    for labels in (positions, parents):
        with pytest.raises(LatexError):
            labels(["x", "^"])


@given(data=st.data())
@settings(deadline=None, max_examples=60)
def test_one_label_per_token(data: st.DataObject, trees: st.SearchStrategy[Row]) -> None:
    tokens = serialise(data.draw(trees))
    pointers = parents(tokens)
    assert len(positions(tokens)) == len(pointers) == len(tokens)
    assert all(parent < number for number, parent in enumerate(pointers))
    assert reverse_parents(reverse_parents(pointers)) == pointers
    for token, parent in zip(tokens, pointers, strict=True):
        assert parent == ROOTLESS or token not in "{}^_"
