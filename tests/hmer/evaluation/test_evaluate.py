"""Evaluation from end to end, on a handful of synthetic expressions and an untrained model."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from hmer.data.batches import BatchConfig
from hmer.data.dataset import load_expressions
from hmer.data.schema import Quarantined, Sample, read_quarantine
from hmer.decoding.bidirectional import DecodingConfig
from hmer.errors import HmerError
from hmer.evaluation.corruptions import OcclusionConfig
from hmer.evaluation.evaluate import EvaluateConfig, evaluate
from hmer.evaluation.localisation import LocalisationConfig
from hmer.evaluation.prediction import UNREADABLE, read_trials
from hmer.evaluation.reading import read_all
from hmer.evaluation.report import ReportConfig
from hmer.ingest.ingest import IngestConfig, ingest
from hmer.ingest.sources.synthetic import Synthetic
from hmer.ink.codec import pack, unpack
from hmer.ink.render import RenderConfig
from hmer.recognizer import Recognizer
from tests.samples import read_samples, write_quarantine, write_samples

pytestmark = pytest.mark.medium


TEST = "test-synthetic"
DECODING = DecodingConfig(beam=2, max_length=8)
GREEDY = DecodingConfig(beam=1, both_directions=False, max_length=8)
CONFIG = EvaluateConfig(
    decoding=DECODING,
    batch=BatchConfig(max_pixels=40_000, max_count=3, buckets=2),
    occlusion=OcclusionConfig(
        levels=(0.3, 0.6), limit=3, strokes=(0.5,), symbols=(1,), missing_limit=2, decoding=GREEDY
    ),
    localisation=LocalisationConfig(limit=3),
    report=ReportConfig(samples=2, attention=1),
)
REFUSED = [
    Quarantined("torn", "f/torn.inkml", "no strokes", TEST),
    Quarantined("twin", "f/twin1.inkml", "id used before", TEST),
    Quarantined("twin", "f/twin2.inkml", "id used before", TEST),
    Quarantined("else", "f/else.inkml", "no strokes", ""),
]


def with_truth(sample: Sample, tokens: tuple[str, ...]) -> Sample:
    """The sample with another caption, in which none of its symbols lies beyond the end."""
    assert sample.ink is not None
    ink = unpack(sample.ink)
    symbols = [
        symbol if (symbol.place or 0) < len(tokens) else replace(symbol, place=None)
        for symbol in ink.symbols
    ]
    return replace(sample, tokens=tokens, ink=pack(replace(ink, symbols=tuple(symbols))))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory, model_folder: Path) -> Path:
    """4 validation and 4 test expressions, of which the model reads 1 and 3 right.

    An untrained model reads nothing right by itself, so truths are replaced by its answers.
    """
    folder = tmp_path_factory.mktemp("data") / "dataset"
    counts = Synthetic(train=12, val=4, test=4)
    ingest(IngestConfig(workers=1, synthetic=counts), folder)
    recognizer = Recognizer.load(model_folder)
    for name, right in (("val", 1), (TEST, 3)):
        path = folder / f"{name}.parquet"
        expressions = load_expressions(path)
        images = [expressions.image(index) for index in range(4)]
        answers = read_all(recognizer, images, DECODING, CONFIG.batch, lambda count: None)
        samples: list[Sample] = [
            with_truth(sample, answer.tokens) if index < right else sample
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


def test_robustness_is_a_metric_and_on_the_page(done: Done) -> None:
    out, metrics, _ = done
    for name, numbers in metrics.items():
        assert {f"occlusion.{n}" for n in ("n", "exprate_0", "cer_60", "loss_30")} <= set(numbers)
        assert {"strokes.exprate_50", "strokes.loss_50", "symbols.exprate_1"} <= set(numbers)
        assert numbers["occlusion.n"] == 3 and numbers["strokes.n"] == 2
        page = (out / name / "index.html").read_text(encoding="utf-8")
        for section in ("occlusion", "strokes", "symbols"):
            assert f'id="{section}"' in page
            assert (out / name / f"{section}-curve.png").is_file()
            assert (out / name / f"{section}-1.csv").is_file()


def test_attention_is_judged(done: Done) -> None:
    assert {"localisation.lift", "cross_attention.pointing"} <= set(done[1]["val"])
    page = (done[0] / "val" / "index.html").read_text(encoding="utf-8")
    for section in ("localisation", "cross_attention", "attention"):
        assert f'id="{section}"' in page


def test_trials_are_kept(done: Done, dataset: Path) -> None:
    trials = read_trials(done[0] / "val")
    expressions = load_expressions(dataset / "val.parquet")
    plain = [trial for trial in trials if trial.series == "plain"]
    assert [trial.id for trial in plain] == expressions.ids
    assert sum(trial.correct for trial in plain) == 1
    hidden = [trial for trial in trials if trial.series == "occlusion"]
    assert [trial.level for trial in hidden] == [0.0] * 3 + [0.3] * 3 + [0.6] * 3
    assert [trial.id for trial in hidden[:3]] == [expressions.ids[index] for index in (0, 1, 2)]
    with (done[0] / "val" / "occlusion.csv").open(newline="") as file:
        rows = {float(row["level"]): float(row["exprate"]) for row in csv.DictReader(file)}
    for level in (0.0, 0.3, 0.6):
        right = [trial.correct for trial in hidden if trial.level == level]
        assert rows[level] == pytest.approx(100 * sum(right) / 3, abs=1e-3)


def test_progress_counts_every_reading(done: Done) -> None:
    counts, totals = zip(*done[2], strict=True)
    # Everything; three as they are, and at two levels; two without strokes, and two without a
    # symbol.
    assert set(totals) == {2 * (4 + 3 * 3 + 2 + 2)}
    assert list(counts) == sorted(set(counts))  # nothing is told twice
    assert counts[-1] == totals[-1]


def test_the_same_evaluation_gives_the_same_bytes(
    done: Done, dataset: Path, model_folder: Path, tmp_path: Path
) -> None:
    evaluate(CONFIG, model_folder, dataset, tmp_path, names=["val"])
    first, second = (
        {path.name: path.read_bytes() for path in (out / "val").iterdir()}
        for out in (done[0], tmp_path)
    )
    assert first.keys() == second.keys()
    assert len(first) > 20
    assert [name for name in first if first[name] != second[name]] == []


def test_limits(dataset: Path, model_folder: Path, tmp_path: Path) -> None:
    nothing = {
        "occlusion": OcclusionConfig(limit=0),
        "localisation": LocalisationConfig(limit=0),
    }
    config = CONFIG.model_copy(update={"limit": 2, **nothing})
    metrics = evaluate(config, model_folder, dataset, tmp_path)
    assert metrics["val"]["n"] == 2
    assert metrics[TEST]["n"] == 2 + 3
    assert metrics[TEST]["novelty.n_new"] + metrics[TEST]["novelty.n_known"] == 2 + 3
    assert not (tmp_path / "val" / "occlusion.csv").exists()
    assert not (tmp_path / "val" / "trials.parquet").exists()
    assert {name.split(".")[0] for name in metrics["val"] if "." in name} == {"novelty"}


def test_a_comparison_measures_less(dataset: Path, model_folder: Path, tmp_path: Path) -> None:
    config = CONFIG.model_copy(update={"limit": 2}).for_comparison()
    metrics = evaluate(config, model_folder, dataset, tmp_path)
    assert "occlusion.exprate_30" in metrics["val"]
    assert {name.split(".")[0] for name in metrics["val"] if "." in name} == {
        "novelty",
        "occlusion",
    }
    assert (tmp_path / "val" / "occlusion.csv").is_file()


def test_the_recogniser_that_training_went_on_from_is_scored_beside_it(
    dataset: Path, model_folder: Path, terse_model: Path, tmp_path: Path
) -> None:
    nothing = {
        "occlusion": OcclusionConfig(limit=0),
        "localisation": LocalisationConfig(limit=0),
    }
    config = CONFIG.model_copy(update=nothing)
    told: list[tuple[int, int | None]] = []
    out = {name: tmp_path / name for name in ("new", "old")}
    for folder in out.values():
        folder.mkdir()
    new = evaluate(
        config, model_folder, dataset, out["new"], lambda *call: told.append(call), terse_model
    )
    old = evaluate(config, terse_model, dataset, out["old"])
    assert told[-1] == (16, 16)  # two sets of four, by both
    for name, numbers in new.items():
        for metric in ("exprate", "cer"):
            assert numbers[f"start.{metric}"] == pytest.approx(old[name][metric], abs=0.01)
        gain = numbers["exprate"] - old[name]["exprate"]
        assert numbers["start.gain"] == pytest.approx(gain, abs=0.01)
        assert numbers["start.gain_low"] <= gain <= numbers["start.gain_high"]
        page = (out["new"] / name / "index.html").read_text(encoding="utf-8")
        assert "Before this training" in page
    assert new[TEST]["start.gain"] > 0
    assert not any(name.startswith("start.") for name in old[TEST])


def test_what_is_missing_is_named(dataset: Path, model_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(HmerError, match=r"val\.parquet: no such data set split"):
        evaluate(CONFIG, model_folder, tmp_path, tmp_path)
    with pytest.raises(HmerError, match="no model there"):
        evaluate(CONFIG, tmp_path, dataset, tmp_path)


def test_readings_do_not_depend_on_the_scale_of_the_data_set(
    model_folder: Path, tmp_path: Path
) -> None:
    """Ink is drawn as the recogniser was trained, in every part of the report."""
    counts = Synthetic(train=4, val=3, test=3)
    found = []
    for unit in (11.0, 20.0):
        dataset, out = tmp_path / f"data-{unit}", tmp_path / f"out-{unit}"
        out.mkdir()
        ingest(IngestConfig(workers=1, synthetic=counts, render=RenderConfig(unit=unit)), dataset)
        found.append(evaluate(CONFIG, model_folder, dataset, out, names=[TEST]))
        names = ("predictions.parquet", "trials.parquet")
        found[-1] |= {n: pq.read_table(out / TEST / n).to_pylist() for n in names}
    assert found[0] == found[1]


def test_development_sets_are_scored_and_named_ones_alone(
    dataset: Path, model_folder: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "dataset"
    shutil.copytree(dataset, copy)
    shutil.copyfile(dataset / f"{TEST}.parquet", copy / "dev-2013.parquet")
    config = CONFIG.model_copy(update={"limit": 1}).for_comparison()
    (tmp_path / "out").mkdir()
    assert set(evaluate(config, model_folder, copy, tmp_path / "out")) == {"val", "dev-2013", TEST}
    (tmp_path / "one").mkdir()
    found = evaluate(config, model_folder, copy, tmp_path / "one", names=["dev-2013"])
    assert set(found) == {"dev-2013"} and (tmp_path / "one/dev-2013/trials.parquet").is_file()
