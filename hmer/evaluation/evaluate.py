"""Evaluate a recogniser on validation and test sets; the only reader of test data."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field

from hmer.data.batches import BatchConfig
from hmer.data.dataset import Expressions, load_expressions
from hmer.data.drawing import drawn_at
from hmer.data.schema import read_quarantine
from hmer.decoding.bidirectional import DecodingConfig
from hmer.evaluation.attention.cross_attention import judge_cross_attention
from hmer.evaluation.attention.findings import LocalisationConfig
from hmer.evaluation.attention.localisation import localise
from hmer.evaluation.index import index_page
from hmer.evaluation.novelty import novelty, read_captions
from hmer.evaluation.paired import beside_start
from hmer.evaluation.prediction import Prediction
from hmer.evaluation.reading import read_all
from hmer.evaluation.report import write_report
from hmer.evaluation.result import EvaluationResult, ReportConfig
from hmer.evaluation.retrieval.retrieval import retrieve
from hmer.evaluation.retrieval.scores import RetrievalConfig
from hmer.evaluation.robustness.config import OcclusionConfig
from hmer.evaluation.robustness.curves import robustness_curves
from hmer.evaluation.robustness.degraded import OCCLUSION, Series, all_series
from hmer.evaluation.robustness.readings import read_series, readings_at_most
from hmer.evaluation.robustness.section import robustness_sections
from hmer.evaluation.section import Section
from hmer.ingest.sources.base import held_out
from hmer.ingest.summary import stored_render
from hmer.recognizer import Recognizer

UNREADABLE = "<unreadable>"
"""Stands for the truth of an expression whose file could not be read."""

Progress = Callable[[int, int | None], None]
Tell = Callable[[int], None]


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
    retrieval: RetrievalConfig = RetrievalConfig(limit=30)
    report: ReportConfig = ReportConfig()
    seed: int = Field(0, ge=0)

    def for_comparison(self) -> Self:
        """The same without what the comparison of two recognisers does not need."""
        return self.model_copy(
            update={
                "occlusion": self.occlusion.model_copy(update={"strokes": (), "symbols": ()}),
                "localisation": self.localisation.model_copy(update={"limit": 0}),
                "retrieval": self.retrieval.model_copy(update={"limit": 0}),
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
        out: existing directory; gets metrics.json (numbers by set), a report folder per set and
            index.html, which links them.
        progress: told how many images are read, of how many.
        start: folder of the recogniser that training went on from, to be scored beside it.
        names: the splits to score; by default `held_out(dataset)`.

    Returns:
        The content of metrics.json.

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

    def tell(count: int) -> None:
        nonlocal done
        done += count
        if progress is not None and count:
            progress(done, total)

    metrics: dict[str, dict[str, float]] = {}
    for name, expressions in sets.items():
        result = _measure(recognizer, name, expressions, series[name], config, tell)
        refused = _unreadable(dataset, name)
        every = [*result.predictions, *refused]
        drawn = config.report.seed, config.report.resamples
        first = [novelty(every, known, *drawn)]
        if earlier:
            if earlier.render != recognizer.render:
                whole = load_expressions(dataset / f"{name}.parquet").head(config.limit)
                expressions = drawn_at(whole, earlier.render, stored)
            before = [*_predictions(earlier, expressions, config, tell), *refused]
            first.insert(0, beside_start(every, before, *drawn))
        result = replace(result, predictions=every, sections=[*first, *result.sections])
        report = out / name
        write_report(report, result, config.report)
        metrics[name] = json.loads((report / "metrics.json").read_text(encoding="utf-8"))
    text = json.dumps(metrics, indent=2, sort_keys=True)
    (out / "metrics.json").write_text(text + "\n", encoding="utf-8")
    (out / "index.html").write_text(index_page(metrics), encoding="utf-8")
    return metrics


def _measure(
    recognizer: Recognizer,
    name: str,
    expressions: Expressions,
    series: Sequence[Series],
    config: EvaluateConfig,
    tell: Tell,
) -> EvaluationResult:
    """Everything about one set, but for what could not be read."""
    occlusion, report = config.occlusion, config.report
    predictions = list(_predictions(recognizer, expressions, config, tell))
    trials = read_series(recognizer, expressions, series, occlusion.decoding, config.batch, tell)
    curves = robustness_curves(trials, report.seed, report.resamples)
    return EvaluationResult(
        name=name,
        predictions=predictions,
        trials=trials,
        occlusion=curves.get(OCCLUSION, ()),
        facts=_facts(recognizer, config),
        sections=[
            *robustness_sections(series, curves, trials, expressions, occlusion, report.seed),
            *_attention_and_features(recognizer, expressions, config),
        ],
    )


def _attention_and_features(
    recognizer: Recognizer, expressions: Expressions, config: EvaluateConfig
) -> Iterator[Section]:
    """What is looked at, and what the frozen features tell apart."""
    if config.localisation.limit:
        yield localise(recognizer, expressions, config.localisation, config.seed)
        yield judge_cross_attention(recognizer, expressions, config.localisation, config.seed)
    if config.retrieval.limit:
        yield retrieve(recognizer, expressions, config.retrieval, config.seed)


def _predictions(
    recognizer: Recognizer, expressions: Expressions, config: EvaluateConfig, tell: Tell
) -> Iterator[Prediction]:
    """The recogniser's reading of every expression."""
    images = [expressions.image(index) for index in range(len(expressions))]
    answers = read_all(recognizer, images, config.decoding, config.batch, tell, attention=True)
    for index, answer in enumerate(answers):
        yield Prediction(
            id=expressions.ids[index],
            truth=expressions.tokens[index],
            tokens=list(answer.tokens),
            confidence=answer.confidence,
            image=expressions.images[index],
            attention=answer.attention,
            spatial_attention=answer.spatial_attention,
            stride=recognizer.model.stride,
        )


def _unreadable(dataset: Path, name: str) -> list[Prediction]:
    """Test expressions that ingestion had to refuse: each counts as wrong."""
    refused = [e for e in read_quarantine(dataset / "quarantine.parquet") if e.split == name]
    # Numbered: an id that comes several times is a reason to be refused, several times.
    return [
        Prediction(
            id=f"{entry.id} (refused, {number})", truth=[UNREADABLE], tokens=None, confidence=0.0
        )
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
