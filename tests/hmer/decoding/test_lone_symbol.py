"""Readings mixed with a classifier of single symbols."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hmer.decoding.bidirectional import Reading
from hmer.decoding.lone_symbol import LEAST, LoneSymbols
from hmer.decoding.step import Floats
from hmer.latex.vocabulary import Vocabulary

WORDS = Vocabulary("toy", ["x", "y", "1", "{", "}", "\\mathbb"])
X, Y, ONE, ALPHABET = WORDS.encode(["x", "y", "1", "\\mathbb"])
OF_Y = tuple(WORDS.encode(["\\mathbb", "{", "y", "}"]))


def logits(token: dict[int, float], letter: dict[int, float]) -> Floats:
    """Of these probabilities, and next to nothing for all others."""
    found = np.full((2, len(WORDS)), -40.0, np.float32)
    for row, chances in zip(found, (token, letter), strict=True):
        for number, chance in chances.items():
            row[number] = math.log(chance)
    return found


def reading(chance: float, *tokens: int) -> Reading:
    return Reading(tokens, 2 * math.log(chance), chance)


def test_the_chances_of_tokens_and_of_letters_of_an_alphabet() -> None:
    said = logits({X: 0.5, ALPHABET: 0.3, WORDS.eos: 0.2}, {Y: 0.75, X: 0.25})
    symbols, several = LoneSymbols(WORDS).chances(said)
    assert several == pytest.approx(0.2)
    of_x = tuple(WORDS.encode(["\\mathbb", "{", "x", "}"]))
    assert symbols == {
        (X,): pytest.approx(0.5), OF_Y: pytest.approx(0.225), of_x: pytest.approx(0.075)
    }  # fmt: skip


def test_what_is_never_written_has_no_chance() -> None:
    said = logits({X: 0.5, Y: 0.25, WORDS.eos: 0.25}, {Y: 1.0})
    symbols, several = LoneSymbols(WORDS, [X]).chances(said)
    assert symbols == {(Y,): pytest.approx(0.5)} and several == pytest.approx(0.5)


def test_worked_by_hand() -> None:
    # The decoder: x 0.6, x 1 0.2. The classifier: y 0.7, x 0.1, no single symbol 0.2.
    said = logits({Y: 0.6, X: 0.2, WORDS.eos: 0.2}, {Y: 1.0})
    found = LoneSymbols(WORDS).mixed([reading(0.6, X), reading(0.2, X, ONE)], said)
    # x (0.6 + 0.2) / 2, y (0 + 0.6) / 2, x 1: 0.2 times the mean of 1 and 0.2 / 0.4.
    assert [one.tokens for one in found] == [(X,), (Y,), (X, ONE)]
    chances = [one.confidence for one in found]
    assert chances == [pytest.approx(0.4), pytest.approx(0.3), pytest.approx(0.15)]


def test_a_symbol_that_the_decoder_has_not_found_may_win() -> None:
    said = logits({ALPHABET: 0.9, WORDS.eos: 0.1}, {Y: 1.0})
    found = LoneSymbols(WORDS).mixed([reading(0.4, X), reading(0.3, X, ONE)], said)
    assert found[0].tokens == OF_Y and found[0].confidence == pytest.approx(0.45)
    assert found[0].score == pytest.approx(2 * math.log(0.45))


def test_the_order_that_the_search_gives_expressions_stays() -> None:
    # Its score allows for length: the best one need not be the likeliest.
    first, second = reading(0.2, X, ONE, X), reading(0.3, X, ONE)
    said = logits({X: 0.2, WORDS.eos: 0.8}, {Y: 1.0})
    assert [one.tokens for one in LoneSymbols(WORDS).mixed([first, second], said)] == [
        first.tokens, second.tokens, (X,)
    ]  # fmt: skip


@given(
    st.lists(
        st.tuples(st.lists(st.sampled_from([X, Y, ONE]), max_size=3), st.floats(1e-6, 1)),
        min_size=1,
        max_size=5,
        unique_by=lambda one: tuple(one[0]),
    ),
    st.lists(st.floats(-30, 30), min_size=2 * len(WORDS), max_size=2 * len(WORDS)),
)
def test_probabilities_stay_probabilities(
    said: list[tuple[list[int], float]], numbers: list[float]
) -> None:
    whole = max(1.0, sum(chance for _, chance in said))
    before = [Reading(tuple(tokens), 0.0, chance / whole) for tokens, chance in said]
    head = np.array(numbers, np.float32).reshape(2, -1)
    lone = LoneSymbols(WORDS)
    after = lone.mixed(before, head)
    assert len({one.tokens for one in after}) == len(after)
    assert {one.tokens for one in before} <= {one.tokens for one in after}
    assert all(0 < one.confidence <= 1 for one in after)
    assert sum(one.confidence for one in after) <= 1 + 1e-6
    symbols, several = lone.chances(head)
    assert all(chance >= LEAST for chance in symbols.values())
    assert sum(symbols.values()) + several <= 1 + 1e-6


def test_nothing_changes_where_both_are_sure_of_an_expression() -> None:
    before = [reading(0.5, X, ONE), reading(0.25, X, ONE, Y)]
    assert LoneSymbols(WORDS).mixed(before, logits({WORDS.eos: 1.0}, {Y: 1.0})) == before
