"""Evidence of two recognisers, paired by expression."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hmer.errors import HmerError
from pipeline.registry.comparison import Evidence, compare, read_evidence
from pipeline.registry.promotion import RegisterConfig

OCCLUSION = """series,level,hidden,exprate,le1
blocks,0.0,0.0,90.0,95.0
blocks,0.1,0.11,60.0,70.0
blocks,0.5,0.52,20.0,30.0
"""


def test_what_an_evaluation_leaves(tmp_path: Path) -> None:
    table = pa.table({"id": ["b", "a"], "correct": [True, False], "confidence": [0.5, 0.1]})
    pq.write_table(table, tmp_path / "predictions.parquet")
    found = read_evidence(tmp_path)
    assert found.correct == {"a": False, "b": True}
    assert found.occluded == () and found.robustness is None
    (tmp_path / "occlusion.csv").write_text(OCCLUSION)
    assert read_evidence(tmp_path).robustness == 40.0
    (tmp_path / "predictions.parquet").write_bytes(b"x")
    with pytest.raises(HmerError, match="no predictions to compare"):
        read_evidence(tmp_path)


def test_pairs_are_made_by_name_and_not_by_order() -> None:
    mine = Evidence({"a": True, "b": True, "c": False, "d": True}, ((0.1, 50.0),))
    theirs = Evidence({"d": False, "c": True, "b": True, "a": False}, ((0.1, 53.0),))
    found = compare(mine, theirs, RegisterConfig())
    assert (found.n, found.only_challenger, found.only_champion) == (4, 2, 1)
    assert found.gain.mean == 25.0
    assert found.gain.low <= 25.0 <= found.gain.high
    assert found.occluded_gain == -3.0


def test_other_levels_are_not_compared() -> None:
    mine = Evidence({"a": True}, ((0.1, 50.0),))
    assert compare(mine, Evidence({"a": True}, ()), RegisterConfig()).occluded_gain is None
    other = Evidence({"a": True}, ((0.2, 50.0),))
    assert compare(mine, other, RegisterConfig()).occluded_gain is None


def test_other_expressions_are_refused() -> None:
    with pytest.raises(HmerError, match="other expressions"):
        compare(Evidence({"a": True}, ()), Evidence({"b": True}, ()), RegisterConfig())
