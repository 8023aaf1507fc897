from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hmer.errors import LatexError
from hmer.latex.reader import tokenize
from hmer.latex.tree import (
    MAX_DEPTH,
    Node,
    Relation,
    Row,
    cells,
    expression_depth,
    grounded,
    nesting_depth,
    parse,
    place_tokens,
    rows,
    serialise,
    split_children,
    symbols,
    walk,
)
from tests.hmer.latex.conftest import Caption


def test_child_finds_the_row_of_a_relation() -> None:
    row = (Node("2"),)
    node = Node("x", ((Relation.SUP, row),))
    assert node.child(Relation.SUP) == row
    assert node.child(Relation.SUB) is None


def test_depth_and_count() -> None:
    assert expression_depth(()) == 0
    assert expression_depth(parse(["x", "+", "y"])) == 0
    nested = parse(tokenize(r"x + \frac { a ^ { b _ { i } } } { c }"))
    assert expression_depth(nested) == 3
    assert len(symbols(nested)) == 7  # x + bar a b i c


def test_walk_visits_parents_before_children() -> None:
    nested = parse(tokenize(r"\sqrt [ n ] { x ^ { 2 } } + { y }"))
    assert [node.token for node in walk(nested)] == ["\\sqrt", *"nx2+", "", "y"]


def test_only_scripts_without_base_are_grounded() -> None:
    script = Node("", ((Relation.SUP, (Node("2"),)),))
    assert grounded(Node("x")) == Node("x")
    assert grounded(script).children == ((Relation.INSIDE, ()), *script.children)
    assert grounded(grounded(script)) == grounded(script)


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


@pytest.mark.parametrize(
    ("caption", "parts", "scripts"),
    [
        ("x ^ { 2 }", [], ["sup"]),
        (r"\frac { a } { b } _ { 1 }", ["above", "below"], ["sub"]),
        (r"\sqrt { x } ^ { 2 }", ["inside"], ["sup"]),
        (r"\sqrt [ 3 ] { x }", ["index", "inside"], []),
        (r"\int \limits _ { 0 } ^ { 1 }", [], ["below", "above"]),
        ("{ a } _ { 1 }", ["inside"], ["sub"]),
        ("^ { 2 }", [], ["sup"]),
    ],
)
def test_parts_and_scripts_are_told_apart(
    caption: str, parts: list[str], scripts: list[str]
) -> None:
    (node,) = parse(caption.split())
    found = split_children(node)
    assert [[str(kind) for kind, _ in children] for children in found] == [parts, scripts]


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


@pytest.mark.parametrize(
    ("caption", "numbers"),
    [
        ("x", [0]),
        (r"\frac { a } { b }", [0, 2, 5]),
        (r"\sqrt [ n ] { [ a ] }", [0, 2, 5, 6, 7]),
        (r"\int \limits _ { a } ^ { b } x", [0, 4, 8, 10]),
        (r"\sqrt [ \sqrt { ( ] } ] { x }", [0, 2, 4, 5, 9]),
        ("{ a b } ^ { 2 }", [1, 2, 6]),
        ("_ { 2 } a", [2, 4]),
        ("", []),
    ],
)
def test_symbols_are_numbered_as_in_the_caption(caption: str, numbers: list[int]) -> None:
    tokens = caption.split()
    found = symbols(parse(tokens))
    assert [node.place for node in found] == numbers
    assert [tokens[i] for i in numbers] == [node.token for node in found]


def test_what_is_not_parsed_has_no_numbers() -> None:
    assert Node("x").place is None
    (group,) = parse("{ a }".split())
    assert group.place is None
    assert Node("x") == parse(["x"])[0]


def test_rows_come_after_those_that_hang_on_them() -> None:
    tokens = r"\sqrt [ n ] { a } ^ { 2 } b".split()
    found = [
        (parent and parent.token, relation, [node.token for node in row])
        for parent, relation, row in rows(parse(tokens))
    ]
    assert found == [
        (r"\sqrt", Relation.INDEX, ["n"]),
        (r"\sqrt", Relation.INSIDE, ["a"]),
        (r"\sqrt", Relation.SUP, ["2"]),
        (None, None, [r"\sqrt", "b"]),
    ]


@given(data=st.data())
def test_any_run_of_a_row_is_an_expression(
    data: st.DataObject, trees: st.SearchStrategy[Row]
) -> None:
    tokens = serialise(data.draw(trees))
    row = data.draw(st.sampled_from([row for _, _, row in rows(parse(tokens)) if row] or [()]))
    if not row:
        return
    first = data.draw(st.integers(0, len(row) - 1))
    last = data.draw(st.integers(first, len(row) - 1))
    run = tokens[row[first].start : row[last].stop]
    assert [node.token for node in parse(run)] == [node.token for node in row[first : last + 1]]
    assert serialise(parse(run)) == run


_TOKENS = st.sampled_from(tokenize(r"x { } ^ _ \frac \sqrt [ ] \limits \int "))


@given(st.lists(_TOKENS, max_size=24))
def test_what_is_accepted_is_written_back(tokens: list[str]) -> None:
    try:
        row = parse(tokens)
    except LatexError:
        return
    assert serialise(row) == tokens


@pytest.mark.crohme
def test_every_caption_of_the_literature_comes_back(literature: dict[str, list[Caption]]) -> None:
    known = [one for split in literature.values() for one in split]
    assert len(known) == 8835 + 986
    for one in known:
        tokens = one.caption.split()
        assert serialise(parse(tokens)) == tokens, one.name


_X: Row = (Node("x"),)


@given(data=st.data())
def test_trees_come_back(data: st.DataObject, trees: st.SearchStrategy[Row]) -> None:
    row = data.draw(trees)
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
            "the index of .* with a bare",
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
    placed = place_tokens(parse(tokenize(r"x _ { \frac { 1 } { 2 } }")))
    inner, above, below = (
        (Relation.SUB,),
        (Relation.SUB, Relation.ABOVE),
        (Relation.SUB, Relation.BELOW),
    )
    assert [(p.token, p.path) for p in placed] == [
        *[(token, ()) for token in "x _ {".split()],
        *[(token, inner) for token in (r"\frac", "{")],
        ("1", above),
        *[(token, inner) for token in "} {".split()],
        ("2", below),
        ("}", inner),
        ("}", ()),
    ]


def test_cells_of_a_matrix() -> None:
    tokens = r"\matrix { a _ { 1 } & b \\ & c \\ d }".split()
    (matrix,) = parse(tokens)
    lines = [
        [serialise(cell) for cell in line] for line in cells(matrix.child(Relation.INSIDE) or ())
    ]
    assert lines == [[["a", "_", "{", "1", "}"], ["b"]], [[], ["c"]], [["d"]]]
    assert [node.token for node in symbols(parse(tokens))] == ["a", "1", "b", "c", "d"]
