"""Numbers by hand: mean, spread, paired differences, levels; and what is written of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.study.config import StudyConfig
from pipeline.study.report import (
    Outcome,
    absent,
    cell,
    points,
    summarise,
    write_report,
)
from pipeline.study.run import Row

STUDY = StudyConfig.model_validate(
    {
        "title": "A study",
        "configuration": "default",
        "seeds": [0, 1],
        "metrics": [
            {"name": "exprate", "heading": "ExpRate", "unit": "%"},
            {"name": "never", "heading": "Never"},
        ],
        "reference": "plain",
        "variants": {
            "plain": {"describe": "as it is"},
            "better": {"describe": "with a gain"},
            "best": {"describe": "with more", "against": "better"},
        },
        "curves": [
            {"title": "hidden", "x": "%", "metric": "occlusion.cer", "lines": {"p": ["plain"]}}
        ],
        "report": "b",
    }
)
VALUES = {("plain", 0): 40.0, ("plain", 1): 44.0, ("better", 0): 43.0, ("better", 1): 45.0}


@pytest.fixture
def outcomes() -> list[Outcome]:
    made = []
    for seed in (0, 1):
        for variant in STUDY.variants:
            one = Row("mine", variant, seed, {}, "")
            value = VALUES.get((variant, seed))
            if value is None:
                reason = "finetune: NaN" if seed else ""
                made.append(Outcome(one, "failed" if seed else "not run", reason=reason))
            else:
                metrics = {"exprate": value, "occlusion.cer_0": 1.0, "occlusion.cer_30": 5.0 + seed}
                made.append(Outcome(one, "finished", "e" * 40, metrics))
    return made


def test_by_hand(outcomes: list[Outcome]) -> None:
    plain = summarise(STUDY, outcomes, "plain", "exprate")
    assert plain["mean"] == 42.0 and plain["spread"] == pytest.approx(8**0.5, abs=1e-6)
    assert plain["difference"] is None
    better = summarise(STUDY, outcomes, "better", "exprate")
    # 43 - 40 and 45 - 44, seed by seed.
    assert better["difference"] == 2.0
    assert better["difference_spread"] == pytest.approx(2**0.5, abs=1e-6)
    assert cell(STUDY.metrics[0], better) == "44.0 ± 1.4 (+2.0)"
    worse = summarise(STUDY, [*outcomes[:1], *outcomes[2:]], "better", "exprate")
    assert worse["values"] == {"1": 45.0}
    assert cell(STUDY.metrics[0], worse) == "45.0 (+1.0)"
    nothing = summarise(STUDY, outcomes, "best", "exprate")
    assert not nothing["values"] and cell(STUDY.metrics[0], nothing) == "–"
    assert absent(STUDY, outcomes)["never"] == [
        "mine-plain-0", "mine-better-0", "mine-plain-1", "mine-better-1"
    ]  # fmt: skip


def test_a_difference_needs_the_same_seed(outcomes: list[Outcome]) -> None:
    apart = [
        outcome
        for outcome in outcomes
        if (outcome.row.variant, outcome.row.seed) in {("plain", 0), ("better", 1)}
    ]
    summary = summarise(STUDY, apart, "better", "exprate")
    assert summary["mean"] == 45.0 and summary["difference"] is None


def test_a_line_of_levels(outcomes: list[Outcome]) -> None:
    assert points(STUDY.curves[0], outcomes) == {"p": [(0.0, [1.0, 1.0]), (30.0, [5.0, 6.0])]}


def test_what_is_written_tells_everything_and_is_the_same_again(
    outcomes: list[Outcome], tmp_path: Path
) -> None:
    path = write_report(tmp_path, "mine", STUDY, outcomes)
    first = {file.name: file.read_bytes() for file in path.parent.iterdir()}
    assert first.keys() == {"b.json", "b.md", "b.png"}
    write_report(tmp_path, "mine", STUDY, outcomes)
    assert {file.name: file.read_bytes() for file in path.parent.iterdir()} == first
    assert first["b.png"].startswith(b"\x89PNG")
    content = json.loads(first["b.json"])
    assert [one["state"] for one in content["experiments"]] == [
        "finished", "finished", "not run", "finished", "finished", "failed"
    ]  # fmt: skip
    page = first["b.md"].decode()
    assert "| **better**: with a gain | 44.0 ± 1.4 (+2.0) | – |" in page
    assert "(against better; 1 of 2 failed; 1 of 2 not run)" in page
    assert "- mine-best-1 failed: finetune: NaN" in page
    assert "`never` is not among the metrics of 4 experiments" in page
