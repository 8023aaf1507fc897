"""Evaluate a recogniser on validation and test sets; the only reader of test data."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from hmer.data.buckets import BatchConfig, choose_buckets
from hmer.data.dataset import Expressions, load_expressions
from hmer.data.schema import read_quarantine
from hmer.decoding.bidirectional import DecodingConfig
from hmer.evaluation.index import index_page
from hmer.evaluation.occlusion import OcclusionTrial, hide_blocks, occlusion_curve
from hmer.evaluation.prediction import Prediction
from hmer.evaluation.report import write_report
from hmer.evaluation.result import EvaluationResult, ReportConfig
from hmer.recognizer import Recognition, Recognizer

UNREADABLE = "<unreadable>"
"""Stands for the truth of an expression whose file could not be read."""

Progress = Callable[[int, int | None], None]


class OcclusionConfig(BaseModel):
    """Hiding ink to see what is still read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    levels: tuple[float, ...] = Field((0.1, 0.3, 0.5), description="shares of the ink to hide")
    limit: int = Field(100, ge=0, description="expressions per test set; 0: none")
    block: float = Field(0.6, gt=0, le=8, description="side of a block in symbol units")
    decoding: DecodingConfig = DecodingConfig(beam=1, both_directions=False)


class EvaluateConfig(BaseModel):
    """What is measured, and how expressions are decoded."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    decoding: DecodingConfig = DecodingConfig()
    batch: BatchConfig = BatchConfig(max_pixels=400_000, max_count=32)
    limit: int | None = Field(
        None, ge=1, description="expressions per set at most, for trying things out"
    )
    occlusion: OcclusionConfig = OcclusionConfig()
    report: ReportConfig = ReportConfig()
    seed: int = Field(0, ge=0)


def evaluate(
    config: EvaluateConfig,
    model: Path,
    dataset: Path,
    out: Path,
    progress: Progress | None = None,
) -> dict[str, dict[str, float]]:
    """Score `model` on the validation split and on every test set of `dataset`.

    Args:
        config: parameters.
        model: folder of the recogniser.
        dataset: folder with val.parquet and test*.parquet.
        out: existing directory; gets metrics.json (numbers by set), a report folder per set and
            index.html, which links them.
        progress: told how many images are read, of how many.

    Returns:
        The content of metrics.json.
    """
    recognizer = Recognizer.load(model)
    names = ["val", *sorted(path.stem for path in dataset.glob("test*.parquet"))]
    sets = {
        name: load_expressions(dataset / f"{name}.parquet").head(config.limit) for name in names
    }
    levels = (0.0, *config.occlusion.levels) if config.occlusion.limit else ()
    total = sum(
        len(found) + len(levels) * min(config.occlusion.limit, len(found))
        for found in sets.values()
    )
    done = 0

    def tell(count: int) -> None:
        nonlocal done
        done += count
        if progress is not None:
            progress(done, total)

    metrics: dict[str, dict[str, float]] = {}
    for name, expressions in sets.items():
        predictions = list(_predictions(recognizer, expressions, config, tell))
        predictions += _unreadable(dataset, name)
        trials = list(_occluded(recognizer, expressions, levels, config, tell))
        result = EvaluationResult(
            name=name,
            predictions=predictions,
            occlusion={"blocks": occlusion_curve(trials)} if trials else {},
            facts=_facts(recognizer, config),
        )
        report = out / name
        write_report(report, result, config.report)
        metrics[name] = json.loads((report / "metrics.json").read_text(encoding="utf-8"))
    text = json.dumps(metrics, indent=2, sort_keys=True)
    (out / "metrics.json").write_text(text + "\n", encoding="utf-8")
    (out / "index.html").write_text(index_page(metrics), encoding="utf-8")
    return metrics


def read_all(
    recognizer: Recognizer,
    images: Sequence[NDArray[np.uint8]],
    decoding: DecodingConfig,
    batch: BatchConfig,
    tell: Callable[[int], None],
    *,
    attention: bool = False,
) -> list[Recognition]:
    """Read many images in batches of similar size; the answers are in the order of `images`."""
    sizes = np.array([image.shape for image in images], dtype=np.int64)
    buckets = choose_buckets(sizes, batch.buckets, recognizer.model.stride)
    home = (buckets[None] >= sizes[:, None]).all(axis=2).argmax(axis=1)
    answers: dict[int, Recognition] = {}
    for number, shape in enumerate(buckets):
        members = np.flatnonzero(home == number)
        count = max(1, min(batch.max_count, int(batch.max_pixels // shape.prod())))
        for start in range(0, len(members), count):
            part = members[start : start + count]
            read = recognizer.read(
                [images[i] for i in part], decoding, attention=attention,
                shape=(int(shape[0]), int(shape[1])),
            )  # fmt: skip
            answers.update(zip(part.tolist(), read, strict=True))
            tell(len(part))
    return [answers[index] for index in range(len(images))]


def _predictions(
    recognizer: Recognizer,
    expressions: Expressions,
    config: EvaluateConfig,
    tell: Callable[[int], None],
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


def _occluded(
    recognizer: Recognizer,
    expressions: Expressions,
    levels: Sequence[float],
    config: EvaluateConfig,
    tell: Callable[[int], None],
) -> Iterator[OcclusionTrial]:
    """Readings of the first expressions with growing parts of their ink hidden."""
    occlusion = config.occlusion
    count = min(occlusion.limit, len(expressions))
    block = max(1, round(occlusion.block * recognizer.render.unit))
    for level in levels:
        hidden = [
            hide_blocks(expressions.image(i), level, block, np.random.default_rng([config.seed, i]))
            for i in range(count)
        ]
        images = [part.image for part in hidden]
        answers = read_all(recognizer, images, occlusion.decoding, config.batch, tell)
        for index, answer in enumerate(answers):
            yield OcclusionTrial(
                level, hidden[index].share, expressions.ids[index], expressions.tokens[index],
                list(answer.tokens),
            )  # fmt: skip


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
