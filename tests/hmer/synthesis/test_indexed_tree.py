from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hmer.data.dataset import load_expressions
from hmer.ink.strokes import Ink, Symbol
from hmer.latex.tree import parse, serialise
from hmer.synthesis.grammar.grammar import Grammar, GrammarConfig
from hmer.synthesis.indexed_tree import (
    Material,
    Spot,
    Spots,
    heads,
    row_spans,
    rows,
    spots,
    stroke_places,
    symbols_of,
)


def walked(row: Spots) -> Iterator[Spot]:
    for spot in row:
        yield spot
        for _, child in spot.children:
            yield from walked(child)


def check(tokens: list[str]) -> None:
    found = [spot for spot in walked(spots(parse(tokens))) if spot.place is not None]
    assert [tokens[spot.place or 0] for spot in found] == [spot.token for spot in found]
    assert len({spot.place for spot in found}) == len(found)
    symbols = [t for t in tokens if t not in ("{", "}", "^", "_", r"\limits")]
    index_brackets = 2 * sum(one == r"\sqrt" and two == "[" for one, two in pairwise(tokens))
    assert len(found) == len(symbols) - index_brackets


@pytest.mark.parametrize(
    "caption",
    [
        "a",
        "x _ { 1 } ^ { 2 } + y",
        r"\frac { a + b } { \sqrt [ 3 ] { c } }",
        r"\int \limits _ { 0 } ^ { 1 } x d x",
        "{ a b } ^ { 2 }",
        "_ { 2 } a",
    ],
)
def test_places_are_token_numbers(caption: str) -> None:
    check(caption.split())


def test_places_of_sampled_expressions() -> None:
    rng = np.random.default_rng(0)
    grammar = Grammar(GrammarConfig(symbols="full", max_tokens=60, max_depth=4))
    for _ in range(100):
        check(serialise(grammar.sample(rng)))


def test_rows_come_outermost_first() -> None:
    found = list(rows(spots(parse(r"\frac { a } { b ^ { c } }".split()))))
    assert [[spot.token for spot in row] for row in found] == [[r"\frac"], ["a"], ["b"], ["c"]]


CAPTIONS = st.sampled_from(
    [
        "x",
        r"a + \frac { 1 } { b ^ { 2 } } - c",
        r"\sqrt [ n ] { a _ { i } ^ { 2 } } = { x + y } ^ { 2 }",
        r"\int \limits _ { 0 } ^ { x } \frac { d x } { x } !",
        "^ { 2 } x",
        "",
    ]
)


@settings(deadline=None, max_examples=50)
@given(CAPTIONS, st.data())
def test_any_run_of_a_row_is_an_expression(caption: str, data: st.DataObject) -> None:
    tokens = caption.split()
    tree = parse(tokens)
    span = data.draw(st.sampled_from(row_spans(tree)))
    first = data.draw(st.integers(0, len(span.heads)))
    last = data.draw(st.integers(first, len(span.heads)))
    run = tokens[span.bounds[first] : span.bounds[last]]
    row = parse(run)
    assert tuple(node.token for node in row) == span.heads[first:last]
    assert serialise(row) == run


def test_spans_by_hand() -> None:
    tokens = r"\sqrt [ n ] { a } ^ { 2 } b".split()
    spans = {span.relation: span for span in row_spans(parse(tokens))}
    assert [str(relation) for relation in spans] == ["index", "inside", "sup", "None"]
    assert [tokens[i] for span in spans.values() for i in heads(span)] == [
        "n", "a", "2", r"\sqrt", "b",
    ]  # fmt: skip
    assert {span.parent for span in spans.values()} == {0, -1}


def dots(count: int, *symbols: Symbol) -> Ink:
    return Ink((np.zeros((1, 2), np.float32),) * count, symbols)


@pytest.mark.parametrize(
    ("ink", "caption", "expected"),
    [
        (dots(2, Symbol("x", (1,), 0), Symbol("y", (0,), 1)), "x y", [1, 0]),
        (dots(2, Symbol("x", (0, 1), 0)), "x", [0, 0]),
        (dots(2, Symbol("x", (0,), 0)), "x", None),  # a stroke without owner
        (dots(1, Symbol("x", (0,), 0)), "x y", None),  # a token without ink
        (dots(1, Symbol("x", (0,))), "x", None),
        (dots(1, Symbol("x", (0,), 0)), "y", None),
        (dots(1, Symbol("x", (0,), 5)), "x", None),
        (dots(1, Symbol("x", (0,), 0), Symbol("y", (0,), 1)), "x y", None),
        (dots(1, Symbol("x", (0,), 0)), "x {", None),
    ],
)
def test_stroke_places(ink: Ink, caption: str, expected: list[int] | None) -> None:
    assert stroke_places(ink, caption.split()) == expected


def test_symbols_by_place() -> None:
    assert symbols_of([2, 0, 2], "x + y".split()) == (
        Symbol("x", (1,), 0),
        Symbol("y", (0, 2), 2),
    )


def test_material_holds_the_ink(small_dataset: Path) -> None:
    expressions = load_expressions(small_dataset / "train.parquet")
    material = Material.of(expressions)
    assert len(material) == len(expressions)
    assert material.skipped == 0
    for number in range(len(material)):
        ink = expressions.ink(number)
        assert ink is not None
        tokens = material.tokens[number]
        strokes = material.strokes_of(number, 0, len(tokens)).tolist()
        assert len(strokes) == len(ink.strokes)
        for one, other in zip(strokes, ink.strokes, strict=True):
            np.testing.assert_array_equal(material.stroke(one), other)
        for place in range(len(tokens)):
            own = material.strokes_of(number, place, place + 1) - strokes[0]
            owned = [s.strokes for s in ink.symbols if s.place == place]
            assert sorted(own.tolist()) == sorted(i for part in owned for i in part)


def test_pictures_are_skipped(picture_dataset: Path) -> None:
    expressions = load_expressions(picture_dataset / "train.parquet")
    material = Material.of(expressions)
    assert (len(material), material.skipped) == (0, len(expressions))
