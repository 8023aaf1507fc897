from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hmer.ink.inkml import read_inkml
from hmer.ink.strokes import Ink, Symbol
from hmer.latex.alignment import place_symbols
from hmer.latex.mathml import read_mathml
from hmer.latex.tree import COMMANDS, parse, serialise
from hmer.latex.typed import named_mathml
from hmer.latex.vocabulary import vocabulary
from hmer.synthesis.base import Written
from hmer.synthesis.compose import Composer
from hmer.synthesis.grammar.grammar import Grammar, GrammarConfig
from hmer.synthesis.output.inkml import STEPS, contradiction, to_inkml

CAPTIONS = (
    r"\frac { a } { b }",
    r"x _ { i } ^ { 2 }",
    r"\sqrt [ 3 ] { x }",
    r"\sqrt { x } ^ { 2 } + { a b } ^ { c }",
    r"\int \limits _ { 0 } ^ { 1 } x d x",
    r"\sum \limits _ { n = 1 } a _ { n }",
    r"^ { 2 } x",
    r"\{ x | x \in A \} < 1 !",
    r"\frac { \frac { x } { x } } { \sqrt [ x ] { x } ^ { x } } x",
)


def unplaced(tokens: list[str], places: list[int]) -> Ink:
    """Ink whose symbols stand on top of each other: only their names can tell them apart."""
    strokes = tuple(np.zeros((2, 2), np.float32) for _ in places)
    return Ink(strokes, tuple(Symbol(tokens[place], (i,)) for i, place in enumerate(places)))


def check(tokens: list[str]) -> None:
    math = named_mathml(tokens)
    assert math is not None
    places = list(math.names)[::-1]
    ink = unplaced(tokens, places)
    placed = place_symbols(ink, [math.names[place] for place in places], math.xml, tokens)
    assert placed.problem is None
    assert {s.place: s.strokes for s in placed.ink.symbols} == {
        place: (number,) for number, place in enumerate(places)
    }


@pytest.mark.parametrize("caption", CAPTIONS)
def test_every_symbol_finds_its_place_again(caption: str) -> None:
    tokens = caption.split()
    assert serialise(parse(tokens)) == tokens
    check(tokens)


@given(st.integers(0, 2**31))
def test_expressions_of_the_grammar(seed: int) -> None:
    grammar = Grammar(GrammarConfig(symbols="full", max_tokens=40))
    check(serialise(grammar.sample(np.random.default_rng(seed))))


def test_every_symbol_of_the_vocabulary_is_read_back() -> None:
    structure = {"{", "}", "^", "_", r"\limits"}
    seen = 0
    for token in vocabulary("wap").tokens:
        if token in COMMANDS or token in structure or token.startswith("<"):
            continue
        math = named_mathml([token])
        assert math is not None
        assert serialise(read_mathml(math.xml, "test").row) == [token]
        seen += 1
    assert seen > 95


def test_what_mathml_cannot_name() -> None:
    assert named_mathml(r"\binom { a } { b }".split()) is None
    assert named_mathml(r"x + \vec { v }".split()) is None


def test_a_wrong_name_is_noticed() -> None:
    """The round trip above would be worth nothing if names did not count."""
    tokens = r"x ^ { y }".split()
    math = named_mathml(tokens)
    assert math is not None
    ink = replace(unplaced(tokens, [0, 3]))
    assert place_symbols(ink, [math.names[3], math.names[0]], math.xml, tokens).problem


def test_composed_ink_says_what_was_meant() -> None:
    composer = Composer(None, Grammar(GrammarConfig(max_tokens=30)))
    rng = np.random.default_rng(4)
    for _ in range(40):
        written = composer(rng)
        assert written is not None
        assert contradiction(to_inkml(written, "hand"), written) is None


def written() -> Written:
    strokes = tuple(np.array([[i, 0], [i + 0.5, 1]], np.float32) for i in range(3))
    symbols = tuple(Symbol(token, (i,), p) for i, (token, p) in enumerate([("x", 0), ("2", 3)]))
    plus = Symbol("+", (2,), 5)
    return Written(Ink(strokes, (*symbols, plus)), "x ^ { 2 } +".split(), "compose")


def test_device_units_are_whole_numbers() -> None:
    document = read_inkml(to_inkml(written(), "ann", "w-1"), "file")
    assert (document.writer, document.ui, document.latex) == ("ann", "w-1", "x ^ { 2 } +")
    points = np.concatenate(document.ink.strokes)
    np.testing.assert_array_equal(points, np.rint(points))
    np.testing.assert_array_equal(document.ink.strokes[1], [[STEPS, 0], [1.5 * STEPS, STEPS]])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tokens": "y ^ { 2 } +".split()}, "caption"),
        ({"ink": Ink(written().ink.strokes[::-1], written().ink.symbols)}, "strokes run"),
        (
            {
                "ink": replace(
                    written().ink,
                    symbols=(Symbol("x", (1,), 0), Symbol("2", (0,), 3), Symbol("+", (2,), 5)),
                )
            },
            "symbols stand",
        ),
        ({"ink": replace(written().ink, symbols=())}, "symbols stand"),
    ],
)
def test_every_difference_is_told(change: dict[str, object], message: str) -> None:
    data = to_inkml(written(), "ann")
    assert contradiction(data, written()) is None
    found = contradiction(data, replace(written(), **change))  # type: ignore[arg-type]
    assert found is not None and message in found


def test_groups_that_contradict_the_label_are_told() -> None:
    data = to_inkml(written(), "ann")
    for wrong in (
        data.replace(b'<traceView traceDataRef="2" />', b""),
        data.replace(b'href="s3"', b'href="s9"').replace(b">2</annotation>", b">3</annotation>"),
    ):
        assert wrong != data
        assert contradiction(wrong, written()) is not None
    assert "not InkML" in str(contradiction(b"<a/>", written()))
