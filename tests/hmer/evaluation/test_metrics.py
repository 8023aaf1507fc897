"""Scores of expressions, worked by hand."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hmer.evaluation.metrics import ExpressionMetrics, MetricsSummary


def scored(*cases: tuple[str, str | None]) -> MetricsSummary:
    metrics = ExpressionMetrics()
    for index, (truth, prediction) in enumerate(cases):
        read = None if prediction is None else prediction.split()
        metrics.update(f"e{index}", truth.split(), read)
    return metrics.summary()


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
    assert (summary.exprate, summary.exprate_canonical) == (0.0, 50.0)
    assert summary.structure_rate == 100.0
    assert summary.flat()["exprate_canonical"] == 50.0


def test_flat_numbers() -> None:
    flat = scored(("x", None), ("y", "y")).flat()
    assert (flat["n"], flat["unreadable"], flat["exprate"], flat["cer_canonical"]) == (2, 1, 50, 50)


def test_reset_forgets() -> None:
    metrics = ExpressionMetrics()
    metrics.update("a", ["x"], None)
    metrics.reset()
    metrics.update("a", ["x"], ["x"])
    assert len(metrics) == 1
    assert metrics.summary().exprate == 100.0
    assert metrics.summary().unreadable == ()


def test_misuse_is_refused() -> None:
    metrics = ExpressionMetrics()
    with pytest.raises(ValueError, match="nothing"):
        metrics.summary()
    with pytest.raises(ValueError, match="tokens"):
        metrics.update("a", [], ["x"])
    with pytest.raises(ValueError, match="tokens"):
        metrics.update("a", ["x", "y"], "xy")
    metrics.update("a", ["x"], ["x"])
    with pytest.raises(ValueError, match="twice"):
        metrics.update("a", ["x"], ["x"])


def slow_distance(a: list[str], b: list[str]) -> int:
    table = [list(range(len(b) + 1))]
    for i, left in enumerate(a, start=1):
        row = [i]
        for j, right in enumerate(b, start=1):
            row.append(min(table[-1][j] + 1, row[-1] + 1, table[-1][j - 1] + (left != right)))
        table.append(row)
    return table[-1][-1]


tokens = st.lists(st.sampled_from(["x", "2", "\\frac", "{", "}", "^", "_", "\\alpha"]), max_size=9)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(tokens.filter(bool), st.none() | tokens), min_size=1, max_size=8))
def test_agrees_with_a_slow_reference(cases: list[tuple[list[str], list[str] | None]]) -> None:
    metrics = ExpressionMetrics()
    for index, (truth, prediction) in enumerate(cases):
        metrics.update(str(index), truth, prediction)
    summary = metrics.summary()
    distances = [slow_distance(truth, read or []) for truth, read in cases]
    for bound, rate in enumerate((summary.exprate, summary.le1, summary.le2, summary.le3)):
        hits = sum(
            d <= bound and case[1] is not None for d, case in zip(distances, cases, strict=True)
        )
        assert rate == pytest.approx(100.0 * hits / len(cases))
    length = sum(len(truth) for truth, _ in cases)
    assert summary.ter == pytest.approx(100.0 * sum(distances) / length)
    assert summary.exprate <= summary.exprate_canonical <= 100.0
    assert summary.exprate <= summary.structure_rate
