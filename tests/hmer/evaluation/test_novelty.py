"""New captions and known ones, counted by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from hmer.data.dataset import load_expressions
from hmer.evaluation.breakdown import by_occurrence, occurrence_bucket
from hmer.evaluation.figures.canvas import to_png
from hmer.evaluation.novelty import HEADER, novelty, read_captions
from hmer.evaluation.prediction import Prediction

KNOWN = {("x",): 1, ("x", "+", "y"): 9, ("a",): 10}


def read(id: str, truth: str, tokens: str | None) -> Prediction:
    return Prediction(id, truth.split(), None if tokens is None else tokens.split(), 0.5)


MIXED = [
    read("1", "x", "x"),
    read("2", "x", "y"),
    read("3", "x + y", "x + y"),
    read("4", "x y", "x y"),
    read("5", "x +", "x"),
    read("6", "<unreadable>", None),
    read("7", "a", "a"),
]


@pytest.mark.parametrize(
    ("times", "name"), [(0, "new"), (1, "once"), (2, "2-9"), (9, "2-9"), (10, "10+"), (999, "10+")]
)
def test_bucket_ends(times: int, name: str) -> None:
    assert occurrence_bucket(times) == name


def test_by_occurrence() -> None:
    rows = by_occurrence(MIXED, KNOWN)
    assert [(row.name, row.n, round(row.exprate)) for row in rows] == [
        ("new", 3, 33), ("once", 2, 50), ("2-9", 1, 100), ("10+", 1, 100),
    ]  # fmt: skip


def test_the_section() -> None:
    section = novelty(MIXED, KNOWN, seed=0, resamples=200)
    assert section.numbers["n_new"] == 3 and section.numbers["n_known"] == 4
    assert section.numbers["exprate_new"] == pytest.approx(100 / 3)
    assert section.numbers["exprate_known"] == pytest.approx(75.0)
    # "xy" right, of "x+" one of two characters lost, of "<unreadable>" all twelve.
    assert section.numbers["cer_new"] == pytest.approx(100 * 13 / 16)
    assert section.numbers["cer_known"] == pytest.approx(100 * 1 / 6)
    (table,) = section.tables
    rows = {str(row[0]): dict(zip(HEADER, row, strict=True)) for row in table.rows}
    assert list(rows) == ["new", "once", "2-9", "10+"]
    assert rows["once"]["n"] == 2 and rows["once"]["ExpRate"] == 50.0
    assert float(rows["once"]["low"]) <= 50.0 <= float(rows["once"]["high"])
    assert "3 of 7 are new" in section.text
    (figure,) = section.figures
    assert to_png(figure.draw()).startswith(b"\x89PNG")


def test_no_number_where_there_is_nothing() -> None:
    section = novelty(MIXED[:3], KNOWN, seed=0, resamples=200)
    assert section.numbers["n_new"] == 0
    assert "exprate_new" not in section.numbers and "exprate_known" in section.numbers


def test_captions_are_counted_as_training_has_them(small_dataset: Path) -> None:
    train = small_dataset / "train.parquet"
    found = read_captions(train)
    tokens = load_expressions(train).tokens
    assert sum(found.values()) == len(tokens)
    assert all(found[tuple(row)] == tokens.count(row) for row in tokens)
