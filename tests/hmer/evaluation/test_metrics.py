"""Scores of expressions, worked by hand, and the table of metrics."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hmer.evaluation.metrics import (
    METRICS,
    MetricsSummary,
    same_structure,
    score_predictions,
    summarise,
)
from hmer.evaluation.prediction import Prediction


def scored(*cases: tuple[str, str | None]) -> MetricsSummary:
    split = [(t.split(), None if p is None else p.split()) for t, p in cases]
    return summarise([Prediction(f"e{n}", *case, 0.5) for n, case in enumerate(split)])


def test_rates_by_hand() -> None:
    summary = scored(
        ("a + b", "a + b"),  # 0 edits
        ("a + b", "a + c"),  # 1
        ("a + b", "a"),  # 2
        ("a + b", ""),  # 3
        ("a b c d", "w x y z"),  # 4
    )
    assert (summary.n, summary.exprate, summary.le1) == (5, 20.0, 40.0)
    assert (summary.le2, summary.le3) == (60.0, 80.0)
    assert summary.ter == pytest.approx(100.0 * 10 / 16)
    assert summary.cer == pytest.approx(100.0 * 10 / 16)


def test_characters_are_those_of_the_latex_without_spaces() -> None:
    summary = scored(("\\alpha + 1", "a + 1"))
    assert summary.ter == pytest.approx(100.0 / 3)
    assert summary.cer == pytest.approx(100.0 * 5 / 8)  # \alpha+1 against a+1: five deletions


def test_unreadable_is_wrong_at_every_tolerance_and_listed() -> None:
    summary = scored(("x", None), ("y", "y"))
    assert (summary.exprate, summary.le3, summary.structure_rate) == (50.0, 50.0, 50.0)
    assert (summary.ter, summary.cer) == (50.0, 50.0)
    assert summary.unreadable == ("e0",)
    assert summary.canonical.le3 == 50.0


def test_empty_prediction_is_read_but_wrong() -> None:
    summary = scored(("x", ""))
    assert (summary.exprate, summary.le1, summary.unreadable) == (0.0, 100.0, ())


def test_structure_ignores_symbols_only() -> None:
    summary = scored(
        ("x ^ { 2 } + 1", "y ^ { z } - 7"),  # same tree
        ("x ^ { 2 }", "x _ { 2 }"),  # other relation
        ("x ^ { 2 }", "x ^ { 2"),  # not an expression
        ("\\frac { a } { b }", "a b"),
    )
    assert summary.structure_rate == 25.0
    assert summary.exprate == 0.0


def test_canonical_reading_forgives_spelling_only() -> None:
    summary = scored(
        ("\\sum \\limits _ { i } ^ { n } i", "\\sum ^ { n } _ { i } i"),
        ("x ^ { 2 }", "x ^ { 3 }"),
    )
    assert (summary.exprate, summary.canonical.exprate) == (0.0, 50.0)
    assert summary.structure_rate == 100.0


def test_misuse_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing"):
        summarise([])
    with pytest.raises(ValueError, match="twice"):
        summarise([Prediction("a", ["x"], ["x"], 0.5)] * 2)


def slow_distance(a: list[str], b: list[str]) -> int:
    table = [list(range(len(b) + 1))]
    for i, left in enumerate(a, start=1):
        row = [i]
        for j, right in enumerate(b, start=1):
            row.append(min(table[-1][j] + 1, row[-1] + 1, table[-1][j - 1] + (left != right)))
        table.append(row)
    return table[-1][-1]


tokens = st.lists(st.sampled_from(["x", "2", "\\frac", "{", "}", "^", "_", "\\alpha"]), max_size=9)


@given(st.lists(st.tuples(tokens.filter(bool), st.none() | tokens), min_size=1, max_size=8))
def test_agrees_with_a_slow_reference(cases: list[tuple[list[str], list[str] | None]]) -> None:
    summary = summarise([Prediction(str(n), *case, 0.5) for n, case in enumerate(cases)])
    distances = [slow_distance(truth, read or []) for truth, read in cases]
    for bound, rate in enumerate((summary.exprate, summary.le1, summary.le2, summary.le3)):
        hits = sum(
            d <= bound and case[1] is not None for d, case in zip(distances, cases, strict=True)
        )
        assert rate == pytest.approx(100.0 * hits / len(cases))
    length = sum(len(truth) for truth, _ in cases)
    assert summary.ter == pytest.approx(100.0 * sum(distances) / length)
    assert summary.exprate <= summary.canonical.exprate <= 100.0
    assert summary.exprate <= summary.structure_rate


@pytest.mark.parametrize(
    ("truth", "prediction", "same"),
    [
        ("a + b", "1 2 3", True),
        ("a + b", "1 2", False),
        ("x _ { a } ^ { b }", "y ^ { 1 } _ { 2 }", True),
        ("\\sqrt { x }", "\\frac { x } { y }", False),
        ("\\sqrt [ 3 ] { x }", "\\sqrt { x }", False),
        ("x ^ { a }", "{ x } ^ { a }", True),
        ("x ^ {", "x ^ {", True),
        ("x ^ {", "y ^ {", False),
    ],
)
def test_same_structure(truth: str, prediction: str, same: bool) -> None:
    assert same_structure(truth.split(), prediction.split()) is same
    assert same_structure(prediction.split(), truth.split()) is same


def test_numbers_of_a_set() -> None:
    pool = [Prediction("a", ["x"], ["x"], 1.0), Prediction("b", ["y"], None, 0.0)]
    numbers = score_predictions(pool).numbers()
    assert (numbers["n"], numbers["exprate"], numbers["ece"]) == (2, 50.0, 0.0)
    assert (numbers["unreadable"], numbers["cer_canonical"]) == (1, 50.0)
    assert numbers["aurc"] == pytest.approx((0.0 + 0.5) / 2)
    assert numbers["coverage_at_precision_95"] == 50.0
    assert numbers["accuracy_at_coverage_80"] == 50.0
    wrong = [Prediction("a", ["x"], ["y"], 1.0)]
    assert score_predictions(wrong).numbers()["coverage_at_precision_95"] == 0.0
    with pytest.raises(ValueError, match="twice"):
        score_predictions([*pool, pool[0]])


def test_the_table_of_metrics() -> None:
    assert [METRICS[name].text(12.345) for name in ("n", "cer", "ece")] == ["12", "12.35", "12.345"]
    assert METRICS["novelty.exprate_new"].text(None) == "–"
    assert (METRICS["cer"].better, METRICS["exprate"].better) == ("lower", "higher")
    assert METRICS["cer"].heading == "character errors, %" and METRICS["n"].better is None
    assert METRICS["exprate"].headline and not METRICS["exprate_low"].headline
