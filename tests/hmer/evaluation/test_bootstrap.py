"""Bootstrap intervals against resampling done the slow way."""

from __future__ import annotations

import numpy as np
import pytest

from hmer.evaluation.bootstrap import paired_difference, rate_interval


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


def test_seeded() -> None:
    a = np.random.default_rng(0).random(200) < 0.5
    assert rate_interval(a, seed=1, n=500) == rate_interval(a, seed=1, n=500)
    assert rate_interval(a, seed=1, n=500) != rate_interval(a, seed=2, n=500)


def test_misuse_is_refused() -> None:
    a = np.array([True, False])
    with pytest.raises(ValueError, match="match"):
        paired_difference(a, a[:1], seed=0)
    with pytest.raises(ValueError, match="non-empty"):
        rate_interval(a[:0], seed=0)
    with pytest.raises(ValueError, match="bool"):
        rate_interval(a.astype(int), seed=0)
    with pytest.raises(ValueError, match="level"):
        rate_interval(a, seed=0, level=1.0)
