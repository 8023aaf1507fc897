"""New captions and known ones: is an expression read, or remembered?

A decoder learns the captions of its training as a language model does. In CROHME half of the
captions of a writer-disjoint validation split occur in training, too, those of the test years
hardly ever: only the rate on new captions tells what to expect of them.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow.parquet as pq

from hmer.evaluation.bootstrap import rate_interval
from hmer.evaluation.breakdown import by_occurrence, occurrence_bucket
from hmer.evaluation.figures.bars import bucket_figure
from hmer.evaluation.metrics import ExpressionMetrics, MetricsSummary
from hmer.evaluation.prediction import Prediction, correctness
from hmer.evaluation.section import Figure, Section, Table

Captions = Mapping[tuple[str, ...], int]
"""How often a caption occurs, token for token."""

HEADER = ("in training", "n", "ExpRate", "low", "high", "≤ 1", "≤ 2", "CER", "structure")


def read_captions(train: Path) -> Captions:
    """The captions of a split of the data set, counted."""
    column = pq.read_table(train, columns=["tokens"])["tokens"]
    return Counter(tuple(tokens) for tokens in column.to_pylist())


def novelty(
    predictions: Sequence[Prediction], known: Captions, seed: int, resamples: int
) -> Section:
    """Scores by how often training has the caption; what could not be read counts as new.

    Numbers: `n_new`, and where there are any `exprate_new`, `cer_new`; the same for `known`.
    """
    rows: dict[str, list[Prediction]] = defaultdict(list)
    halves: dict[str, list[Prediction]] = {"new": [], "known": []}
    for prediction in predictions:
        times = known.get(tuple(prediction.truth), 0)
        rows[occurrence_bucket(times)].append(prediction)
        halves["known" if times else "new"].append(prediction)
    buckets = by_occurrence(predictions, known)
    numbers: dict[str, float] = {}
    for name, half in halves.items():
        numbers[f"n_{name}"] = len(half)
        if half:
            scores = _scores(half)
            numbers |= {f"exprate_{name}": scores.exprate, f"cer_{name}": scores.cer}
    table = Table(
        HEADER,
        [_row(bucket.name, rows[bucket.name], seed, resamples) for bucket in buckets],
        "Percent; low and high: 95 % bootstrap interval of ExpRate.",
    )
    return Section(
        name="novelty",
        title="New and known captions",
        text="Scores by how many training expressions have the very same caption, token for token. "
        "Known captions can be remembered, new ones must be read. Here "
        f"{len(halves['new'])} of {len(predictions)} are new.",
        numbers=numbers,
        tables=[table],
        figures=[
            Figure(
                "rates",
                lambda: bucket_figure(
                    buckets, "By how well the caption is known", "equal captions in training"
                ),
                "New captions left; right of them, those that training has once or more often.",
            )
        ],
    )


def _row(
    name: str, members: Sequence[Prediction], seed: int, resamples: int
) -> tuple[str | float | int, ...]:
    scores = _scores(members)
    rate = rate_interval(correctness(members), seed, resamples)
    return (
        name, len(members), rate.mean, rate.low, rate.high, scores.le1, scores.le2, scores.cer,
        scores.structure_rate,
    )  # fmt: skip


def _scores(members: Sequence[Prediction]) -> MetricsSummary:
    metrics = ExpressionMetrics()
    for member in members:
        metrics.update(member.id, member.truth, member.tokens)
    return metrics.summary()
