"""Evaluation from end to end, on a handful of synthetic expressions and an untrained model."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from hmer.data.buckets import BatchConfig
from hmer.data.dataset import load_expressions
from hmer.data.ingest import IngestConfig, ingest
from hmer.data.schema import (
    Quarantined,
    Sample,
    read_quarantine,
    read_samples,
    write_quarantine,
    write_samples,
)
from hmer.data.sources.synthetic import SyntheticConfig
from hmer.decoding.bidirectional import DecodingConfig
from hmer.errors import HmerError
from hmer.evaluation.evaluate import (
    UNREADABLE,
    EvaluateConfig,
    OcclusionConfig,
    evaluate,
    read_all,
)
from hmer.evaluation.result import ReportConfig
from hmer.recognizer import Recognizer

TEST = "test-synthetic"
DECODING = DecodingConfig(beam=2, max_length=8)
GREEDY = DecodingConfig(beam=1, both_directions=False, max_length=8)
CONFIG = EvaluateConfig(
    decoding=DECODING,
    batch=BatchConfig(max_pixels=40_000, max_count=3, buckets=2),
    occlusion=OcclusionConfig(levels=(0.3, 0.6), limit=3, decoding=GREEDY),
    report=ReportConfig(samples=2, attention=1, errors=3, resamples=100),
)
REFUSED = [
    Quarantined("torn", "f/torn.inkml", "no strokes", TEST),
    Quarantined("twin", "f/twin1.inkml", "id used before", TEST),
    Quarantined("twin", "f/twin2.inkml", "id used before", TEST),
    Quarantined("else", "f/else.inkml", "no strokes", ""),
]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory, model_folder: Path) -> Path:
    """4 validation and 4 test expressions, of which the model reads 1 and 3 right.

    An untrained model reads nothing right by itself, so truths are replaced by its answers.
    """
    folder = tmp_path_factory.mktemp("data") / "dataset"
    counts = SyntheticConfig(train=12, val=4, test=4)
    ingest(IngestConfig(workers=1, synthetic=counts), folder)
    recognizer = Recognizer.load(model_folder)
    for name, right in (("val", 1), (TEST, 3)):
        path = folder / f"{name}.parquet"
        expressions = load_expressions(path)
        images = [expressions.image(index) for index in range(4)]
        answers = read_all(recognizer, images, DECODING, CONFIG.batch, lambda count: None)
        samples: list[Sample] = [
            replace(sample, tokens=answer.tokens) if index < right else sample
            for index, (sample, answer) in enumerate(
                zip(list(read_samples(path)), answers, strict=True)
            )
        ]
        write_samples(path, samples)
    assert list(read_quarantine(folder / "quarantine.parquet")) == []
    write_quarantine(folder / "quarantine.parquet", REFUSED)
    return folder


@pytest.fixture(scope="module")
def done(
    dataset: Path, model_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, dict[str, float]], list[tuple[int, int | None]]]:
    """An evaluation: its folder, what it returned, and the progress it told."""
    out = tmp_path_factory.mktemp("evaluation")
    told: list[tuple[int, int | None]] = []
    metrics = evaluate(
        CONFIG, model_folder, dataset, out, lambda count, total: told.append((count, total))
    )
    return out, metrics, told


Done = tuple[Path, dict[str, dict[str, float]], list[tuple[int, int | None]]]


def test_every_set_is_scored(done: Done) -> None:
    out, metrics, _ = done
    assert json.loads((out / "metrics.json").read_text()) == metrics
    assert set(metrics) == {"val", TEST}
    assert (metrics["val"]["n"], metrics["val"]["unreadable"]) == (4, 0)
    assert metrics["val"]["exprate"] == 25.0
    for name, numbers in metrics.items():
        assert json.loads((out / name / "metrics.json").read_text()) == numbers
        assert (out / name / "index.html").is_file()


def test_what_was_refused_counts_as_wrong(done: Done) -> None:
    out, metrics, _ = done
    # 4 expressions, 3 of them right, and 3 refused (the fourth belongs to no test set).
    assert (metrics[TEST]["n"], metrics[TEST]["unreadable"]) == (7, 3)
    assert metrics[TEST]["exprate"] == pytest.approx(100 * 3 / 7, abs=0.01)
    rows = pq.read_table(out / TEST / "predictions.parquet").to_pylist()
    unread = [row for row in rows if row["prediction"] is None]
    assert len(rows) == len({row["id"] for row in rows}) == 7
    assert sorted(row["id"].split(" ")[0] for row in unread) == ["torn", "twin", "twin"]
    assert UNREADABLE in json.dumps(unread)


def test_predictions_are_the_recognisers(done: Done, dataset: Path, model_folder: Path) -> None:
    rows = pq.read_table(done[0] / "val" / "predictions.parquet").to_pylist()
    recognizer = Recognizer.load(model_folder)
    expressions = load_expressions(dataset / "val.parquet")
    assert [row["id"] for row in rows] == expressions.ids
    images = [expressions.image(index) for index in range(4)]
    answers = read_all(recognizer, images, DECODING, CONFIG.batch, lambda count: None)
    for row, answer in zip(rows, answers, strict=True):
        found = row["prediction"]
        found = found.split() if isinstance(found, str) else list(found)
        assert found == list(answer.tokens)


def test_occlusion_is_measured_at_every_level(done: Done) -> None:
    for name in ("val", TEST):
        with (done[0] / name / "occlusion.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        levels = [float(row["level"]) for row in rows]
        hidden = [float(row["hidden"]) for row in rows]
        assert levels == [0.0, 0.3, 0.6]
        assert hidden[0] == 0.0
        for level, share in zip(levels, hidden, strict=True):
            assert level <= share <= 1.0


def test_progress_counts_every_reading(done: Done) -> None:
    counts, totals = zip(*done[2], strict=True)
    assert set(totals) == {2 * (4 + 3 * 3)}
    assert list(counts) == sorted(set(counts))
    assert counts[-1] == totals[-1]


def test_the_same_evaluation_gives_the_same_bytes(
    done: Done, dataset: Path, model_folder: Path, tmp_path: Path
) -> None:
    evaluate(CONFIG, model_folder, dataset, tmp_path)
    first = {p.relative_to(done[0]): p.read_bytes() for p in done[0].rglob("*") if p.is_file()}
    second = {p.relative_to(tmp_path): p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    assert first.keys() == second.keys()
    assert len(first) > 20
    assert [name for name in first if first[name] != second[name]] == []


def test_limits(dataset: Path, model_folder: Path, tmp_path: Path) -> None:
    config = CONFIG.model_copy(update={"limit": 2, "occlusion": OcclusionConfig(limit=0)})
    metrics = evaluate(config, model_folder, dataset, tmp_path)
    assert metrics["val"]["n"] == 2
    assert metrics[TEST]["n"] == 2 + 3
    assert not (tmp_path / "val" / "occlusion.csv").exists()


def test_answers_are_in_the_order_of_the_images(dataset: Path, model_folder: Path) -> None:
    recognizer = Recognizer.load(model_folder)
    expressions = load_expressions(dataset / "train.parquet")
    # More paper than the convolutions reach: they notice where a canvas ends.
    images = [np.pad(expressions.image(index), ((0, 40), (0, 40))) for index in range(12)]
    counted: list[int] = []
    batch = BatchConfig(max_pixels=150_000, max_count=3, buckets=2)
    answers = read_all(recognizer, images, GREEDY, batch, counted.append)
    assert sum(counted) == 12 and 1 < len(counted) <= 12
    assert max(counted) > 1
    for image, answer in zip(images, answers, strict=True):
        assert np.array_equal(answer.image, image)
        (alone,) = recognizer.read([image], GREEDY)
        assert answer.tokens == alone.tokens
        assert answer.confidence == pytest.approx(alone.confidence, rel=1e-3)


def test_what_is_missing_is_named(dataset: Path, model_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(HmerError, match=r"val\.parquet: no such data set split"):
        evaluate(CONFIG, model_folder, tmp_path, tmp_path)
    with pytest.raises(HmerError, match="no model there"):
        evaluate(CONFIG, tmp_path, dataset, tmp_path)
