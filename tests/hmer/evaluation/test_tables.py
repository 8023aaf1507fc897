"""Tables as files."""

from __future__ import annotations

from pathlib import Path

import pytest

from hmer.evaluation.breakdown import Confusion
from hmer.evaluation.prediction import Prediction
from hmer.evaluation.tables import worst_first, write_csv, write_json


def test_json_is_rounded_and_never_nan(tmp_path: Path) -> None:
    write_json(tmp_path / "m.json", {"b": 1 / 3, "a": 2})
    assert (tmp_path / "m.json").read_text() == '{\n  "b": 0.3333,\n  "a": 2\n}\n'
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "m.json", {"a": float("nan")})


def test_csv_quotes_what_needs_it(tmp_path: Path) -> None:
    rows = [Confusion("substitution", ",", '"', 2)]
    write_csv(tmp_path / "c.csv", ("truth", "predicted", "count"), rows)
    assert (tmp_path / "c.csv").read_bytes() == b'truth,predicted,count\n",","""",2\n'


def test_most_confident_errors_come_first() -> None:
    pool = [
        Prediction("a", ["x"], ["y"], 0.2),
        Prediction("c", ["x"], ["y"], 0.7),
        Prediction("b", ["x"], ["y"], 0.7),
        Prediction("d", ["x"], ["x"], 0.9),
    ]
    assert [prediction.id for prediction in worst_first(pool)] == ["b", "c", "a"]
