"""Two runs compared by expression."""

from __future__ import annotations

import pytest

from hmer.errors import HmerError
from hmer.evaluation.paired import compare_trials
from hmer.evaluation.robustness.trials import Trial

TRUTHS = {"a": ["1", "+"], "b": ["2"], "c": ["3"], "d": ["4"]}


def run(series: str, level: float, **read: str) -> list[Trial]:
    return [Trial(series, level, level, id, TRUTHS[id], list(text)) for id, text in read.items()]


MINE = run("plain", 0, a="1+", b="2", c="3", d="x") + run("s", 0, a="1+", b="2", c="x")
MINE += run("s", 0.3, a="1+", b="x", c="x")
OTHER = run("plain", 0, d="4", c="x", b="x", a="11") + run("s", 0, c="3", a="1+", b="2")
OTHER += run("s", 0.3, a="1-", b="x", c="x") + run("t", 1, a="1+")


def test_by_hand() -> None:
    plain, whole, hidden = compare_trials(MINE, OTHER, resamples=200)
    assert [(d.series, d.level, d.n) for d in (plain, whole, hidden)] == [
        ("plain", 0, 4),
        ("s", 0, 3),
        ("s", 0.3, 3),
    ]
    # Right: mine a b c, theirs d. Edits: mine 0 0 0 1, theirs 1 1 1 0, of 5 characters.
    assert plain.exprate.mean == pytest.approx(50.0)
    assert plain.rates == pytest.approx((75.0, 25.0))
    assert hidden.rates == pytest.approx((100 / 3, 0.0))
    assert plain.cer.mean == pytest.approx(-40.0)
    assert plain.exprate.low <= 50.0 <= plain.exprate.high
    assert plain.loss is None and whole.loss is None
    assert whole.exprate.mean == pytest.approx(-100 / 3)
    # At 0.3 mine has a, theirs none; mine lost b of 3, theirs all 3.
    assert hidden.exprate.mean == pytest.approx(100 / 3)
    assert hidden.loss is not None and hidden.loss.mean == pytest.approx(100 * (1 - 3) / 3)


def test_the_other_way_round() -> None:
    ahead = {(d.series, d.level): d for d in compare_trials(MINE, OTHER, resamples=50)}
    behind = {(d.series, d.level): d for d in compare_trials(OTHER, MINE, resamples=50)}
    assert ahead.keys() == behind.keys()
    for key, difference in ahead.items():
        assert behind[key].exprate.mean == pytest.approx(-difference.exprate.mean)
        assert behind[key].cer.mean == pytest.approx(-difference.cer.mean)


def test_the_same_run_differs_by_nothing() -> None:
    for difference in compare_trials(MINE, MINE, resamples=50):
        assert difference.exprate == (0.0, 0.0, 0.0) and difference.cer == (0.0, 0.0, 0.0)


def test_other_pictures_are_noticed() -> None:
    moved = [Trial(t.series, t.level, t.share * 1.01, t.id, t.truth, t.tokens) for t in OTHER]
    assert [d.alike for d in compare_trials(MINE, OTHER, resamples=50)] == [True] * 3
    assert [d.alike for d in compare_trials(MINE, moved, resamples=50)] == [True, True, False]


def test_refuses() -> None:
    with pytest.raises(HmerError, match="no expression under the same condition"):
        compare_trials(MINE, run("t", 1, a="1+"))
    spelt = [Trial("s", 0.0, 0.0, "a", ["1", "-"], ["1"])]
    with pytest.raises(HmerError, match="a: the two runs have different truths"):
        compare_trials(MINE, spelt)
