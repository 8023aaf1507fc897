"""The report folder."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image as PillowImage
from pydantic import ValidationError

from hmer.evaluation.metrics import METRICS, Metric, score_predictions
from hmer.evaluation.prediction import Prediction, mark
from hmer.evaluation.report import (
    Figure,
    Gallery,
    Mark,
    Picture,
    ReportConfig,
    Section,
    Table,
    to_png,
    write_index,
    write_report,
)

PNG = to_png(np.full((4, 6), 255, np.uint8))
SCORES = score_predictions(
    [Prediction("a", ["x"], ["x"], 0.9), Prediction("b", ["x", "y"], ["z"], 0.8)]
)


def section() -> Section:
    frame = pd.DataFrame([("<bar>", 1.23456), ("dot", 3.0)], columns=["kind", "lift"])
    counts = pd.DataFrame({"truth": [",", '"'], "n": [2, 1]})
    picture = Picture(PNG, "<b>e1</b>", False, [("read", mark(["x"], ["<z>"])[1])])
    return Section(
        "gaze",
        "Gaze & more",
        "What <i>is</i> attended to.",
        {"lift": 2.123456},
        [Table(frame, "By kind."), Table(counts, "Counts.", "counts.csv", counts.head(0))],
        [Figure("bars", PNG, "Lift.")],
        [Gallery([("a & b", [picture])], "Some.")],
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out: Path = tmp_path_factory.mktemp("reports") / "new" / "evaluation"
    numbers = write_report(out, "test <x>", SCORES, [section()], {"recogniser": "<script>"})
    assert json.loads((out / "metrics.json").read_text()) == numbers
    return out


def test_metrics_are_flat_and_rounded(folder: Path) -> None:
    metrics = json.loads((folder / "metrics.json").read_text())
    assert all(isinstance(value, int | float) for value in metrics.values())
    assert (metrics["n"], metrics["exprate"], metrics["unreadable"]) == (2, 50.0, 0)
    assert metrics["ter"] == round(100 * 2 / 3, 4)
    assert metrics["gaze.lift"] == 2.1235


def test_files_of_a_section(folder: Path) -> None:
    assert (folder / "gaze-1.csv").read_bytes() == b"kind,lift\n<bar>,1.2346\ndot,3.0\n"
    assert (folder / "counts.csv").read_bytes() == b'truth,n\n",",2\n"""",1\n'
    assert (folder / "gaze-bars.png").read_bytes() == PNG


def test_the_page_holds_everything_and_is_escaped(folder: Path) -> None:
    page = (folder / "index.html").read_text(encoding="utf-8")
    assert '<h2 id="gaze">Gaze &amp; more</h2>' in page and 'href="#gaze"' in page
    assert "&lt;bar&gt;" in page and ">1.235<" in page and "By kind." in page
    assert "a &amp; b" in page and "<b>&lt;z&gt;</b>" in page and "&lt;b&gt;e1&lt;/b&gt;" in page
    assert 'href="counts.csv"' in page and ">truth<" not in page  # the link alone
    assert "<script" not in page and "http" not in page and str(folder) not in page
    sources = [part.split('"')[0] for part in page.split('src="')[1:]]
    assert len(sources) == 2 and all(one.startswith("data:image/png;base64,") for one in sources)
    for row in METRICS.values():
        if row.headline and row.of and row.name != "n":
            assert f"<small>{row.heading}</small>" in page


def test_equal_reports_give_equal_bytes(folder: Path, tmp_path: Path) -> None:
    write_report(tmp_path, "test <x>", SCORES, [section()], {"recogniser": "<script>"})
    names = sorted(path.name for path in folder.iterdir())
    assert names == sorted(path.name for path in tmp_path.iterdir())
    for name in names:
        assert (folder / name).read_bytes() == (tmp_path / name).read_bytes(), name


def test_every_set_has_a_row_that_leads_to_its_report(tmp_path: Path) -> None:
    numbers = {"n": 986.0, "exprate": 12.345}
    write_index(tmp_path, {"val": numbers, "test-<2014>": numbers})
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert 'href="val/index.html"' in page
    assert ">986<" in page and ">12.35<" in page and ">–<" in page
    assert "test-<2014>" not in page  # escaped
    assert "http" not in page


def test_a_new_metric_is_one_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = Metric("pairs", "pairs", "expressions", None, lambda s: s.summary.n / 2, headline=True)
    monkeypatch.setitem(METRICS, row.name, row)
    numbers = write_report(tmp_path / "val", "val", SCORES, [], {})
    write_index(tmp_path, {"val": numbers})
    assert numbers["pairs"] == 1.0
    assert "<small>pairs</small><b>1</b>" in (tmp_path / "val/index.html").read_text("utf-8")
    assert ">pairs</th>" in (tmp_path / "index.html").read_text("utf-8")


def test_a_section_comes_once(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="two sections"):
        write_report(tmp_path / "out", "t", SCORES, [section(), section()], {})
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["", "A", "a-b", "../x", "a b", "1a"])
def test_names_that_cannot_be_files(name: str) -> None:
    with pytest.raises(ValueError, match="small letters"):
        Section(name, "", "")
    with pytest.raises(ValueError, match="small letters"):
        Section("a", "", "", figures=[Figure(name, PNG, "")])


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_endless_numbers_are_refused(value: float) -> None:
    with pytest.raises(ValueError, match="rate is not finite"):
        Section("a", "", "", {"n": 1, "rate": value})


def test_config_refuses_unknown_keys_and_ranges() -> None:
    for wrong in ({"sample": 3}, {"bins": 0}):
        with pytest.raises(ValidationError):
            ReportConfig.model_validate(wrong)


def test_ink_on_paper_is_a_grey_picture() -> None:
    image = np.array([[0, 255, 100]], np.uint8)
    with PillowImage.open(io.BytesIO(to_png(image))) as opened:
        assert np.asarray(opened).tolist() == [[255, 0, 155]]


def test_tint_and_marks() -> None:
    image = np.zeros((8, 12), np.uint8)
    image[2, 2:10] = 255
    tint = np.zeros((8, 12))
    tint[6, 6] = 0.02  # the deepest, whatever its value
    with PillowImage.open(io.BytesIO(to_png(image, tint))) as opened:
        colours = np.asarray(opened.convert("RGB")).astype(int)
    assert abs(colours[6, 6] - [230, 94, 0]).max() < 12
    assert colours[2, 5].max() < 12 and colours[0, 0].min() > 243
    mark = Mark((2.0, 1.0, 10.0, 7.0), "#00795a")
    with PillowImage.open(io.BytesIO(to_png(image, tint, [mark]))) as opened:
        drawn = np.asarray(opened.convert("RGB")).astype(int)
    assert drawn.shape == (16, 24, 3)  # twice as large
    assert abs(drawn[2, 10] - [0, 121, 90]).max() < 12
