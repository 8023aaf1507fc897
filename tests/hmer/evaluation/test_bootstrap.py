"""Bootstrap intervals against slow references."""

from __future__ import annotations

import numpy as np
import pytest

from hmer.evaluation import bootstrap
from hmer.evaluation.bootstrap import paired_difference, paired_ratio, rate_interval, ratio_interval


def test_counts_are_the_bootstrap() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.random(120) < 0.6, rng.random(120) < 0.5
    picks = np.random.default_rng(1).integers(0, 120, (20_000, 120))
    rates = 100.0 * a[picks].mean(axis=1)
    differences = rates - 100.0 * b[picks].mean(axis=1)
    interval = rate_interval(a, seed=2, n=20_000)
    assert interval.mean == pytest.approx(100.0 * a.mean())
    assert interval[1:] == pytest.approx(np.quantile(rates, [0.025, 0.975]), abs=0.9)
    difference = paired_difference(a, b, seed=2, n=20_000)
    assert difference.mean == pytest.approx(100.0 * (a.mean() - b.mean()))
    assert difference[1:] == pytest.approx(np.quantile(differences, [0.025, 0.975]), abs=0.9)


def test_pairing_narrows_the_interval() -> None:
    rng = np.random.default_rng(3)
    a = rng.random(500) < 0.5
    b = a.copy()
    b[:10] = False
    mean, low, high = paired_difference(a, b, seed=0)
    assert mean == pytest.approx(100.0 * a[:10].sum() / 500)
    assert 0.0 <= low <= mean <= high < 3.0
    assert paired_difference(b, a, seed=0).mean == pytest.approx(-mean)


def test_equal_results_differ_by_nothing() -> None:
    a = np.array([True, False, True])
    assert paired_difference(a, a, seed=0) == (0.0, 0.0, 0.0)
    assert rate_interval(np.ones(5, np.bool_), seed=0) == (100.0, 100.0, 100.0)


def test_ratio_with_weights_of_one_is_the_difference_of_rates() -> None:
    rng = np.random.default_rng(5)
    a, b = rng.random(150) < 0.6, rng.random(150) < 0.4
    counted = paired_difference(a, b, seed=1, n=20_000)
    drawn = paired_ratio(a.astype(float) - b, np.ones(150), seed=2, n=20_000)
    assert drawn.mean == pytest.approx(counted.mean)
    assert drawn[1:] == pytest.approx(counted[1:], abs=0.9)


def test_ratio_against_the_delta_method() -> None:
    rng = np.random.default_rng(6)
    weight = rng.integers(1, 20, 400).astype(float)
    difference = rng.normal(0.1 * weight, 1.0)
    mean, low, high = paired_ratio(difference, weight, seed=0)
    ratio = difference.sum() / weight.sum()
    error = 100 * np.sqrt(((difference - ratio * weight) ** 2).sum()) / weight.sum()
    assert mean == pytest.approx(100 * ratio)
    assert (low, high) == pytest.approx((mean - 1.96 * error, mean + 1.96 * error), abs=0.1 * error)


def test_ratio_in_pieces_is_the_ratio_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    difference, weight = np.arange(10.0), np.arange(1.0, 11.0)
    at_once = paired_ratio(difference, weight, seed=4, n=101)
    monkeypatch.setattr(bootstrap, "_AT_ONCE", 70)
    assert paired_ratio(difference, weight, seed=4, n=101) == at_once


def test_seeded() -> None:
    a = np.random.default_rng(0).random(200) < 0.5
    assert rate_interval(a, seed=1, n=500) == rate_interval(a, seed=1, n=500)
    assert rate_interval(a, seed=1, n=500) != rate_interval(a, seed=2, n=500)


def test_misuse_is_refused() -> None:
    a = np.array([True, False])
    with pytest.raises(ValueError, match="of one length"):
        paired_difference(a, a[:1], seed=0)
    with pytest.raises(ValueError, match="non-empty"):
        rate_interval(a[:0], seed=0)
    with pytest.raises(ValueError, match="bool"):
        rate_interval(a.astype(int), seed=0)
    for difference, weight in (([1.0], [1.0, 1.0]), ([1.0], [0.0]), ([], [])):
        with pytest.raises(ValueError, match="expected"):
            paired_ratio(np.array(difference), np.array(weight), seed=0)


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
