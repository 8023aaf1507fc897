"""Ink without some of its strokes or symbols."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hmer.evaluation.robustness.missing import (
    symbols_with_strokes,
    without_strokes,
    without_symbols,
)
from hmer.ink.strokes import Ink, Symbol


def ink(count: int) -> Ink:
    """Stroke i goes through (i, 0) and (i, 1)."""
    return Ink(tuple(np.array([[i, 0.0], [i, 1.0]], np.float32) for i in range(count)))


def left(found: Ink) -> set[int]:
    return {int(stroke[0, 0]) for stroke in found.strokes}


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 30), st.floats(0.0, 1.0), st.integers(0, 100))
def test_the_share_is_met_within_a_stroke(count: int, share: float, seed: int) -> None:
    found = without_strokes(ink(count), share, np.random.default_rng(seed))
    gone = count - len(found.ink.strokes)
    assert found.share == pytest.approx(gone / count)
    assert 1 <= len(found.ink.strokes) <= count
    assert abs(gone - share * count) < 1.0 or gone == count - 1


def test_the_share_is_exact_on_average() -> None:
    taken = [without_strokes(ink(4), 0.1, np.random.default_rng(s)).share for s in range(2000)]
    assert set(taken) == {0.0, 0.25}
    # 0.4 strokes of 4: one in 40 of 100; the standard error of the mean is 0.0027.
    assert np.mean(taken) == pytest.approx(0.1, abs=0.01)


def test_levels_are_nested_and_the_order_is_kept() -> None:
    for seed in range(20):
        levels = [
            without_strokes(ink(9), share, np.random.default_rng(seed)).ink
            for share in (0.0, 0.1, 0.3, 0.5, 1.0)
        ]
        kept = [left(found) for found in levels]
        assert kept[0] == set(range(9)) and len(kept[-1]) == 1
        assert all(more >= fewer for more, fewer in pairwise(kept))
        for found in levels:
            order = [int(stroke[0, 0]) for stroke in found.strokes]
            assert order == sorted(order)


def test_symbols_go_with_all_their_strokes() -> None:
    symbols = (Symbol("x", (0, 3)), Symbol("+", (1, 2)), Symbol(r"\frac", ()), Symbol("y", (4,)))
    whole = Ink(ink(6).strokes, symbols)  # stroke 5 belongs to no symbol
    assert symbols_with_strokes(whole) == 3
    seen = set()
    for seed in range(30):
        one = without_symbols(whole, 1, np.random.default_rng(seed))
        two = without_symbols(whole, 2, np.random.default_rng(seed))
        assert left(one.ink) > left(two.ink) >= {5}
        assert one.share == pytest.approx((6 - len(left(one.ink))) / 6)
        seen.add(frozenset(left(one.ink)))
    assert seen == {frozenset({1, 2, 4, 5}), frozenset({0, 3, 4, 5}), frozenset({0, 1, 2, 3, 5})}
    assert left(without_symbols(whole, 0, np.random.default_rng(0)).ink) == set(range(6))


def test_refuses() -> None:
    rng = np.random.default_rng(0)
    for share in (-0.1, 1.1):
        with pytest.raises(ValueError, match="share"):
            without_strokes(ink(3), share, rng)
    with pytest.raises(ValueError, match="share"):
        without_strokes(ink(0), 0.5, rng)
    whole = Ink(ink(2).strokes, (Symbol("x", (0,)), Symbol("y", (1,))))
    for count in (-1, 2):
        with pytest.raises(ValueError, match="of 2 symbols"):
            without_symbols(whole, count, rng)
