"""Curves and metrics of a phase."""

from __future__ import annotations

import json
from pathlib import Path

from hmer.selfsup.outcome import write_outcome
from hmer.training.curves import Curves


def test_newest_values_of_what_was_measured(tmp_path: Path) -> None:
    curves = Curves()
    curves.add({"loss": 2.0, "other": 5.0})
    curves.flush(10)
    curves.add({"loss": 1.23456})
    curves.flush(20)
    metrics = write_outcome(curves, ("loss", "spread"), tmp_path)
    assert metrics == {"loss": 1.2346}
    assert json.loads((tmp_path / "metrics.json").read_text()) == metrics
    assert (tmp_path / "curves.csv").read_text().splitlines()[0] == "step,loss,other"
