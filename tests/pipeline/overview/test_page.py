"""The front page: of a whole run, of nothing, and without a network."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from pipeline.overview import page as index_page
from pipeline.overview.charts import Series, duration, gain_chart, graph_chart, line_chart
from pipeline.overview.facts import Facts
from pipeline.overview.page import render, write_index
from pipeline.overview.published import RESULTS, published_beside
from pipeline.tracking.lineage import StageStory

SCORES = {"exprate": 50.0, "le1": 60.0, "le2": 70.0, "cer": 9.0, "structure_rate": 55.0,
          "ece": 0.1, "n": 986}  # fmt: skip
REGISTRATION = {
    "model": "hmer",
    "version": 2,
    "decision": "challenger",
    "reason": "better, but not beyond doubt <&>",
    "split": "test-2014",
    "champion_before": {"version": 1, "same_data": True, "rescored": False},
    "comparison": {"n": 986, "gain": 1.0, "low": -0.5, "high": 2.5, "only_challenger": 20,
                   "only_champion": 10, "occluded_gain": None},
    "thresholds": {"level": 0.95, "resamples": 1000, "margin": 0, "worse": 1, "worse_occluded": 5},
    "weights": "abc",
}  # fmt: skip


def told(name: str, *needs: str, state: str = "ran") -> StageStory:
    return StageStory(name, frozenset(needs), state, "run-of-" + name, 61.0)  # type: ignore[arg-type]


STAGES = [told("ingest"), told("train", "ingest"), told("judge", "train", "ingest", state="cached")]


def test_a_whole_run() -> None:
    facts = Facts(
        stages=STAGES,
        dataset={"source": "crohme"},
        evaluation={"test-2014": SCORES, "val": SCORES},
        split="test-2014",
        registration=REGISTRATION,
        champion={"exprate": 49.0},
        published=published_beside("crohme", "test-2014"),
        curves=[("Training: loss", [Series("loss", [(1, 2.0), (2, 1.0)])])],
        pictures={"samples_bad": "data:image/png;base64,AAAA"},
    )
    page = render(facts)
    for text in (
        "hmer, version 2", "Better, but not beyond doubt &lt;&amp;&gt;.", "+1.00 points",
        "1 min 01 s", "PosFormer", "caption tokens", "run-of-train",
        "python -m pipeline reproduce 2", "prefers-color-scheme: dark",
    ):  # fmt: skip
        assert text in page
    for outside in ("http:", "https:", "<script", "@import", "<link"):
        assert outside not in page, "the page must not call anyone"


def test_after_a_failed_first_stage() -> None:
    page = render(Facts(stages=[told("ingest", state="failed"), told("train", state="missing")]))
    assert "The run stopped at ingest" in page
    assert "Beside published systems" not in page


def test_published_numbers_stand_beside_crohme_only() -> None:
    assert published_beside("synthetic", "test-2014") == ()
    assert published_beside("crohme", "test-own") == ()
    for year in ("2014", "2016", "2019"):
        assert published_beside("crohme", f"test-{year}") == RESULTS[year]
        assert all(r.exprate <= (r.le1 or 100) <= (r.le2 or 100) for r in RESULTS[year])


def test_the_graph_draws_no_edge_that_another_path_tells() -> None:
    drawn = graph_chart(STAGES)
    ElementTree.fromstring(drawn)
    assert drawn.count('class="edge"') == 2
    assert 'class="stage cached"' in drawn


@pytest.mark.parametrize(
    "points", [[(0, 1.0)], [(0, 0.0), (5, 0.0)], [(i, i**2) for i in range(999)]]
)
def test_charts_are_well_formed(points: list[tuple[float, float]]) -> None:
    chart = line_chart([Series("a<b", points), Series("none", [])], "x", "y & z")
    ElementTree.fromstring(chart[chart.index("<svg") :])
    assert "nan" not in chart and "a&lt;b" in chart
    assert chart.count("L") <= 250


def test_other_charts() -> None:
    assert line_chart([Series("nothing", [])], "x", "y") == ""
    ElementTree.fromstring(gain_chart(0, 0, 0, 0, 0))
    assert [duration(s) for s in (None, 1.23, 59.9, 3700)] == [
        "",
        "1.2 s",
        "1 min 00 s",
        "1 h 01 min",
    ]


def test_written_whole_and_never_in_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    assert write_index(tmp_path) is None
    assert (
        "warning: reports/index.html was not written: dvc.yaml is missing"
        in capsys.readouterr().err
    )
    (tmp_path / "dvc.yaml").write_text("stages: {one: {cmd: x, outs: [a]}}")
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports/registration.json").write_text(json.dumps(REGISTRATION))
    page = write_index(tmp_path)
    assert page == tmp_path / index_page.PAGE
    assert "no tracking store" in page.read_text()
