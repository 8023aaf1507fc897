from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hmer.latex.commands import MAX_DEPTH
from hmer.latex.parse import parse
from hmer.latex.serialise import ROOTLESS, place, serialise
from hmer.latex.tokens import tokenize
from hmer.latex.tree import Node, Relation, Row

_X: Row = (Node("x"),)


@given(data=st.data())
@settings(deadline=None, max_examples=150)
def test_trees_come_back(data: st.DataObject, rows: st.SearchStrategy[Row]) -> None:
    row = data.draw(rows)
    assert parse(serialise(row)) == row


def test_script_order_is_kept() -> None:
    row = (Node("x", ((Relation.SUP, _X), (Relation.SUB, _X))),)
    assert serialise(row) == tokenize("x ^ { x } _ { x }")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ((Node("\\frac", ((Relation.ABOVE, _X),)),), "needs the parts"),
        ((Node("\\frac", ((Relation.BELOW, _X), (Relation.ABOVE, _X))),), "needs the parts"),
        ((Node("\\sqrt"),), "needs the parts"),
        ((Node("x", ((Relation.SUP, _X), (Relation.SUP, _X))),), "two scripts"),
        ((Node("x", ((Relation.SUP, _X), (Relation.BELOW, _X))),), "cannot carry limits"),
        ((Node("x", ((Relation.INSIDE, _X),)),), "cannot carry"),
        ((Node("\\sqrt", ((Relation.INSIDE, _X), (Relation.BELOW, _X))),), "cannot carry limits"),
        (
            (Node("\\sqrt", ((Relation.INDEX, (Node("]"),)), (Relation.INSIDE, _X))),),
            "root index",
        ),
        ((Node("x"), Node("", ((Relation.SUP, _X),))), "stand first"),
        ((Node(""),), "stand first"),
        ((Node("^"),), "structure"),
        ((Node("\\limits"),), "structure"),
    ],
)
def test_trees_without_a_spelling(row: Row, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        serialise(row)


def test_too_deep_a_tree() -> None:
    row: Row = _X
    for _ in range(MAX_DEPTH + 1):
        row = (Node("x", ((Relation.SUP, row),)),)
    with pytest.raises(ValueError, match="nested deeper"):
        serialise(row)


def test_places() -> None:
    placed = place(parse(tokenize(r"x _ { \frac { 1 } { 2 } }")))
    inner, above, below = (
        (Relation.SUB,),
        (Relation.SUB, Relation.ABOVE),
        (Relation.SUB, Relation.BELOW),
    )
    assert [(p.token, p.path, p.parent) for p in placed] == [
        ("x", (), ROOTLESS),
        ("_", (), ROOTLESS),
        ("{", (), ROOTLESS),
        ("\\frac", inner, 0),
        ("{", inner, ROOTLESS),
        ("1", above, 3),
        ("}", inner, ROOTLESS),
        ("{", inner, ROOTLESS),
        ("2", below, 3),
        ("}", inner, ROOTLESS),
        ("}", (), ROOTLESS),
    ]
