from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hmer.data.alignment import place_symbols
from hmer.ink.strokes import Ink, Symbol
from hmer.latex.commands import PARTS
from hmer.latex.mathml import read_mathml
from hmer.latex.parse import parse
from hmer.latex.serialise import serialise
from hmer.latex.vocabulary import vocabulary
from hmer.synthesis.grammar.grammar import Grammar, GrammarConfig
from hmer.synthesis.output.mathml import to_mathml

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
    math = to_mathml(tokens)
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
@settings(deadline=None, max_examples=50)
def test_expressions_of_the_grammar(seed: int) -> None:
    grammar = Grammar(GrammarConfig(symbols="full", max_tokens=40))
    check(serialise(grammar.sample(np.random.default_rng(seed))))


def test_every_symbol_of_the_vocabulary_is_read_back() -> None:
    structure = {"{", "}", "^", "_", r"\limits"}
    seen = 0
    for token in vocabulary("wap").tokens:
        if token in PARTS or token in structure or token.startswith("<"):
            continue
        math = to_mathml([token])
        assert math is not None
        assert serialise(read_mathml(math.xml, "test").row) == [token]
        seen += 1
    assert seen > 95


def test_what_mathml_cannot_name() -> None:
    assert to_mathml(r"\binom { a } { b }".split()) is None
    assert to_mathml(r"x + \vec { v }".split()) is None


def test_a_wrong_name_is_noticed() -> None:
    """The round trip above would be worth nothing if names did not count."""
    tokens = r"x ^ { y }".split()
    math = to_mathml(tokens)
    assert math is not None
    ink = replace(unplaced(tokens, [0, 3]))
    assert place_symbols(ink, [math.names[3], math.names[0]], math.xml, tokens).problem
