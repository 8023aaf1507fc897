"""Curves of what is still read, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from hmer.evaluation.robustness.curves import robustness_curve, robustness_curves
from hmer.evaluation.robustness.trials import Trial

TRUTHS = {"a": ["x", "+", "1"], "b": ["y"], "c": [r"\pi", "r"], "d": ["z"]}


def trial(level: float, id: str, read: list[str] | None, series: str = "s") -> Trial:
    return Trial(series, level, level + 0.1 if level else 0.0, id, TRUTHS[id], read)


TRIALS = [
    trial(0.5, "a", ["x", "-", "1"]),  # lost; one character of three
    trial(0.5, "b", ["y"]),  # kept
    trial(0.5, "c", None),  # lost; all four characters
    trial(0.5, "d", ["z"]),  # won; a character fewer
    trial(0.0, "a", ["x", "+", "1"]),
    trial(0.0, "b", ["y"]),
    trial(0.0, "c", [r"\pi", "r"]),
    trial(0.0, "d", ["w"]),
]


def test_by_hand() -> None:
    light, heavy = robustness_curve(TRIALS, seed=0, resamples=2000)
    assert (light.level, light.share, light.exprate.mean) == (0.0, 0.0, 75.0)
    assert light.loss == (0.0, 0.0, 0.0) and light.cer_rise == (0.0, 0.0, 0.0)
    assert heavy.level == 0.5 and heavy.share == pytest.approx(0.6)
    assert heavy.exprate.mean == heavy.scores.exprate == 50.0
    assert heavy.loss.mean == 25.0  # two lost, one won, of four
    assert heavy.loss.low < 0.0 < heavy.loss.high
    # 3 + 1 + 4 + 1 characters of truth; edits 1 + 0 + 4 + 0, before 0 + 0 + 0 + 1.
    assert heavy.scores.cer == pytest.approx(100 * 5 / 9)
    assert light.scores.cer == pytest.approx(100 * 1 / 9)
    assert heavy.cer_rise.mean == pytest.approx(100 * (5 - 1) / 9)
    assert heavy.scores.unreadable == ("c",)


def test_pairing_takes_only_the_expressions_of_the_level() -> None:
    some = [t for t in TRIALS if t.level == 0.0 or t.id in "bd"]
    heavy = robustness_curve(some, seed=0, resamples=100)[1]
    assert heavy.scores.n == 2
    assert heavy.loss.mean == -50.0


def test_an_interval_of_a_sure_loss() -> None:
    ids = [f"{i}" for i in range(100)]
    right = np.arange(100) % 5 > 0
    trials = [Trial("s", 0.0, 0.0, id, ["x"], ["x"]) for id in ids]
    trials += [
        Trial("s", 0.1, 0.1, id, ["x"], ["x"] if ok else ["y"])
        for id, ok in zip(ids, right, strict=True)
    ]
    loss = robustness_curve(trials, seed=3)[1].loss
    # A binomial draw of 100 at 0.2: standard error 4.
    assert loss.mean == pytest.approx(20.0)
    assert (loss.low, loss.high) == pytest.approx((12.2, 27.8), abs=1.3)


def test_series_are_told_apart() -> None:
    other = [trial(0.0, "b", ["y"], "t"), trial(2.0, "b", ["x"], "t")]
    curves = robustness_curves([*other, *TRIALS], seed=0, resamples=100)
    assert list(curves) == ["t", "s"]
    assert [point.level for point in curves["t"]] == [0.0, 2.0]
    assert robustness_curves([], seed=0) == {}


def test_refuses() -> None:
    with pytest.raises(ValueError, match="twice"):
        robustness_curve([TRIALS[0], TRIALS[0]], seed=0)
    with pytest.raises(ValueError, match="one series"):
        robustness_curve([*TRIALS, trial(0.5, "b", [], "t")][-2:], seed=0)
    with pytest.raises(ValueError, match="level 0 has not"):
        robustness_curve(TRIALS[:2], seed=0)
