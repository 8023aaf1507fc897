"""The verdict: what passes, what is told, and what training asks of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from hmer.errors import HmerError
from pipeline.gate.verdict import (
    CHECK_BROKEN,
    DATA_REFUSED,
    Failure,
    Finding,
    GateClosed,
    Severity,
    Verdict,
    require_passed,
    verdict_of,
)


def finding(
    name: str, severity: Severity = "critical", success: bool = True, error: str = ""
) -> Finding:
    return Finding(
        suite="samples",
        name=name,
        title=name,
        severity=severity,
        success=success,
        checked=10,
        failed=0 if success else 4,
        tolerated=0,
        threshold="no exception",
        remedy="Mend it.",
        failures=() if success else tuple(Failure(id=f"r{n}", value="why") for n in range(4)),
        error=error,
    )


def verdict(*findings: Finding) -> Verdict:
    return verdict_of(list(findings), {"train": 10}, 0)


def exit_code(verdict: Verdict) -> int:
    try:
        verdict.require("index.html")
    except GateClosed as closed:
        assert "index.html" in str(closed)
        return closed.exit_code
    return 0


def test_warnings_do_not_fail_the_gate() -> None:
    found = verdict(finding("a"), finding("b", "warning", success=False))
    assert (found.passed, exit_code(found)) == (True, 0)
    assert [one.name for one in found.warnings] == ["b"]


def test_a_critical_failure_refuses_the_data() -> None:
    found = verdict(finding("a"), finding("b", success=False))
    assert (found.passed, exit_code(found)) == (False, DATA_REFUSED)
    assert found.message() == ("REFUSED b: 4 of 10: r0 (why), r1 (why), r2 (why), ...\n  Mend it.")


@pytest.mark.parametrize("severity", ["critical", "warning"])
def test_a_broken_check_is_not_bad_data(severity: Severity) -> None:
    found = verdict(finding("a", severity, success=False, error="KeyError: x"))
    assert (found.passed, exit_code(found)) == (False, CHECK_BROKEN)
    assert found.refusing == []
    assert "BROKEN CHECK a: KeyError: x" in found.message()


def test_broken_wins_over_refused() -> None:
    found = verdict(finding("a", success=False), finding("b", success=False, error="E"))
    assert exit_code(found) == CHECK_BROKEN
    assert "REFUSED a" in found.message()


def test_training_asks_for_a_passed_verdict(tmp_path: Path) -> None:
    path = tmp_path / "verdict.json"
    with pytest.raises(HmerError, match="run the validate stage first"):
        require_passed(path)
    path.write_text("{")
    with pytest.raises(HmerError, match="not a verdict"):
        require_passed(path)
    path.write_text(verdict(finding("a", success=False)).model_dump_json())
    with pytest.raises(HmerError, match=r"refused this dataset; .*index\.html"):
        require_passed(path)
    path.write_text(verdict(finding("a")).model_dump_json())
    require_passed(path)


@pytest.mark.parametrize("text", ['{"passed": "yes"}', '{"passed": 1}', "{}", "true"])
def test_only_a_true_verdict_passes(tmp_path: Path, text: str) -> None:
    path = tmp_path / "gate.json"
    path.write_text(text)
    with pytest.raises(HmerError):
        require_passed(path)
