from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest

from hmer.latex.parse import parse
from hmer.latex.serialise import serialise
from hmer.synthesis.grammar.grammar import Grammar, GrammarConfig
from hmer.synthesis.structure.spots import Spot, Spots, rows, spots


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
