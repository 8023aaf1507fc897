"""Evaluate a recogniser on validation and test sets; the only reader of test data."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from hmer.data.batches import BatchConfig
from hmer.data.dataset import Expressions, load_expressions
from hmer.data.drawing import drawn_at
from hmer.data.schema import read_quarantine
from hmer.decoding.bidirectional import DecodingConfig
from hmer.evaluation.attention_maps import attention_section
from hmer.evaluation.breakdown import read_captions, sample_sections, score_sections
from hmer.evaluation.comparison import compare
from hmer.evaluation.corruptions import OcclusionConfig, all_series
from hmer.evaluation.localisation import LocalisationConfig, judge_cross_attention, localise
from hmer.evaluation.metrics import score_predictions
from hmer.evaluation.prediction import (
    PREDICTIONS,
    TRIALS,
    UNREADABLE,
    Prediction,
    plain_trials,
    write_predictions,
    write_trials,
)
from hmer.evaluation.reading import Count, read_all
from hmer.evaluation.report import ReportConfig, Section, Table, write_index, write_report
from hmer.evaluation.robustness import read_series, readings_at_most, robustness_section
from hmer.ingest.sources.base import held_out
from hmer.ingest.summary import stored_render
from hmer.recognizer import Recognizer

Progress = Callable[[int, int | None], None]


class EvaluateConfig(BaseModel):
    """What is measured, and how expressions are decoded."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    decoding: DecodingConfig = DecodingConfig()
    batch: BatchConfig = BatchConfig(max_pixels=400_000, max_count=32)
    limit: int | None = Field(
        None, ge=1, description="expressions per set at most, for trying things out"
    )
    occlusion: OcclusionConfig = OcclusionConfig()
    localisation: LocalisationConfig = LocalisationConfig(limit=30)
    report: ReportConfig = ReportConfig()
    seed: int = Field(0, ge=0)

    def for_comparison(self) -> Self:
        """The same without what the comparison of two recognisers does not need."""
        return self.model_copy(
            update={
                "occlusion": self.occlusion.model_copy(update={"strokes": (), "symbols": ()}),
                "localisation": self.localisation.model_copy(update={"limit": 0}),
            }
        )


def evaluate(
    config: EvaluateConfig,
    model: Path,
    dataset: Path,
    out: Path,
    progress: Progress | None = None,
    start: Path | None = None,
    names: Sequence[str] | None = None,
) -> dict[str, dict[str, float]]:
    """Score `model` on the held-out splits of `dataset`, at the scale at which it reads.

    Args:
        config: parameters.
        model: folder of the recogniser.
        dataset: folder with train.parquet (whose captions are known) and the splits to score.
        out: existing directory; gets metrics.json (numbers by set, which are returned, too), a
            report folder per set and index.html, which links them.
        progress: called with how many images are read, of how many.
        start: folder of the recogniser that training went on from, to be scored beside it.
        names: the splits to score; by default `held_out(dataset)`.

    Raises:
        HmerError: model or data set are missing or damaged, or the scale of the data set's images
            is not known.
    """
    recognizer = Recognizer.load(model)
    earlier = Recognizer.load(start) if start else None
    stored = stored_render(dataset)
    sets = {
        name: drawn_at(
            load_expressions(dataset / f"{name}.parquet").head(config.limit),
            recognizer.render,
            stored,
        )
        for name in names or held_out(dataset)
    }
    series = {
        name: all_series(found, config.occlusion, recognizer.render, config.seed)
        for name, found in sets.items()
    }
    known = read_captions(dataset / "train.parquet")
    passes = 2 if earlier else 1
    total = sum(
        passes * len(found) + readings_at_most(series[name]) for name, found in sets.items()
    )
    done = 0

    def count(number: int) -> None:
        nonlocal done
        done += number
        if progress is not None and number:
            progress(done, total)

    metrics: dict[str, dict[str, float]] = {}
    for name, expressions in sets.items():
        whole = expressions
        if earlier and earlier.render != recognizer.render:
            found = load_expressions(dataset / f"{name}.parquet").head(config.limit)
            whole = drawn_at(found, earlier.render, stored)
        refused = _unreadable(dataset, name)
        predictions = [*_predictions(recognizer, expressions, config, count), *refused]
        sections = []
        if earlier:
            before = [*_predictions(earlier, whole, config, count), *refused]
            sections.append(beside_start(predictions, before))
        scores = score_predictions(predictions)
        sections += score_sections(predictions, scores, known)
        folder = out / name
        folder.mkdir(parents=True, exist_ok=True)
        write_predictions(folder / PREDICTIONS, predictions)
        corrupted = series[name]
        trials = read_series(
            recognizer, expressions, corrupted, config.occlusion, config.batch, count
        )
        if trials:
            write_trials(folder / TRIALS, trials)
        for row in corrupted:
            own = [trial for trial in trials if trial.series == row.name]
            sections.append(robustness_section(row, own, expressions, config.occlusion))
        if config.localisation.limit:
            for judge in (localise, judge_cross_attention):
                sections.append(judge(recognizer, expressions, config.localisation, config.seed))
        sections += attention_section(
            recognizer, predictions, expressions, config.decoding, config.batch,
            config.report.attention,
        )  # fmt: skip
        sections += sample_sections(predictions, config.report.samples)
        metrics[name] = write_report(folder, name, scores, sections, _facts(recognizer, config))
    text = json.dumps(metrics, indent=2, sort_keys=True)
    (out / "metrics.json").write_text(text + "\n", encoding="utf-8")
    write_index(out, metrics)
    return metrics


def _predictions(
    recognizer: Recognizer, expressions: Expressions, config: EvaluateConfig, count: Count
) -> list[Prediction]:
    """The recogniser's reading of every expression."""
    images = [expressions.image(index) for index in range(len(expressions))]
    answers = read_all(recognizer, images, config.decoding, config.batch, count)
    return [
        Prediction(id, truth, list(answer.tokens), answer.confidence, png)
        for id, truth, answer, png in zip(
            expressions.ids, expressions.tokens, answers, expressions.images, strict=True
        )
    ]


def beside_start(after: Sequence[Prediction], before: Sequence[Prediction]) -> Section:
    """A recogniser beside the one that its training went on from, on the same expressions.

    Numbers: `exprate` and `cer` of the earlier one, percent, and what the training has gained, in
    points, with the ends of its paired bootstrap interval (`gain`, `gain_low`, `gain_high`).
    """
    runs = plain_trials(after), plain_trials(before)
    (found,) = compare(runs[1], runs[0]).differences
    characters = max(1, sum(trial.characters for trial in runs[0]))
    cers = [100.0 * sum(t.character_edits for t in run) / characters for run in runs]
    gain, cer = found.exprate, found.cer
    frame = pd.DataFrame({"recogniser": ["after", "before"], "ExpRate": found.rates, "CER": cers})
    return Section(
        name="start",
        title="Before this training",
        text="The recogniser that the training went on from (finetune.start), on the same "
        f"{found.n} expressions. ExpRate has changed by {gain.mean:+.1f} points (95 % paired "
        f"bootstrap interval {gain.low:+.1f} to {gain.high:+.1f}), CER by {cer.mean:+.1f} "
        f"({cer.low:+.1f} to {cer.high:+.1f}).",
        numbers={"exprate": found.rates[1], "cer": cers[1]}
        | {"gain": gain.mean, "gain_low": gain.low, "gain_high": gain.high},
        tables=[
            Table(frame, "Percent, over all expressions; what could not be read counts as wrong.")
        ],
    )


def _unreadable(dataset: Path, name: str) -> list[Prediction]:
    """Test expressions that ingestion had to refuse: each counts as wrong."""
    refused = [e for e in read_quarantine(dataset / "quarantine.parquet") if e.split == name]
    # Numbered: an id that comes several times is a reason to be refused, several times.
    return [
        Prediction(f"{entry.id} (refused, {number})", [UNREADABLE], None, 0.0)
        for number, entry in enumerate(refused, start=1)
    ]


def _facts(recognizer: Recognizer, config: EvaluateConfig) -> dict[str, str]:
    """What a reader of the report should know about the numbers."""
    decoding = config.decoding
    parameters = sum(p.numel() for p in recognizer.model.parameters())
    return {
        "recogniser": f"{type(recognizer.model).__name__}, {parameters / 1e6:.2f} M parameters",
        "captions": f"dialect {recognizer.vocabulary.name}, {len(recognizer.vocabulary)} classes",
        "decoding": f"beam {decoding.beam}, "
        + ("both directions" if decoding.both_directions else "left to right"),
        "scale": f"{recognizer.render.unit:g} pixels per symbol",
    }
