"""Breakdowns, counted by hand."""

from __future__ import annotations

import pytest

from hmer.evaluation.breakdown import Confusion, by_depth, by_length, confusions, length_bucket
from hmer.evaluation.prediction import Prediction


def read(truth: str, tokens: str | None) -> Prediction:
    return Prediction(truth, truth.split(), None if tokens is None else tokens.split(), 0.5)


@pytest.mark.parametrize(
    ("length", "name"),
    [(1, "1-5"), (5, "1-5"), (6, "6-10"), (10, "6-10"), (11, "11-20"), (40, "31-40"), (41, "41+")],
)
def test_bucket_ends(length: int, name: str) -> None:
    assert length_bucket(length) == name


def test_by_length() -> None:
    rows = by_length(
        [read("a " * 50, "a " * 48), read("x", "x"), read("x y", "x"), read("y", None)]
    )
    assert [(row.name, row.n) for row in rows] == [("1-5", 3), ("41+", 1)]
    assert rows[0].exprate == pytest.approx(100 / 3)
    assert rows[0].le1 == rows[0].le3 == pytest.approx(200 / 3)
    assert rows[0].ter == pytest.approx(50.0)
    assert (rows[1].le1, rows[1].le2, rows[1].ter) == (0.0, 100.0, 4.0)


def test_by_depth() -> None:
    deep = "x ^ { " * 6 + "y" + " }" * 6
    rows = by_depth([read(deep, deep), read("x", "y"), read("x ^ { 2 }", "x ^ { 2 }")])
    assert [(row.name, row.n, row.exprate) for row in rows] == [
        ("0", 1, 0.0),
        ("1", 1, 100.0),
        ("4+", 1, 100.0),
    ]


def test_confusions() -> None:
    table = confusions(
        [
            read("a + 2", "a + z"),
            read("2 2", "z 2"),
            read("x", "x !"),
            read("n m", "n"),
            read("q", None),
        ]
    )
    assert table == [
        Confusion("substitution", "2", "z", 2),
        Confusion("deletion", "m", "", 1),
        Confusion("insertion", "", "!", 1),
    ]
