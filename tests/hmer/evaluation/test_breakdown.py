"""Breakdowns by length, depth and caption; samples and errors."""

from __future__ import annotations

from pathlib import Path

import pytest

from hmer.data.dataset import load_expressions
from hmer.errors import HmerError
from hmer.evaluation.breakdown import (
    LENGTHS,
    TIMES,
    bucket_of,
    confusions,
    draw_samples,
    novelty,
    read_captions,
    sample_sections,
    score_sections,
    scores_by,
    worst_first,
)
from hmer.evaluation.metrics import score_predictions
from hmer.evaluation.prediction import Prediction


def read(truth: str, tokens: str | None) -> Prediction:
    return Prediction(truth, truth.split(), None if tokens is None else tokens.split(), 0.5)


@pytest.mark.parametrize(
    ("buckets", "value", "name"),
    [
        *[(LENGTHS, n, "1-5") for n in (1, 5)],
        *[(LENGTHS, n, "6-10") for n in (6, 10)],
        *[(LENGTHS, 11, "11-20"), (LENGTHS, 40, "31-40"), (LENGTHS, 41, "41+")],
        *[(TIMES, 0, "new"), (TIMES, 1, "once"), (TIMES, 2, "2-9"), (TIMES, 9, "2-9")],
        *[(TIMES, 10, "10+"), (TIMES, 999, "10+")],
    ],
)
def test_bucket_ends(buckets: dict[str, int], value: int, name: str) -> None:
    assert list(bucket_of([value], buckets)) == [name]


def test_scores_by_a_value() -> None:
    pool = [read("a " * 50, "a " * 48), read("x", "x"), read("x y", "x"), read("y", None)]
    rows = scores_by("length", pool, [len(one.truth) for one in pool], LENGTHS)
    assert list(rows) == ["length", "n", "exprate", "le1", "le2", "le3", "ter"]
    assert rows[["length", "n"]].values.tolist() == [["1-5", 3], ["41+", 1]]
    assert rows["exprate"][0] == pytest.approx(100 / 3)
    assert rows["le1"][0] == rows["le3"][0] == pytest.approx(200 / 3)
    assert rows["ter"][0] == pytest.approx(50.0)
    assert rows[["le1", "le2", "ter"]].values[1].tolist() == [0.0, 100.0, 4.0]


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
    assert table.values.tolist() == [
        ["substitution", "2", "z", 2],
        ["deletion", "m", "", 1],
        ["insertion", "", "!", 1],
    ]


KNOWN = {("x",): 1, ("x", "+", "y"): 9, ("a",): 10}


def reading(id: str, truth: str, tokens: str | None) -> Prediction:
    return Prediction(id, truth.split(), None if tokens is None else tokens.split(), 0.5)


MIXED = [
    reading("1", "x", "x"),
    reading("2", "x", "y"),
    reading("3", "x + y", "x + y"),
    reading("4", "x y", "x y"),
    reading("5", "x +", "x"),
    reading("6", "<unreadable>", None),
    reading("7", "a", "a"),
]


def test_the_section() -> None:
    section = novelty(MIXED, KNOWN)
    assert section.numbers["n_new"] == 3 and section.numbers["n_known"] == 4
    assert section.numbers["exprate_new"] == pytest.approx(100 / 3)
    assert section.numbers["exprate_known"] == pytest.approx(75.0)
    # "xy" right, of "x+" one of two characters lost, of "<unreadable>" all twelve.
    assert section.numbers["cer_new"] == pytest.approx(100 * 13 / 16)
    assert section.numbers["cer_known"] == pytest.approx(100 * 1 / 6)
    (table,) = section.tables
    assert table.frame["in training"].tolist() == ["new", "once", "2-9", "10+"]
    once = table.frame.iloc[1]
    assert once["n"] == 2 and once["ExpRate"] == 50.0
    assert once["low"] <= 50.0 <= once["high"]
    assert "3 of 7 are new" in section.text
    (figure,) = section.figures
    assert figure.png.startswith(b"\x89PNG")


def test_no_number_where_there_is_nothing() -> None:
    section = novelty(MIXED[:3], KNOWN)
    assert section.numbers["n_new"] == 0
    assert "exprate_new" not in section.numbers and "exprate_known" in section.numbers


def test_captions_are_counted_as_training_has_them(small_dataset: Path) -> None:
    train = small_dataset / "train.parquet"
    found = read_captions(train)
    tokens = load_expressions(train).tokens
    assert sum(found.values()) == len(tokens)
    assert all(found[tuple(row)] == tokens.count(row) for row in tokens)


def test_a_folder_that_is_no_data_set_is_named(tmp_path: Path) -> None:
    (tmp_path / "torn.parquet").write_bytes(b"PAR1")
    for name in ("train.parquet", "torn.parquet"):
        with pytest.raises(HmerError, match=rf"{name}: not a data set split .*; ingest"):
            read_captions(tmp_path / name)


def test_most_confident_errors_come_first() -> None:
    pool = [
        Prediction("a", ["x"], ["y"], 0.2),
        Prediction("c", ["x"], ["y"], 0.7),
        Prediction("b", ["x"], ["y"], 0.7),
        Prediction("d", ["x"], ["x"], 0.9),
    ]
    assert [prediction.id for prediction in worst_first(pool)] == ["b", "c", "a"]


def test_samples_are_drawn_at_random_and_keep_their_order() -> None:
    pool = [Prediction(str(i), ["x"], ["x"], 0.5, b"png") for i in range(50)]
    first = [p.id for p in draw_samples(pool, 5, correct=True)]
    assert first == [p.id for p in draw_samples(pool, 5, correct=True)]
    assert first == sorted(first, key=int) != [str(i) for i in range(5)]
    assert draw_samples(pool, 5, correct=False) == []


def test_sections_of_a_set() -> None:
    scores = score_predictions(MIXED)
    found = {
        section.name: section
        for section in [
            *score_sections(MIXED, scores, KNOWN), *sample_sections(MIXED, 12)
        ]
    }  # fmt: skip
    assert "1 could not be read and count as wrong: 6." in found["scores"].text
    tables = {name: t for s in found.values() for name, t in s.table_files().items()}
    assert tables["by_length.csv"].frame["n"].sum() == len(MIXED)
    assert tables["calibration.csv"].frame["n"].sum() == len(MIXED)
    assert tables["risk_coverage.csv"].frame["coverage"].iloc[-1] == 1.0
    confused = tables["confusions.csv"]
    assert confused.frame.values.tolist() == [
        ["deletion", "+", "", 1], ["substitution", "x", "y", 1],
    ]  # fmt: skip
    assert confused.view is not None and len(confused.view) == 2
    errors = tables["errors.csv"].frame
    assert errors["id"].tolist() == ["2", "5", "6"] and errors["prediction"].tolist()[2] == ""
    (gallery,) = found["errors"].galleries
    assert [picture.heading for picture in gallery.rows[0][1]] == [
        "2, confidence 50 %", "5, confidence 50 %", "6, confidence 50 %",
    ]  # fmt: skip
    assert found["samples"].galleries == []  # there are no pictures


def test_nothing_confused(small_dataset: Path) -> None:
    pool = [Prediction("a", ["x"], ["x"], 1.0)]
    sections = score_sections(pool, score_predictions(pool), {})
    assert sections[-1].tables[0].frame.empty
