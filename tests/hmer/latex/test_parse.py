from __future__ import annotations

from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hmer.errors import LatexError
from hmer.latex.commands import MAX_DEPTH
from hmer.latex.parse import parse
from hmer.latex.serialise import serialise
from hmer.latex.tokens import tokenize
from hmer.latex.tree import Node, Relation, Row


def _row(text: str) -> Row:
    return tuple(Node(token) for token in text.split())


@pytest.mark.parametrize(
    ("caption", "row"),
    [
        ("", ()),
        ("x + [ 1 ]", _row("x + [ 1 ]")),
        (
            "x ^ { 2 } _ { i }",
            (Node("x", ((Relation.SUP, _row("2")), (Relation.SUB, _row("i")))),),
        ),
        (
            r"\frac { a } { } ^ { 2 }",
            (
                Node(
                    "\\frac",
                    ((Relation.ABOVE, _row("a")), (Relation.BELOW, ()), (Relation.SUP, _row("2"))),
                ),
            ),
        ),
        (
            r"\sqrt [ 3 ] { x } y",
            (
                Node("\\sqrt", ((Relation.INDEX, _row("3")), (Relation.INSIDE, _row("x")))),
                Node("y"),
            ),
        ),
        (
            r"\int \limits _ { 0 } ^ { 1 } x",
            (
                Node("\\int", ((Relation.BELOW, _row("0")), (Relation.ABOVE, _row("1")))),
                Node("x"),
            ),
        ),
        (
            "{ a b } ^ { 2 }",
            (Node("", ((Relation.INSIDE, _row("a b")), (Relation.SUP, _row("2")))),),
        ),
        ("^ { 2 }", (Node("", ((Relation.SUP, _row("2")),)),)),
        (r"\bar { x }", (Node("\\bar", ((Relation.INSIDE, _row("x")),)),)),
    ],
)
def test_hand_worked_trees(caption: str, row: Row) -> None:
    assert parse(caption.split()) == row
    assert serialise(row) == caption.split()


@pytest.mark.parametrize(
    ("caption", "message"),
    [
        ("x ^ 2", r"at token 3 \('2'\): '\{' is missing"),
        ("x ^", "at the end: '{' is missing"),
        ("{ x", "at the end: '}' is missing"),
        ("x }", r"at token 2 \('}'\)"),
        (r"\frac { a }", "at the end"),
        (r"\sqrt [ 3 { x }", "'}?]?' is missing"),
        (r"\sqrt [ 3 } ] { x }", "token 4"),
        ("x ^ { 1 } ^ { 2 }", "second script"),
        ("x _ { 1 } ^ { 3 } _ { 2 }", "second script"),
        (r"\limits _ { 1 }", "token 1"),
        (r"\int \limits x", "script must follow"),
        (r"\frac { 1 } { 2 } \limits _ { 1 }", "limits must follow a symbol"),
        (r"x _ { 1 } \limits ^ { 1 }", "token 6"),
    ],
)
def test_errors_give_the_place(caption: str, message: str) -> None:
    with pytest.raises(LatexError, match=message):
        parse(caption.split())


def test_depth_is_limited() -> None:
    def nested(depth: int) -> list[str]:
        return ["x", "^", "{"] * depth + ["y"] + ["}"] * depth

    assert serialise(parse(nested(MAX_DEPTH))) == nested(MAX_DEPTH)
    with pytest.raises(LatexError, match="nested deeper"):
        parse(nested(MAX_DEPTH + 1))
    with pytest.raises(LatexError, match="nested deeper"):
        parse(["{"] * 100_000)


_TOKENS = st.sampled_from(tokenize(r"x { } ^ _ \frac \sqrt [ ] \limits \int "))


@given(st.lists(_TOKENS, max_size=24))
@settings(deadline=None, max_examples=400)
def test_what_is_accepted_is_written_back(tokens: list[str]) -> None:
    try:
        row = parse(tokens)
    except LatexError:
        return
    assert serialise(row) == tokens


@pytest.mark.crohme
def test_every_caption_of_the_literature_comes_back(captions: ModuleType, crohme: object) -> None:
    pairs = [pair for split in captions.SPLITS for pair in captions.read_pairs(crohme, split)]
    assert len(pairs) == 8835 + 986
    for pair in pairs:
        tokens = pair.caption.split()
        assert serialise(parse(tokens)) == tokens, pair.name
