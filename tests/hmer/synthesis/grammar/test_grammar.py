from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from hmer.errors import HmerError
from hmer.latex.tree import Row, parse, serialise
from hmer.latex.vocabulary import vocabulary
from hmer.synthesis.grammar.grammar import Grammar, GrammarConfig

SCHOOL = Grammar()
LONG = Grammar(GrammarConfig(max_tokens=50, max_depth=3))
KNOWN = frozenset(vocabulary("wap").tokens)


def depth(row: Row) -> int:
    return max(
        (1 + depth(child) for node in row for _, child in node.children),
        default=0,
    )


@given(seed=st.integers(0, 2**31), long=st.booleans())
def test_samples_can_be_spelled_and_read_back(seed: int, long: bool) -> None:
    grammar = LONG if long else SCHOOL
    row = grammar.sample(np.random.default_rng(seed))
    tokens = serialise(row)
    assert parse(tokens) == row
    assert set(tokens) <= KNOWN
    assert grammar.config.min_tokens <= len(tokens) <= grammar.config.max_tokens
    assert depth(row) <= grammar.config.max_depth


@pytest.mark.parametrize("limit", [0, 1, 2])
def test_the_depth_limit_holds(limit: int) -> None:
    grammar = Grammar(GrammarConfig(max_depth=limit, max_tokens=40))
    rng = np.random.default_rng(limit)
    assert max(depth(grammar.sample(rng)) for _ in range(300)) == limit


def test_the_default_is_modest() -> None:
    rng = np.random.default_rng(0)
    lengths = []
    used: Counter[str] = Counter()
    for _ in range(2000):
        tokens = serialise(SCHOOL.sample(rng))
        lengths.append(len(tokens))
        used.update(tokens)
    assert 6 <= np.median(lengths) <= 9
    assert 45 <= len(used) <= 55
    assert min(used.values()) >= 5, "every school symbol must occur often enough to be learnt"


def test_number_literals_do_not_begin_with_zero() -> None:
    rng = np.random.default_rng(2)
    grammar = Grammar(GrammarConfig(max_depth=0))
    for _ in range(500):
        tokens = serialise(grammar.sample(rng))
        starts = [
            token
            for before, token in zip(["", *tokens], tokens, strict=False)
            if token.isdigit() and not before.isdigit()
        ]
        assert "0" not in starts


def test_impossible_limits_are_refused() -> None:
    with pytest.raises(ValidationError, match="max_tokens"):
        GrammarConfig(min_tokens=9, max_tokens=4)
    with pytest.raises(HmerError, match="widen"):
        Grammar(GrammarConfig(min_tokens=200, max_tokens=200, max_depth=0)).sample(
            np.random.default_rng(0)
        )
