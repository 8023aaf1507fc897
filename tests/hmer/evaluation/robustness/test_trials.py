"""Trials and their file."""

from __future__ import annotations

from pathlib import Path

import pytest

from hmer.errors import HmerError
from hmer.evaluation.prediction import Prediction
from hmer.evaluation.robustness.trials import PLAIN, Trial, read_trials, write_trials
from hmer.evaluation.tables import write_predictions

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
    whole = [Trial(PLAIN, 0.0, 0.0, p.id, p.truth, p.tokens) for p in plain]
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
