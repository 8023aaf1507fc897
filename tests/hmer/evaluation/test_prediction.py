"""Predictions and trials: what they accept, their files, marked differences."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hmer.errors import HmerError
from hmer.evaluation.prediction import (
    PLAIN,
    Prediction,
    Trial,
    confidences,
    correctness,
    mark,
    plain_trials,
    read_trials,
    write_predictions,
    write_trials,
)


def test_right_wrong_and_unread() -> None:
    right = Prediction("a", ["x", "y"], ("x", "y"), 0.9)
    wrong = Prediction("b", ["x", "y"], ["x"], 0.4)
    unread = Prediction("c", ["x", "y"], None, 0.0)
    assert [p.distance for p in (right, wrong, unread)] == [0, 1, 2]
    assert correctness([right, wrong, unread]).tolist() == [True, False, False]
    assert confidences([right, wrong]).tolist() == [0.9, 0.4]
    assert wrong.within(1)
    assert not unread.within(2)


@pytest.mark.parametrize(
    "wrong",
    [
        {"truth": []},
        {"truth": "xy"},
        {"tokens": "xy"},
        {"confidence": 1.5},
        {"confidence": float("nan")},
    ],
)
def test_refuses(wrong: dict[str, Any]) -> None:
    good: dict[str, Any] = {"id": "a", "truth": ["x"], "tokens": ["x"], "confidence": 0.5}
    with pytest.raises(ValueError, match="a: "):
        Prediction(**{**good, **wrong})


TRIALS = [
    Trial("strokes", 0.0, 0.0, "a", ["x", r"\pi"], ["x", r"\pi"]),
    Trial("strokes", 0.5, 0.4, "a", ["x", r"\pi"], ["x", "n"]),
    Trial("symbols", 1.0, 0.5, "b", ["y"], None),
    Trial("symbols", 2.0, 0.5, "b", ["y"], []),
]


def test_counts_by_hand() -> None:
    assert [trial.correct for trial in TRIALS] == [True, False, False, False]
    assert [trial.characters for trial in TRIALS] == [4, 4, 1, 1]
    assert [trial.character_edits for trial in TRIALS] == [0, 3, 1, 1]  # \pi and n


def test_there_and_back(tmp_path: Path) -> None:
    plain = [Prediction("a", ["x"], ["y"], 0.5), Prediction("b", ["x"], None, 0.0)]
    write_predictions(tmp_path / "predictions.parquet", plain)
    whole = plain_trials(plain)
    assert {trial.series for trial in whole} == {PLAIN}
    assert read_trials(tmp_path) == whole
    write_trials(tmp_path / "trials.parquet", TRIALS)
    assert read_trials(tmp_path) == whole + TRIALS


def test_damaged_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(HmerError, match=r"predictions\.parquet: not the readings"):
        read_trials(tmp_path)
    write_predictions(tmp_path / "predictions.parquet", [Prediction("a", ["x"], ["y"], 0.5)])
    (tmp_path / "trials.parquet").write_bytes(b"PAR1")
    with pytest.raises(HmerError, match=r"trials\.parquet: .*run evaluate again"):
        read_trials(tmp_path)


def test_marks_both_sides() -> None:
    truth, read = mark(["a", "+", "b", "c"], ["a", "+", "d"])
    assert [item.token for item in truth if not item.same] == ["b", "c"]
    assert [item.token for item in read if not item.same] == ["d"]
    assert [item.token for item in read] == ["a", "+", "d"]


def test_nothing_read() -> None:
    truth, read = mark(["x"], [])
    assert truth == [("x", False)]
    assert read == []
