"""Tests of decision."""

from __future__ import annotations

import pytest

from hmer.errors import HmerError
from hmer.evaluation.bootstrap import Interval
from hmer.evaluation.comparison import Comparison, PairedDifference
from hmer.evaluation.prediction import OCCLUSION, PLAIN, Trial
from pipeline.registry.decision import (
    Decision,
    RegisterConfig,
    compare,
    decide,
    exprates,
)


def met(
    mean: float,
    low: float,
    high: float,
    occluded: float | None = None,
    interval: tuple[float, float] | None = None,
) -> Comparison:
    hidden = Interval(occluded, *interval) if occluded is not None and interval else None
    same = Interval(0.0, 0.0, 0.0)
    gain = Interval(mean, low, high)
    whole = PairedDifference(PLAIN, 0.0, 500, (50.0, 50.0), gain, same, True)
    return Comparison([whole], hidden, [], 0)


@pytest.mark.parametrize(
    ("comparison", "obstacle", "config", "wanted", "because"),
    [
        (None, "", {}, "champion", "there was no champion"),
        (None, "other data", {}, "challenger", "not comparable: other data"),
        (met(1.5, 0.2, 2.8), "", {}, "champion", "better beyond noise: +1.50 points of ExpRate"),
        (met(1.5, 0.0, 2.8), "", {}, "challenger", "better, but not beyond doubt"),
        (met(1.5, 0.2, 2.8), "", {"margin": 0.5}, "challenger", "not beyond doubt"),
        (met(1.5, 0.6, 2.8), "", {"margin": 0.5}, "champion", "beyond the margin 0.5"),
        (met(0.0, 0.0, 0.0), "", {}, "challenger", "not better"),
        (met(-1.0, -2.0, 0.0), "", {}, "challenger", "not better"),
        (met(-1.1, -2.0, 0.0), "", {}, "refused", "worse by more than 1 (register.worse)"),
        (met(-1.1, -2.0, 0.0), "", {"worse": 2}, "challenger", "not better"),
        (met(3.0, 1.0, 5.0, -5.1, (-8.0, -2.0)), "", {}, "refused", "ink is hidden, -5.10 points"),
        (met(3.0, 1.0, 5.0, -5.0, (-8.0, -2.0)), "", {}, "champion", "better beyond noise"),
        (
            met(3.0, 1.0, 5.0, -6.0, (-9.0, -2.0)),
            "",
            {},
            "refused",
            "-6.00 points (-9.00 to -2.00)",
        ),
        (met(3.0, 1.0, 5.0, -6.0, (-13.0, 1.0)), "", {}, "challenger", "perhaps worse where ink"),
        (met(-2.0, -3.0, -1.0, -6.0, (-13.0, 1.0)), "", {}, "refused", "register.worse)"),
        (met(3.0, 1.0, 5.0, -4.0, (-6.0, -2.0)), "", {}, "champion", "better beyond noise"),
    ],
)
def test_decisions(
    comparison: Comparison | None,
    obstacle: str,
    config: dict[str, object],
    wanted: Decision,
    because: str,
) -> None:
    settings = RegisterConfig.model_validate(config)
    decision, reason = decide(comparison, settings, obstacle=obstacle)
    assert decision == wanted
    assert because in reason


def plain(**right: bool) -> list[Trial]:
    """Readings of whole expressions."""
    return [trial(PLAIN, 0.0, name, one) for name, one in right.items()]


def trial(series: str, level: float, name: str, right: bool) -> Trial:
    return Trial(series, level, level, name, ["x", "2"], ["x", "2"] if right else ["x"])


def test_pairs_are_made_by_name_and_not_by_order() -> None:
    mine = plain(a=True, b=True, c=False, d=True)
    theirs = plain(d=False, c=True, b=True, a=False)
    found = compare(mine, theirs, RegisterConfig())
    assert found.whole is not None
    assert (found.whole.n, found.won, found.lost) == (4, 2, 1)
    gain = found.whole.exprate
    assert gain.low <= gain.mean == 25.0 <= gain.high
    assert found.hidden is None


def evidence(*right: tuple[bool, bool]) -> list[Trial]:
    """Expressions read at two levels of hidden ink; all of them right as they are."""
    names = [f"e{number}" for number in range(len(right))]
    hidden = [
        trial(OCCLUSION, level, name, one)
        for name, both in zip(names, right, strict=True)
        for level, one in zip((0.1, 0.2), both, strict=True)
    ]
    return [*plain(**dict.fromkeys(names, True)), *hidden]


def test_the_gain_where_ink_is_hidden_has_an_interval() -> None:
    mine = evidence(*[(True, False)] * 10, *[(False, False)] * 90)
    theirs = evidence(*[(False, False)] * 10, *[(True, True)] * 30, *[(False, False)] * 60)
    found = compare(mine, theirs, RegisterConfig())
    # Ten expressions gain a level of two, thirty lose both: (10 / 2 - 30) / 100.
    assert found.hidden is not None
    assert found.hidden.mean == pytest.approx(-25.0)
    assert exprates(mine, OCCLUSION) == [[0.1, 10.0], [0.2, 0.0]]
    assert -36 < found.hidden.low < -25 < found.hidden.high < -14
    assert compare(mine, mine, RegisterConfig()).hidden == (0.0, 0.0, 0.0)


def test_levels_of_an_expression_are_no_independent_draws() -> None:
    """The interval of few expressions with many levels is as wide as of few expressions."""
    few = compare(
        evidence(*[(True, True)] * 5),
        evidence(*[(False, False), (True, True)] * 2, (True, True)),
        RegisterConfig(),
    )
    assert few.hidden is not None
    assert few.hidden.mean == pytest.approx(40.0)
    assert few.hidden.high - few.hidden.low == pytest.approx(80.0)


def test_readings_of_other_pictures_are_not_paired() -> None:
    mine, theirs = evidence((True, True), (True, False)), evidence((True, True), (False, False))
    assert compare(mine, theirs[:-1], RegisterConfig()).hidden is None


def test_other_expressions_are_refused() -> None:
    with pytest.raises(HmerError, match="other expressions"):
        compare(plain(a=True), plain(b=True), RegisterConfig())
