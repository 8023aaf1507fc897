"""Every expectation fails when it should, and alone; thresholds and names are checked."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from hmer.ingest.statistics import Profile
from pipeline.gate.expectations import (
    CHECKS,
    Expectation,
    Suite,
    ValidateConfig,
    expectations,
)
from pipeline.gate.judge import Evidence, judge, split_frame, symbol_frame
from pipeline.gate.verdict import CHECK_BROKEN, DATA_REFUSED, GateClosed, Verdict

SAMPLE: dict[str, Any] = {
    "source": "made",
    "split": "train",
    "writer": "w",
    "file": "train",
    "missing": "",
    "tokens": 5.0,
    "unknown": "",
    "parse_error": "",
    "depth": 1.0,
    "difference": "",
    "noise": "",
    "symbol_height": 1.1,
    "image_error": "",
    "height": 40.0,
    "width": 90.0,
    "ink_share": 0.1,
    "strokes": 4.0,
    "ink_error": "",
    "box_error": "",
    "broken": "",
    "split_error": "",
    "id_repeats": "",
    "repeats": "",
    "contradicts": "",
    "writer_leak": "",
    "image_leak": "",
    "near_leak": "",
}
SPLIT: dict[str, Any] = {
    "too_few": "",
    "label_overlap": 0.1,
    "symbol_drift": 0.01,
    "length_drift": 0.1,
    "size_drift": 0.1,
    "unknown_writers": 0.0,
}
ROWS = 8


def evidence(suite: Suite = "samples", **changes: Any) -> Evidence:
    """Sound tables, except that one row of one suite (the third of the samples) is changed."""
    samples = pd.DataFrame([{"id": f"s{n}", "row": n, **SAMPLE} for n in range(ROWS)])
    frames: dict[Suite, pd.DataFrame] = {
        "dataset": pd.DataFrame({"id": ["dataset"], "quarantine_share": [0.0]}),
        "files": pd.DataFrame({"id": ["train", "val", "test"], "schema_error": ["", "", ""]}),
        "splits": pd.DataFrame([{"id": name, **SPLIT} for name in ("train", "val", "test")]),
        "samples": samples,
        "symbols": pd.DataFrame({"id": ["x", "y", "z"], "needed": [99.0, math.nan, 50.0]}),
    }
    for name, value in changes.items():
        frame = frames[suite]
        frame.loc[min(2, len(frame) - 1), name] = value
    files = pd.DataFrame({"file": ["train"], "rows": [ROWS], "schema_error": [""]})
    profile = Profile(samples, np.zeros((ROWS, 1), np.uint8), {}, files)
    return Evidence(profile, frames, pd.DataFrame(columns=["id", "file", "reason"]))


def failed(verdict: Verdict) -> list[str]:
    return [finding.name for finding in verdict.findings if not finding.success]


def exit_code(verdict: Verdict) -> int:
    try:
        verdict.require("index.html")
    except GateClosed as closed:
        return closed.exit_code
    return 0


def test_sound_data_passes_every_expectation() -> None:
    verdict = judge(evidence(), ValidateConfig())
    assert failed(verdict) == []
    assert verdict.passed
    assert len(verdict.findings) == len(expectations(ValidateConfig())) >= 25
    assert all(finding.checked for finding in verdict.findings)


CASES: list[tuple[Suite, str, Any, str]] = [
    ("files", "schema_error", "no column writer", "schema"),
    ("samples", "missing", "image", "complete"),
    ("samples", "split_error", "says val, lies in train", "split_agrees"),
    ("samples", "id_repeats", "train/s0", "unique_id"),
    ("splits", "too_few", "3 rows, 10 wanted", "enough_rows"),
    ("dataset", "quarantine_share", 0.5, "quarantine_share"),
    ("splits", "label_overlap", 0.9, "label_overlap"),
    ("splits", "symbol_drift", 0.3, "symbol_drift"),
    ("splits", "length_drift", 0.3, "length_drift"),
    ("splits", "size_drift", 0.3, "size_drift"),
    ("splits", "unknown_writers", 0.5, "writer_known"),
    ("symbols", "needed", 0.0, "symbol_learnable"),
    ("samples", "unknown", "\\foo", "vocabulary"),
    ("samples", "parse_error", "a brace is missing", "label_parses"),
    ("samples", "difference", "other tokens: x", "caption_agrees"),
    ("samples", "noise", "1 strokes belong to no symbol", "annotations_agree"),
    ("samples", "symbol_height", 4.0, "symbol_size"),
    ("samples", "symbol_height", 0.1, "symbol_size"),
    ("samples", "tokens", 0.0, "label_length"),
    ("samples", "tokens", 5000.0, "label_length"),
    ("samples", "depth", 60.0, "label_depth"),
    ("samples", "image_error", "does not decode", "image_decodes"),
    ("samples", "height", 1.0, "image_height"),
    ("samples", "width", 90000.0, "image_width"),
    ("samples", "ink_share", 0.0, "ink_share"),
    ("samples", "ink_share", 0.97, "ink_share"),
    ("samples", "ink_error", "damaged", "ink_agrees"),
    ("samples", "strokes", 9000.0, "strokes"),
    ("samples", "box_error", "the box of x leaves the picture", "boxes_inside"),
    ("samples", "writer_leak", "val/w", "writer_leak"),
    ("samples", "image_leak", "train/s0", "image_leak"),
    ("samples", "near_leak", "train/s0", "near_leak"),
    ("samples", "repeats", "train/s0", "repeats"),
    ("samples", "contradicts", "train/s0", "contradicts"),
]


@pytest.mark.parametrize(("suite", "column", "value", "name"), CASES)
def test_each_expectation_fails_when_it_should(
    suite: Suite, column: str, value: Any, name: str
) -> None:
    verdict = judge(evidence(suite, **{column: value}), ValidateConfig())
    assert failed(verdict) == [name]
    finding = next(finding for finding in verdict.findings if finding.name == name)
    expected = {"dataset": "dataset", "files": "test", "splits": "test", "symbols": "z"}
    assert (finding.failed, finding.error) == (1, "")
    assert finding.failures[0].id == expected.get(suite, "s2")
    shown = f"{value:.6g}" if isinstance(value, float) else value
    assert finding.failures[0].value == shown
    assert verdict.passed == (finding.severity == "warning")
    assert exit_code(verdict) == (0 if verdict.passed else DATA_REFUSED)


def test_every_expectation_has_a_case_and_words() -> None:
    names = {row.name for row in expectations(ValidateConfig())}
    assert {name for *_, name in CASES} == names - {CHECKS}


def test_a_fact_that_could_not_be_had_is_not_checked() -> None:
    verdict = judge(evidence(parse_error=None, depth=None, strokes=math.nan), ValidateConfig())
    assert verdict.passed
    checked = {finding.name: finding.checked for finding in verdict.findings}
    assert checked["label_parses"] == checked["label_depth"] == checked["strokes"] == ROWS - 1


def test_a_column_of_nothing_is_not_a_failure() -> None:
    table = evidence()
    table.frames["samples"]["strokes"] = math.nan
    table.frames["samples"]["ink_error"] = None
    verdict = judge(table, ValidateConfig())
    assert verdict.passed
    assert not verdict.broken


def test_a_check_that_errors_is_broken_and_not_a_failure() -> None:
    table = [
        *[row for row in expectations(ValidateConfig()) if row.name != "vocabulary"],
        Expectation("samples", "vocabulary", "no_such_column"),
    ]
    verdict = judge(evidence(), ValidateConfig(), table)
    assert [finding.name for finding in verdict.broken] == ["vocabulary"]
    assert "no_such_column" in verdict.broken[0].error
    assert verdict.refusing == []
    assert (verdict.passed, exit_code(verdict)) == (False, CHECK_BROKEN)


def test_a_check_that_raised_on_a_row_is_broken() -> None:
    broken = "label: IndexError: pop from empty list"
    verdict = judge(evidence(broken=broken, parse_error=None), ValidateConfig())
    assert [finding.name for finding in verdict.broken] == [CHECKS]
    assert "raised on 1 rows, first s2: label: IndexError: pop" in verdict.broken[0].error
    assert verdict.refusing == []
    assert exit_code(verdict) == CHECK_BROKEN


def test_severity_and_tolerance_are_parameters() -> None:
    config = ValidateConfig(severity={"vocabulary": "warning"}, tolerated={"ink_share": 0.2})
    verdict = judge(evidence(unknown="\\foo", ink_share=0.0), config)
    assert verdict.passed
    assert failed(verdict) == ["vocabulary"]
    assert [finding.name for finding in verdict.tolerated] == ["ink_share"]
    strict = ValidateConfig(tolerated={"ink_share": 0.1})  # one of eight is more
    assert failed(judge(evidence(ink_share=0.0), strict)) == ["ink_share"]


def judged(table: Evidence, name: str, **settings: Any) -> Verdict:
    """By one expectation alone: all of them take a second."""
    config = ValidateConfig(**settings)
    return judge(table, config, [one for one in expectations(config) if one.name == name])


@pytest.mark.parametrize("name", ["ink_share", "height", "width"])
def test_a_few_odd_pictures_do_not_refuse_the_rest(name: str) -> None:
    table = evidence()
    table.frames["samples"].loc[:3, name] = 1e6
    verdict = judge(table, ValidateConfig())
    assert verdict.passed and [finding.failed for finding in verdict.warnings] == [4]
    expectation = verdict.warnings[0].name
    assert not judged(table, expectation, few_rows=3).passed
    assert judged(table, expectation, few_rows=0, few_share=0.5).passed
    assert not judged(table, expectation, severity={expectation: "critical"}).passed
    table.frames["samples"].loc[4, name] = 1e6
    assert not judged(table, expectation).passed


def test_a_few_refused_expressions_do_not_refuse_the_rest() -> None:
    table = evidence("dataset", quarantine_share=0.1)
    for refused, passed in ((4, True), (5, False)):
        rows = [{"id": f"q{n}", "file": "f", "reason": "torn"} for n in range(refused)]
        found = Evidence(table.profile, table.frames, pd.DataFrame(rows))
        verdict = judge(found, ValidateConfig())
        assert (verdict.passed, failed(verdict)) == (passed, ["quarantine_share"])


def test_failures_are_counted_beyond_those_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.gate.judge.LISTED", 3)
    table = evidence()
    table.frames["samples"]["unknown"] = "\\foo"
    verdict = judge(table, ValidateConfig())
    finding = next(finding for finding in verdict.findings if finding.name == "vocabulary")
    assert finding.failed == ROWS
    assert [failure.id for failure in finding.failures] == ["s0", "s1", "s2"]


@pytest.mark.parametrize("section", [{"severity": {"x": "warning"}}, {"tolerated": {"x": 0.1}}])
def test_a_name_that_is_no_expectation_is_refused(section: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="no expectation is called x"):
        ValidateConfig(**section)


def test_bounds_must_be_in_order() -> None:
    with pytest.raises(ValidationError, match="min_ink_share"):
        ValidateConfig(min_ink_share=0.7)


def test_split_frame_counts_what_must_be_there() -> None:
    columns = ["file", "writer", "label_hash", "label_seen", "height", "width", "tokens"]
    rows: list[tuple[Any, ...]] = [("train", "a", n, False, 30.0, 50.0, 5.0) for n in range(150)]
    rows += [("val", None, 0, True, 30.0, 50.0, 5.0), ("val", "b", 999, False, 30.0, 50.0, 5.0)]
    tokens = {"train": Counter(x=10), "val": Counter(y=1)}
    frame = split_frame(pd.DataFrame(rows, columns=columns), tokens, ValidateConfig())
    frame = frame.set_index("id")
    assert list(frame.index) == ["train", "val", "test"]
    assert list(frame["too_few"]) == ["", "2 rows, 10 wanted", "0 rows, 10 wanted"]
    assert frame.loc["val", "label_overlap"] == 0.5
    assert frame.loc["val", "unknown_writers"] == 0.5
    assert frame.loc["train", "writers"] == 1
    assert frame["symbol_drift"].isna().all()  # two rows are too few to judge
    untested = ValidateConfig(needs_test=False)
    frame = split_frame(pd.DataFrame(rows, columns=columns), tokens, untested)
    assert list(frame["id"]) == ["train", "val"]


def test_drift_is_judged_on_enough_rows() -> None:
    columns = ["file", "writer", "label_hash", "label_seen", "height", "width", "tokens"]
    rng = np.random.default_rng(0)
    rows = [
        (file, "w", n, False, float(rng.normal(mean, 5)), 50.0, 5.0)
        for file, mean in (("train", 40), ("val", 40), ("test", 80))
        for n in range(150)
    ]
    tokens = {"train": Counter(x=1, y=1), "val": Counter(x=3, y=3), "test": Counter(z=1)}
    frame = split_frame(pd.DataFrame(rows, columns=columns), tokens, ValidateConfig())
    drift = frame.set_index("id")["symbol_drift"]
    assert math.isnan(drift["train"])
    assert (drift["val"], drift["test"]) == (0, 1)
    sizes = frame.set_index("id")["size_drift"]
    assert sizes["val"] < 0.25 < sizes["test"]


def test_symbol_frame_asks_only_for_what_later_splits_use() -> None:
    tokens = {"train": Counter(x=3, y=2), "val": Counter(x=1), "test": Counter(q=4)}
    frame = symbol_frame(["x", "y", "z"], tokens).set_index("id")
    assert list(frame.index) == ["q", "x", "y", "z"]
    assert list(frame["needed"].dropna()) == [0, 3]
    assert list(frame["needed"].isna()) == [False, False, True, True]
