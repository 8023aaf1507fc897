"""Divergences against hand-worked values."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hmer.data.drift import jensen_shannon, population_stability

counts = st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 50), min_size=1).map(Counter)


def test_jensen_shannon_by_hand() -> None:
    assert jensen_shannon(Counter(a=1), Counter(a=7)) == 0
    assert jensen_shannon(Counter(a=1), Counter(b=1)) == 1
    # p = (1, 0), q = (1/2, 1/2), m = (3/4, 1/4)
    expected = (math.log2(4 / 3) + 0.5 * math.log2(2 / 3) + 0.5 * math.log2(2)) / 2
    assert jensen_shannon(Counter(a=3), Counter(a=5, b=5)) == pytest.approx(expected, abs=1e-6)


@settings(deadline=None, max_examples=50)
@given(counts, counts)
def test_jensen_shannon_is_symmetric_and_bounded(one: Counter[str], two: Counter[str]) -> None:
    value = jensen_shannon(one, two)
    assert 0 <= value <= 1
    assert value == pytest.approx(jensen_shannon(two, one), abs=1e-6)


def test_population_stability_by_hand() -> None:
    # Two bins, cut at the median 1; half a count is added to each of them.
    p, q = np.array([2.5, 2.5]) / 5, np.array([1.5, 3.5]) / 5
    expected = float(((p - q) * np.log(p / q)).sum())
    found = population_stability([0, 1, 2, 3], [0, 2, 2, 3], bins=2)
    assert found == pytest.approx(expected, abs=1e-6)


def test_population_stability_sees_a_shift_and_no_other() -> None:
    rng = np.random.default_rng(0)
    reference, same = rng.normal(0, 1, 5000), rng.normal(0, 1, 500)
    assert population_stability(reference, same) < 0.1
    assert population_stability(reference, same + 1) > 0.25
    assert population_stability(reference, np.append(same, np.nan)) < 0.1
    assert population_stability(np.ones(9), np.ones(9)) == 0


def test_empty_distributions_are_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        jensen_shannon(Counter(), Counter(a=1))
    with pytest.raises(ValueError, match="empty"):
        population_stability([1.0], [float("nan")])
