"""Calibration, worked by hand and against slow references."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hmer.evaluation.calibration import (
    fit_calibration,
    reliability,
    risk_coverage,
)
from hmer.models.about import Calibration


def test_ece_by_hand() -> None:
    confidence = np.array([0.0, 0.08, 0.92, 1.0])
    correct = np.array([False, True, True, False])
    # (0, 0.1]: mean confidence 0.04, accuracy 0.5; (0.9, 1]: 0.96 and 0.5.
    found = reliability(confidence, correct)
    assert found.ece == pytest.approx(0.5 * 0.46 + 0.5 * 0.46)
    assert [row.n for row in found.bins] == [2, *[0] * 8, 2]
    assert found.bins[-1].confidence == pytest.approx(0.96)


def test_bin_edges_belong_to_the_lower_bin() -> None:
    found = reliability(np.array([0.0, 0.1, 0.15, 1.0]), np.ones(4, np.bool_))
    assert [row.n for row in found.bins] == [2, 1, *[0] * 7, 1]


def test_perfect_calibration_and_empty_bins() -> None:
    found = reliability(np.array([1.0, 1.0, 0.0]), np.array([True, True, False]))
    assert found.ece == 0.0
    assert [row.n for row in found.bins] == [1, 0, 0, 0, 0, 0, 0, 0, 0, 2]


def test_risk_coverage_by_hand() -> None:
    confidence = np.array([0.2, 0.9, 0.6, 0.4])
    correct = np.array([False, True, False, True])
    found = risk_coverage(confidence, correct)
    assert [(p.threshold, p.coverage) for p in found.points] == [
        (0.9, 0.25),
        (0.6, 0.5),
        (0.4, 0.75),
        (0.2, 1.0),
    ]
    assert [p.risk for p in found.points] == pytest.approx([0, 1 / 2, 1 / 3, 1 / 2])
    assert found.aurc == pytest.approx((0 + 1 / 2 + 1 / 3 + 1 / 2) / 4)
    best = found.at_risk(0.4)
    assert best is not None
    assert best.threshold == 0.4


def test_risk_at_a_coverage() -> None:
    found = risk_coverage(np.array([0.9, 0.5, 0.5, 0.5, 0.1]), np.array([1, 0, 1, 1, 0], bool))
    for coverage, kept, risk in ((0.0, 0.2, 0), (0.2, 0.2, 0), (0.3, 0.8, 1 / 4), (1, 1, 2 / 5)):
        point = found.at_coverage(coverage)
        assert (point.coverage, point.risk) == pytest.approx((kept, risk))


def test_coverages_are_met_in_spite_of_rounding() -> None:
    confidence = np.linspace(0.0, 1.0, 10)
    found = risk_coverage(confidence, confidence > 0.5)
    for count in range(1, 11):
        assert found.at_coverage(0.1 * count).coverage == pytest.approx(count / 10)


def test_no_threshold_is_good_enough() -> None:
    assert risk_coverage(np.array([0.5]), np.array([False])).at_risk(0.1) is None


def test_ties_give_the_mean_over_all_orders() -> None:
    confidence = np.array([0.9, 0.5, 0.5, 0.5, 0.1])
    correct = np.array([True, False, True, True, False])
    areas = []
    for middle in itertools.permutations([1, 2, 3]):
        errors = np.cumsum(~correct[[0, *middle, 4]])
        areas.append(np.mean(errors / np.arange(1, 6)))
    found = risk_coverage(confidence, correct)
    assert found.aurc == pytest.approx(np.mean(areas))
    assert [p.coverage for p in found.points] == pytest.approx([0.2, 0.8, 1.0])


def test_order_of_the_input_does_not_matter() -> None:
    rng = np.random.default_rng(5)
    confidence = rng.integers(0, 20, 300) / 20.0
    correct = rng.random(300) < confidence
    order = rng.permutation(300)
    assert risk_coverage(confidence, correct).aurc == pytest.approx(
        risk_coverage(confidence[order], correct[order]).aurc
    )
    assert reliability(confidence, correct).ece == pytest.approx(
        reliability(confidence[order], correct[order]).ece
    )


@pytest.mark.parametrize(
    ("confidence", "correct"),
    [
        (np.array([]), np.array([], np.bool_)),
        (np.array([0.5]), np.array([True, False])),
        (np.array([1.1]), np.array([True])),
        (np.array([np.nan]), np.array([True])),
        (np.array([0.5]), np.array([1])),
    ],
)
def test_refuses(confidence: np.ndarray, correct: np.ndarray) -> None:
    for function in (reliability, risk_coverage):
        with pytest.raises(ValueError, match=r"expected|must"):
            function(confidence, correct)


def test_calibration_by_hand() -> None:
    found = Calibration(scale=2.0, slope=3.0, length=0.5)
    assert found.confidence(float(np.exp(-2.0)), 1) == pytest.approx(0.5)
    assert found.confidence(float(np.exp(-4.0)), 4) == pytest.approx(0.5)
    assert found.confidence(float(np.exp(-4.0)), 1) == pytest.approx(1 / 9)
    beside = found._replace(rivals=0.5)
    assert beside.confidence(float(np.exp(-2.0)), 1, 0.5) == pytest.approx(0.5)
    assert beside.confidence(float(np.exp(-2.0)), 1, 0.2) == pytest.approx(1 / 3)
    assert 0.99 < beside.confidence(float(np.exp(-2.0)), 1, 1.0) < 1
    assert (found.confidence(0.0, 3), found.confidence(1.0, 3)) == (0.0, 1.0)


def test_the_fit_is_where_the_likelihood_is_largest() -> None:
    rng = np.random.default_rng(0)
    tokens = rng.integers(1, 40, 6000)
    logs = -rng.exponential(1.0, 6000) * tokens**0.4
    shares = rng.uniform(0.05, 1.0, 6000)
    true = Calibration(1.5, 1.2, 0.4, 0.6)
    rows = zip(np.exp(logs), tokens, shares, strict=True)
    chance = np.array([true.confidence(*row) for row in rows])
    right = rng.random(6000) < chance
    found = fit_calibration(logs, tokens, shares, right)
    assert found == pytest.approx(true, rel=0.2)

    def likelihood(scale: float, slope: float, length: float, rivals: float) -> float:
        odds = (-logs / (scale * tokens**length)) ** slope * (1 / shares - 1) ** rivals
        chance = 1 / (1 + odds)
        return float(np.log(np.where(right, chance, 1 - chance)).sum())

    best = likelihood(*found)
    for place in range(4):
        for factor in (0.97, 1.03):
            other = [*found]
            other[place] *= factor
            assert best > likelihood(*other)


@given(
    st.lists(
        st.tuples(st.floats(-1e6, 0), st.integers(0, 200), st.floats(0, 1), st.booleans()),
        min_size=1,
        max_size=40,
    ),
)
def test_any_answers_have_a_calibration(answers: list[tuple[float, int, float, bool]]) -> None:
    logs, tokens, shares, right = (np.array(column) for column in zip(*answers, strict=True))
    found = fit_calibration(logs, tokens, shares, right)
    assert found.scale > 0 and found.slope > 0
    confident = [found.confidence(p, 9) for p in (1e-9, 0.1, 0.5, 0.9)]
    assert confident == sorted(confident)


def test_what_is_no_probability() -> None:
    for wrong in (np.array([]), np.array([0.5, -1.0])):
        count = len(wrong)
        with pytest.raises(ValueError, match="at most 0"):
            fit_calibration(wrong, np.ones(count, np.int64), np.ones(count), np.ones(count, bool))
