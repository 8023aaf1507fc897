"""What the stage `evaluate` tells beside its report."""

from __future__ import annotations

import json
from pathlib import Path

from hmer.evaluation.prediction import Prediction, write_predictions
from pipeline.stages.evaluate import _readable, headlines

ROOT = Path(__file__).parents[2]


def test_few_numbers_of_each_set() -> None:
    whole = {"exprate": 61.23456, "cer": 9.5, "occlusion.exprate_30": 3.0, "ece": 0.24991}
    found = headlines({"val": whole, "note": {"text": 1}, "n": 3})
    assert found == {"val": {"exprate": 61.235, "cer": 9.5, "ece": 0.25}}


def test_the_committed_scores_are_those_of_the_committed_evaluation() -> None:
    whole = json.loads((ROOT / "reports/evaluation.json").read_text())
    files = (ROOT / "reports/scores").glob("*.json")
    scores = {file.stem: json.loads(file.read_text()) for file in files}
    assert scores == headlines(whole)
    assert max(map(len, scores.values())) <= 12


def test_the_table_of_readings(tmp_path: Path) -> None:
    readings = [
        Prediction("right", ["x"], ["x"], 0.9),
        Prediction("unsure", ["x", "+", "1"], ["x"], 0.2),
        Prediction("sure", ["x", "+", "1"], None, 0.8),
    ]
    write_predictions(tmp_path / "predictions.parquet", readings)
    table = _readable(tmp_path / "predictions.parquet")
    assert list(table) == ["id", "truth", "reading", "edits", "confidence", "correct"]
    assert list(table["id"]) == ["sure", "unsure", "right"], "the surest errors first"
    assert list(table["reading"]) == ["", "x", "x"] and list(table["edits"]) == [3, 2, 0]
