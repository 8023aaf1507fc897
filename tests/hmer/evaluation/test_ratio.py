"""Intervals of ratios."""

from __future__ import annotations

import numpy as np
import pytest

from hmer.evaluation.ratio import ratio_interval


def test_the_ratio_of_the_sums() -> None:
    found = ratio_interval(np.array([1.0, 3.0]), np.array([2.0, 2.0]), 0)
    assert found.mean == pytest.approx(1.0)
    assert (found.low, found.high) == pytest.approx((0.5, 1.5))


def test_equal_ratios_leave_no_doubt() -> None:
    bottom = np.array([1.0, 2.0, 5.0])
    found = ratio_interval(0.3 * bottom, bottom, 1)
    assert tuple(found) == pytest.approx((0.3, 0.3, 0.3))


def test_agrees_with_a_slow_bootstrap() -> None:
    rng = np.random.default_rng(0)
    bottom = rng.integers(1, 20, 40).astype(float)
    top = rng.binomial(bottom.astype(int), 0.7).astype(float)
    found = ratio_interval(top, bottom, 3, n=4000)
    drawn = []
    for _ in range(4000):
        rows = rng.integers(40, size=40)
        drawn.append(top[rows].sum() / bottom[rows].sum())
    low, high = np.quantile(drawn, [0.025, 0.975])
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.01)
    assert found == ratio_interval(top, bottom, 3, n=4000)


def test_empty_expressions_are_no_division_by_zero() -> None:
    found = ratio_interval(np.array([1.0, 0.0]), np.array([1.0, 0.0]), 0)
    assert tuple(found) == (1.0, 1.0, 1.0)
    with pytest.raises(ValueError, match="mass"):
        ratio_interval(np.zeros(2), np.zeros(2), 0)
