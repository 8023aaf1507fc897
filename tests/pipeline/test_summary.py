from __future__ import annotations

import json
from pathlib import Path

from pipeline.summary import summary


def test_before_anything_ran(tmp_path: Path) -> None:
    assert summary(tmp_path) == "Nothing has been evaluated yet: run `make repro`."


def test_what_came_out_and_what_to_do_with_it(tmp_path: Path) -> None:
    (tmp_path / "reports").mkdir()
    scores = {"exprate": 61.5, "le1": 70.0, "cer": 9.876, "n": 500}
    (tmp_path / "reports/evaluation.json").write_text(json.dumps({"test": scores, "val": scores}))
    (tmp_path / "reports/registration.json").write_text(
        json.dumps(
            {"model": "hmer", "version": 3, "decision": "challenger", "reason": "not better"}
        )
    )
    told = summary(tmp_path)
    assert "test:       ExpRate 61.50 %, <=1 70.00 %, CER 9.88 %" in told
    assert "Registered as hmer version 3, challenger: not better" in told
    for word in ("reports/evaluation/index.html", "make ui", "hmer recognize --model"):
        assert word in told
