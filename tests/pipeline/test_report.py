from __future__ import annotations

import json
from pathlib import Path

from pipeline.report import PAGE, summary, write_page


def test_before_anything_ran(tmp_path: Path) -> None:
    assert summary(tmp_path) == "Nothing has been evaluated yet: run `make repro`."


def test_what_came_out_and_what_to_do_with_it(tmp_path: Path) -> None:
    (tmp_path / "reports").mkdir()
    scores = {"exprate": 61.5, "le1": 70.0, "cer": 9.876, "n": 500}
    (tmp_path / "reports/evaluation.json").write_text(json.dumps({"test": scores, "val": scores}))
    (tmp_path / "reports/registration.json").write_text(
        json.dumps(
            {
                "model": "hmer",
                "version": 3,
                "decision": "challenger",
                "reason": "not better",
                "split": "val",
                "split_reason": "there is no development set",
            }
        )
    )
    told = summary(tmp_path)
    assert "test:       ExpRate 61.50 %, <=1 edit 70.00 %, character errors 9.88 %" in told
    assert "Registered as hmer version 3, challenger: not better" in told
    assert "Compared on val: there is no development set" in told
    for word in ("reports/evaluation/index.html", "make ui", "hmer recognize --model"):
        assert word in told


def test_the_page_shows_decision_scores_and_what_the_gate_found(tmp_path: Path) -> None:
    (tmp_path / "reports/validation").mkdir(parents=True)
    assert "No model is registered yet" in write_page(tmp_path).read_text()
    (tmp_path / "reports/evaluation.json").write_text(
        json.dumps({"val": {"exprate": 61.5, "n": 1500}, "params": 3})
    )
    finding = {"title": "Files <b>", "success": False, "failed": 2, "checked": 3}
    verdict = {"passed": False, "rows": {"train": 8000}, "quarantined": 1}
    (tmp_path / "reports/validation/verdict.json").write_text(
        json.dumps({**verdict, "findings": [{**finding, "severity": "warning"}]})
    )
    text = (write_page(tmp_path) and tmp_path / PAGE).read_text()
    assert "<td>61.50</td>" in text and "<td>1500</td>" in text and "Data: refused" in text
    assert "Files &lt;b&gt;: 2 of 3 (warning)" in text
