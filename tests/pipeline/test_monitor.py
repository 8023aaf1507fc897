"""Recent input against the data set: what is drift, what is chance, what is told."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from hmer.errors import HmerError
from hmer.recognizer import Recognizer
from pipeline import monitor as monitoring
from pipeline.monitor import (
    MEASURES,
    MonitorConfig,
    Observed,
    compare,
    observe,
    recent_files,
    reference_images,
    write_report,
)
from tests.pipeline.conftest import tiny_model

CONFIG = MonitorConfig()


def drawn(number: int, seed: int, wider: float = 1.0, letters: str = "abcdefgh") -> Observed:
    """Measurements of made-up expressions."""
    rng = np.random.default_rng(seed)
    rows = {name: rng.gamma(4.0, 1.0, number) for name in MEASURES}
    rows["width"] *= wider
    tokens = [Counter(rng.choice(list(letters), 8).tolist()) for _ in range(number)]
    frame = pd.DataFrame({"name": [str(i) for i in range(number)], **rows})
    return Observed(frame, tokens)


def drifted(recent: Observed, config: MonitorConfig = CONFIG) -> set[str]:
    found = compare(recent, drawn(300, 0), config)
    return {finding.name for finding in found.findings if finding.drifted}


@pytest.mark.parametrize("number", [30, 300])
def test_what_is_like_the_data_set_is_no_drift_however_little_there_is(number: int) -> None:
    times = sum(bool(drifted(drawn(number, seed))) for seed in range(1, 9))
    assert times <= 1
    found = compare(drawn(30, 1), drawn(300, 0), CONFIG)
    chance = {finding.name: finding.chance for finding in found.findings}
    assert chance["width"] > CONFIG.stability, "a threshold alone would cry wolf at 30 files"


def test_drift_is_found_where_it_is() -> None:
    assert drifted(drawn(60, 1, wider=2.0)) == {"width"}
    assert drifted(drawn(60, 1, letters="abcdwxyz")) == {"tokens"}
    lenient = MonitorConfig(stability=10.0)
    assert not drifted(drawn(60, 1, wider=2.0), lenient), "thresholds count too"
    recent = drawn(60, 1)
    recent.refused.update({f"{i}.png": "not a picture" for i in range(10)})
    assert drifted(recent) == {"unreadable"}


def test_the_same_input_gives_the_same_report(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        recent, reference = drawn(40, 1, wider=2.0), drawn(300, 0)
        recent.refused["<b>.png"] = "not a picture"
        write_report(tmp_path / name, recent, reference, compare(recent, reference, CONFIG))
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes(), path.name
    page = (tmp_path / "one/index.html").read_text()
    assert "Recent input has drifted" in page
    assert "&lt;b&gt;.png" in page and "<b>.png" not in page
    assert page.count("<img") == len(MEASURES) + 1 and "http" not in page
    verdict = json.loads((tmp_path / "one/verdict.json").read_text())
    assert verdict["drifted"] and verdict["read"] == 40


def test_the_newest_files_are_taken(tmp_path: Path) -> None:
    with pytest.raises(HmerError, match="holds no picture"):
        recent_files(tmp_path, 3)
    with pytest.raises(HmerError, match="no such folder"):
        recent_files(tmp_path / "x", 3)
    (tmp_path / "sub").mkdir()
    for age, name in enumerate(["b.png", "sub/a.INKML", "c.jpeg", "old.png", "notes.txt"]):
        (tmp_path / name).write_text("")
        os.utime(tmp_path / name, (1e9 - age, 1e9 - age))
    assert [p.name for p in recent_files(tmp_path, 3)] == ["b.png", "c.jpeg", "a.INKML"]


class Reader:
    """Reads a picture's width in pixels, one letter for ten."""

    class render:
        unit = 10.0

    @staticmethod
    def prepare(source: Path | np.ndarray[tuple[int, int], np.dtype[np.uint8]]) -> object:
        if isinstance(source, Path):
            if source.stat().st_size == 0:
                raise HmerError(f"{source.name}: not a readable picture")
            return 255 - np.asarray(Image.open(source))
        return source

    @staticmethod
    def read(images: list[np.ndarray[tuple[int, int], np.dtype[np.uint8]]], _: object) -> object:
        class Reading:
            confidence = 0.75

            def __init__(self, width: int) -> None:
                self.tokens = ("x",) * (width // 10)

        return [Reading(image.shape[1]) for image in images]


def test_measured_in_symbol_units() -> None:
    images = [
        (f"{n:02}", np.pad(np.full((10, 40 + n), 255, np.uint8), ((10, 0), (0, 0))))
        for n in range(20)
    ]
    seen = observe(cast("Recognizer", Reader()), images)
    last = seen.rows.iloc[19]
    assert last["name"] == "19"
    assert (last["height"], last["width"], last["length"]) == (2.0, 5.9, 5)
    assert last["ink_share"] == 0.5 and last["confidence"] == 0.75
    assert last["symbol_scale"] == pytest.approx(5.9 / 5)
    assert seen.tokens[19] == Counter(x=5)


def test_the_whole_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(monitoring, "Recognizer", Reader)
    monkeypatch.setattr(Reader, "load", lambda path: Reader(), raising=False)

    def reference(split: Path, number: int, style: object) -> list[tuple[str, object]]:
        assert number == 100
        rng = np.random.default_rng(0)
        return [
            (str(i), np.pad(np.full((10, int(w)), 255, np.uint8), 5))
            for i, w in enumerate(rng.integers(30, 200, number))
        ]

    monkeypatch.setattr(monitoring, "reference_images", reference)
    (tmp_path / "params.yaml").write_text("monitor: {least: 20, reference: 100}\n")
    (tmp_path / "data/models/champion").mkdir(parents=True)
    recent = tmp_path / "recent"
    recent.mkdir()
    for number in range(25):
        page = np.full((20, 300 + 5 * number), 255, np.uint8)
        page[5:15, 5:-5] = 0
        Image.fromarray(page).save(recent / f"{number}.png")
    (recent / "bad.png").touch()
    drift = monitoring.monitor(tmp_path, recent)
    assert drift.refused == {"bad.png": "bad.png: not a readable picture"}
    found = {finding.name for finding in drift.findings if finding.drifted}
    assert {"width", "length"} <= found and "confidence" not in found
    assert (tmp_path / "reports/monitor/index.html").is_file()
    for path in list(recent.glob("1*.png"))[:10]:
        path.unlink()
    with pytest.raises(HmerError, match=r"15 files can be read, fewer than monitor\.least = 20"):
        monitoring.monitor(tmp_path, recent)


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a data set of pictures, their originals beside it, and a champion."""
    from hmer.ingest.ingest import IngestConfig, ingest
    from hmer.ingest.sources.images import Images, Labelled
    from hmer.ingest.sources.synthetic import Synthetic
    from hmer.ink.render import RenderConfig, render
    from hmer.ink.scale import normalise

    root = tmp_path_factory.mktemp("photographs")
    (root / "raw").mkdir()
    items = [task() for task in Synthetic(train=40, val=0, test=0).items(0)]
    lines = ["image,latex"]
    for number, item in enumerate(items):
        assert item.ink is not None
        page = 255 - render(normalise(item.ink), 37.0, 0.1, 0.25).image
        Image.fromarray(page).save(root / f"raw/{number:03}.png")
        lines.append(f'{number:03}.png,"{item.latex or " ".join(item.tokens or ())}"')
    (root / "raw/captions.csv").write_text("\n".join(lines) + "\n")
    part = Labelled(images=str(root / "raw"), captions=str(root / "raw/captions.csv"))
    source = Images(train=part, val=part, deskew=False)
    config = IngestConfig(source="images", images=source, workers=1, render=RenderConfig(unit=16))
    (root / "data").mkdir()
    ingest(config, root / "data/dataset")
    tiny_model(root / "data/models/champion", 1)
    (root / "params.yaml").write_text("monitor: {least: 20, reference: 60}\n")
    return root


def test_pictures_like_those_of_the_data_set_are_no_drift(photographs: Path) -> None:
    """The data set's images are at the recogniser's scale already; nobody estimates it again."""
    from hmer.data.dataset import load_expressions

    recognizer = Recognizer.load(photographs / "data/models/champion")
    split = photographs / "data/dataset/val.parquet"
    known = load_expressions(split)
    ratio = recognizer.render.unit / 16
    for index, (name, image) in enumerate(reference_images(split, 1000, recognizer.render)):
        assert name == known.ids[index]
        assert np.allclose(image.shape, known.sizes[index] * ratio, atol=1)
    drift = monitoring.monitor(photographs, photographs / "raw")
    assert not drift.drifted, drift
