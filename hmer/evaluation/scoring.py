"""Score a recogniser on a labelled set: numbers first, no report."""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rapidfuzz.distance import Levenshtein

from hmer.data.batches import BatchConfig
from hmer.decoding.bidirectional import DecodingConfig
from hmer.evaluation.bootstrap import rate_interval
from hmer.evaluation.evaluate import UNREADABLE
from hmer.evaluation.labelled import LabelledSet
from hmer.evaluation.metrics import ExpressionMetrics, MetricsSummary
from hmer.evaluation.reading import read_all
from hmer.recognizer import Recognizer

BATCH = BatchConfig(max_pixels=400_000, max_count=32)


@dataclass(frozen=True)
class Scored:
    """Scores, and every reading behind them."""

    summary: MetricsSummary
    interval: tuple[float, float]
    """95 % bootstrap interval of ExpRate, percent."""
    seconds: float
    """For recognition, without reading files and drawing."""
    readings: Sequence[tuple[str, Sequence[str], Sequence[str] | None, float]]
    """Id, truth, reading (None: unreadable) and confidence."""
    reasons: Mapping[str, str]
    """Why an expression could not be read, by id."""
    unlabelled: int

    def write(self, path: Path) -> None:
        """A CSV file with one row per expression, worst first."""
        rows = sorted(self.readings, key=lambda row: (-_distance(row[1], row[2]), row[0]))
        # Names of files need not be text.
        with path.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["id", "edits", "truth", "reading", "confidence"])
            for id, truth, reading, confidence in rows:
                writer.writerow(
                    [
                        id,
                        _distance(truth, reading),
                        " ".join(truth),
                        " ".join(reading or ()),
                        f"{confidence:.4f}",
                    ]
                )


def score(
    recognizer: Recognizer,
    found: LabelledSet,
    decoding: DecodingConfig,
    progress: Callable[[int, int | None], None] | None = None,
) -> Scored:
    """Read every expression of the set and score it against its truth."""
    done = 0

    def tell(count: int) -> None:
        nonlocal done
        done += count
        if progress is not None:
            progress(done, len(found.images))

    began = time.perf_counter()
    answers = read_all(recognizer, found.images, decoding, BATCH, tell) if found.images else []
    seconds = time.perf_counter() - began
    readings: list[tuple[str, Sequence[str], Sequence[str] | None, float]] = [
        (id, truth, answer.tokens, answer.confidence)
        for id, truth, answer in zip(found.ids, found.truths, answers, strict=True)
    ]
    readings += [(id, (UNREADABLE,), None, 0.0) for id in found.refused]
    metrics = ExpressionMetrics()
    for id, truth, reading, _ in readings:
        metrics.update(id, truth, reading)
    right = np.array(
        [reading is not None and list(truth) == list(reading) for _, truth, reading, _ in readings],
        dtype=bool,
    )
    interval = rate_interval(right, seed=0)
    return Scored(
        metrics.summary(),
        (interval.low, interval.high),
        seconds,
        readings,
        found.refused,
        len(found.unlabelled),
    )


def _distance(truth: Sequence[str], reading: Sequence[str] | None) -> int:
    """Token edits."""
    return int(Levenshtein.distance(truth, reading or ()))
