"""The report folder."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from hmer.evaluation.figures.canvas import new_figure
from hmer.evaluation.prediction import Prediction
from hmer.evaluation.report import write_report
from hmer.evaluation.result import EvaluationResult, ReportConfig
from hmer.evaluation.robustness.curves import robustness_curve
from hmer.evaluation.robustness.trials import Trial, read_trials
from hmer.evaluation.section import Figure, Section, Table


def predictions() -> list[Prediction]:
    image = np.zeros((24, 80), np.uint8)
    image[10:13, 5:75] = 255
    truth = ["x", "^", "{", "2", "}", "<", "y"]
    maps = np.ones((len(truth), 3, 10))
    return [
        Prediction("good", truth, truth, 0.9, image, maps, np.ones((3, 10)), 8.0),
        Prediction("<b>bad</b>", truth, [*truth[:-1], "z"], 0.8, image),
        Prediction("unread", truth, None, 0.0, image),
        Prediction("plain", ["a"], ["a"], 0.7),
    ]


def section() -> Section:
    return Section(
        "gaze",
        "Gaze & more",
        "What <i>is</i> looked at.",
        {"lift": 2.123456},
        [Table(("kind", "lift"), [("<bar>", 1.23456), ("dot", 3)], "By kind.")],
        [Figure("bars", lambda: new_figure(2.0, 1.0), "Lift.")],
    )


def result() -> EvaluationResult:
    found = predictions()
    trials = [
        Trial("occlusion", level, 1.2 * level, p.id, p.truth, p.tokens)
        for level in (0.0, 0.1)
        for p in found
    ]
    return EvaluationResult(
        "test <x>",
        found,
        trials,
        robustness_curve(trials, seed=0, resamples=100),
        facts={"recogniser": "<script>"},
        numbers={"ink_lift": 1.23456789},
        sections=[section()],
    )


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out: Path = tmp_path_factory.mktemp("reports") / "new" / "evaluation"
    summary = write_report(out, result())
    assert summary.exprate == 50.0
    return out


def test_metrics_are_flat_and_rounded(folder: Path) -> None:
    metrics = json.loads((folder / "metrics.json").read_text())
    assert all(isinstance(value, int | float) for value in metrics.values())
    assert (metrics["n"], metrics["exprate"], metrics["unreadable"]) == (4, 50.0, 1)
    assert metrics["ink_lift"] == 1.2346
    assert metrics["exprate_low"] <= 50.0 <= metrics["exprate_high"]
    assert metrics["ter"] == round(100 * 8 / 22, 4)


def test_tables(folder: Path) -> None:
    rows = pq.read_table(folder / "predictions.parquet").to_pylist()
    assert [row["id"] for row in rows] == ["good", "<b>bad</b>", "unread", "plain"]
    assert [row["distance"] for row in rows] == [0, 1, 7, 0]
    assert rows[2]["prediction"] is None
    assert rows[0]["truth"] == ["x", "^", "{", "2", "}", "<", "y"]
    errors = table(folder / "errors.csv")
    assert [(row["id"], row["confidence"]) for row in errors] == [
        ("<b>bad</b>", "0.8"),
        ("unread", "0.0"),
    ]
    assert table(folder / "confusions.csv") == [
        {"kind": "substitution", "truth": "y", "predicted": "z", "count": "1"}
    ]
    lengths = [(row["length"], row["n"]) for row in table(folder / "by_length.csv")]
    assert lengths == [("1-5", "1"), ("6-10", "3")]
    assert sum(int(row["n"]) for row in table(folder / "calibration.csv")) == 4
    assert table(folder / "risk_coverage.csv")[-1]["coverage"] == "1.0"
    assert [row["hidden"] for row in table(folder / "occlusion.csv")] == ["0.0", "0.12"]
    assert len(read_trials(folder)) == 4 + 8


def test_sections(folder: Path) -> None:
    assert json.loads((folder / "metrics.json").read_text())["gaze.lift"] == 2.1235
    assert table(folder / "gaze-1.csv") == [
        {"kind": "<bar>", "lift": "1.2346"},
        {"kind": "dot", "lift": "3"},
    ]
    assert (folder / "gaze-bars.png").read_bytes().startswith(b"\x89PNG")
    page = (folder / "index.html").read_text(encoding="utf-8")
    assert '<h2 id="gaze">Gaze &amp; more</h2>' in page and 'href="#gaze"' in page
    assert "&lt;bar&gt;" in page and ">1.235<" in page and "By kind." in page


def test_a_section_comes_once() -> None:
    with pytest.raises(ValueError, match="two sections"):
        EvaluationResult("t", predictions(), sections=[section(), section()])


def test_page_is_self_contained_and_escaped(folder: Path) -> None:
    page = (folder / "index.html").read_text(encoding="utf-8")
    assert "&lt;b&gt;bad&lt;/b&gt;" in page
    assert "<script" not in page
    assert "http" not in page
    assert str(folder) not in page
    sources = [part.split('"')[0] for part in page.split('src="')[1:]]
    pictures = {path.name for path in folder.glob("*.png")}
    assert set(sources) == pictures
    assert {"samples_good.png", "samples_bad.png", "attention_01.png"} <= pictures


def test_equal_evaluations_give_equal_bytes(folder: Path, tmp_path: Path) -> None:
    write_report(tmp_path, result())
    names = sorted(path.name for path in folder.iterdir())
    assert names == sorted(path.name for path in tmp_path.iterdir())
    for name in names:
        assert (folder / name).read_bytes() == (tmp_path / name).read_bytes(), name


def test_old_pictures_go(tmp_path: Path) -> None:
    write_report(tmp_path, result())
    bare = [Prediction("a", ["x"], ["x"], 1.0)]
    write_report(tmp_path, EvaluationResult("t", bare), ReportConfig(resamples=100))
    assert sorted(path.name for path in tmp_path.glob("*.png")) == [
        "by_depth.png",
        "by_length.png",
        "calibration.png",
    ]
    for gone in ("occlusion.csv", "trials.parquet", "gaze-1.csv"):
        assert not (tmp_path / gone).exists()
    assert "None." in (tmp_path / "index.html").read_text(encoding="utf-8")


def test_nothing_to_report(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nothing"):
        write_report(tmp_path / "out", EvaluationResult("t", []))
    assert not (tmp_path / "out").exists()
