"""Metrics of a test set: the table of all of them, and scores in which every truth counts.

An expression that could not be read is wrong at every tolerance, and all of its truth counts as
deleted. A new metric is a row of `METRICS` and the function that computes it: report, index page,
`hmer evaluate`, summary and model card go through the table.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from rapidfuzz.distance import Levenshtein

from hmer.errors import LatexError
from hmer.evaluation.bootstrap import Interval, rate_interval
from hmer.evaluation.calibration import (
    KEPT,
    TRUSTED_RISK,
    Reliability,
    RiskCoverage,
    reliability,
    risk_coverage,
)
from hmer.evaluation.prediction import Prediction, Reading, confidences, correctness
from hmer.latex.dialect import canonical, canonical_row
from hmer.latex.tree import Row, parse

TOLERANCES = (0, 1, 2, 3)


@dataclass(frozen=True, slots=True)
class SequenceScores:
    """Scores of token sequences against their truths, all in percent.

    `exprate` counts equal sequences, `le1` to `le3` those within that many token edits;
    `ter` and `cer` are summed edit distance over summed truth length, by tokens and by characters
    of the LaTeX written without spaces. Error rates can exceed 100.
    """

    exprate: float
    le1: float
    le2: float
    le3: float
    ter: float
    cer: float


@dataclass(frozen=True, slots=True)
class MetricsSummary(SequenceScores):
    """The scores in the dialect as is, in the canonical reading, and of the structure alone."""

    n: int
    canonical: SequenceScores
    structure_rate: float
    unreadable: tuple[str, ...]


def summarise(readings: Sequence[Reading]) -> MetricsSummary:
    """Scores over all readings.

    Raises:
        ValueError: there is none, so there is no rate, or an id comes twice.
    """
    seen: set[str] = set()
    for one in readings:
        if one.id in seen:
            raise ValueError(f"{one.id}: scored twice")
        seen.add(one.id)
    if not readings:
        raise ValueError("nothing was scored")
    pairs = [(one.truth, one.tokens) for one in readings]
    alike = [(canonical(truth), None if read is None else canonical(read)) for truth, read in pairs]
    same = sum(read is not None and same_structure(truth, read) for truth, read in pairs)
    return MetricsSummary(
        **asdict(_scores(pairs)),
        n=len(pairs),
        canonical=_scores(alike),
        structure_rate=100.0 * same / len(pairs),
        unreadable=tuple(one.id for one in readings if one.tokens is None),
    )


def _scores(pairs: Sequence[tuple[Sequence[str], Sequence[str] | None]]) -> SequenceScores:
    """Scores of truths and readings."""
    edits = [Levenshtein.distance(truth, read or ()) for truth, read in pairs]
    read_at = [n for (_, read), n in zip(pairs, edits, strict=True) if read is not None]
    written = [("".join(truth), "".join(read or ())) for truth, read in pairs]
    exprate, le1, le2, le3 = (
        100.0 * sum(n <= most for n in read_at) / len(pairs) for most in TOLERANCES
    )
    character_edits = sum(Levenshtein.distance(*texts) for texts in written)
    # A truth of empty groups only has no canonical tokens: lengths may be 0.
    ter = 100.0 * sum(edits) / max(1, sum(len(truth) for truth, _ in pairs))
    cer = 100.0 * character_edits / max(1, sum(len(truth) for truth, _ in written))
    return SequenceScores(exprate, le1, le2, le3, ter, cer)


Shape = tuple[tuple[tuple[str, "Shape"], ...], ...]
"""Per symbol of a row: its child rows as (relation, shape)."""


def shape(row: Row) -> Shape:
    """The tree of `row` with its symbols erased; children keep their order."""
    return tuple(
        tuple((relation.value, shape(child)) for relation, child in node.children) for node in row
    )


def same_structure(truth: Sequence[str], prediction: Sequence[str]) -> bool:
    """Whether both have the same tree, in canonical spelling, when symbols are ignored.

    A sequence that cannot be parsed has no structure, and agrees only with itself.
    """
    if list(truth) == list(prediction):
        return True
    try:
        return shape(canonical_row(parse(truth))) == shape(canonical_row(parse(prediction)))
    except LatexError:
        return False


@dataclass(frozen=True, slots=True, eq=False)
class SetScores:
    """Everything that is computed from the predictions of one test set alone."""

    summary: MetricsSummary
    exprate: Interval
    """ExpRate with its 95 % bootstrap interval."""
    reliability: Reliability
    risk: RiskCoverage

    def numbers(self) -> dict[str, float]:
        """The metrics of `METRICS` that predictions alone decide, by name."""
        return {row.name: row.of(self) for row in METRICS.values() if row.of}


def score_predictions(predictions: Sequence[Prediction]) -> SetScores:
    """Score all truths of a set, read or not.

    Raises:
        ValueError: there are no predictions, or an id comes twice.
    """
    correct, confidence = correctness(predictions), confidences(predictions)
    return SetScores(
        summarise(predictions),
        rate_interval(correct),
        reliability(confidence, correct),
        risk_coverage(confidence, correct),
    )


@dataclass(frozen=True, slots=True)
class Metric:
    """A number of metrics.json, and how it is shown."""

    name: str
    label: str
    unit: Literal["%", "expressions", "fraction"] = "%"
    better: Literal["higher", "lower"] | None = "higher"
    of: Callable[[SetScores], float] | None = None
    """Computes it; None where a section of the report measures it."""
    headline: bool = False
    """Shown wherever there is room for the main numbers only."""

    @property
    def heading(self) -> str:
        """The label with its unit."""
        return f"{self.label}, %" if self.unit == "%" else self.label

    def text(self, value: float | None) -> str:
        """The value as it is shown, without its unit; a dash for None."""
        if value is None:
            return "–"
        digits = {"%": 2, "expressions": 0, "fraction": 3}[self.unit]
        return f"{value:.{digits}f}"


def _coverage_at_precision(scores: SetScores) -> float:
    trusted = scores.risk.at_risk(TRUSTED_RISK)
    return 100.0 * trusted.coverage if trusted else 0.0


def _alike(name: str, label: str, better: Literal["higher", "lower"]) -> Metric:
    return Metric(
        f"{name}_canonical", f"{label}, spelled alike", better=better,
        of=lambda scores: float(getattr(scores.summary.canonical, name)),
    )  # fmt: skip


_TABLE = (
    Metric("n", "expressions", "expressions", None, lambda s: s.summary.n, headline=True),
    Metric("exprate", "ExpRate", of=lambda s: s.summary.exprate, headline=True),
    Metric("le1", "≤ 1 edit", of=lambda s: s.summary.le1, headline=True),
    Metric("le2", "≤ 2 edits", of=lambda s: s.summary.le2, headline=True),
    Metric("le3", "≤ 3 edits", of=lambda s: s.summary.le3, headline=True),
    Metric("ter", "token errors", "%", "lower", lambda s: s.summary.ter),
    Metric("cer", "character errors", "%", "lower", lambda s: s.summary.cer, headline=True),
    Metric("structure_rate", "structure", of=lambda s: s.summary.structure_rate, headline=True),
    _alike("exprate", "ExpRate", "higher"),
    _alike("le1", "≤ 1 edit", "higher"),
    _alike("le2", "≤ 2 edits", "higher"),
    _alike("le3", "≤ 3 edits", "higher"),
    _alike("ter", "token errors", "lower"),
    _alike("cer", "character errors", "lower"),
    Metric("unreadable", "unreadable", "expressions", "lower", lambda s: len(s.summary.unreadable)),
    Metric("exprate_low", "ExpRate, lower end of its 95 % interval", of=lambda s: s.exprate.low),
    Metric("exprate_high", "ExpRate, upper end", of=lambda s: s.exprate.high),
    Metric(
        "ece", "calibration error", "fraction", "lower", lambda s: s.reliability.ece, headline=True
    ),
    Metric("aurc", "area under risk and coverage", "fraction", "lower", lambda s: s.risk.aurc),
    Metric(
        "coverage_at_precision_95", "most confident share with 95 in 100 right",
        of=_coverage_at_precision,
    ),
    Metric(
        "accuracy_at_coverage_80", "right among the most confident 80 in 100",
        of=lambda s: 100.0 - 100.0 * s.risk.at_coverage(KEPT).risk,
    ),
    Metric("novelty.n_new", "new captions", "expressions", None),
    Metric("novelty.exprate_new", "ExpRate on new captions", headline=True),
    Metric("occlusion.exprate_mean", "ExpRate with ink hidden, mean over the levels"),
    Metric("localisation.lift", "lift of attention on ink", "fraction"),
    Metric("cross_attention.pointing", "pointing game of the decoder"),
    Metric("label_graphs.n", "expressions with known symbols", "expressions", None),
    Metric("label_graphs.symbol_recall", "symbols: recall"),
    Metric("label_graphs.symbol_precision", "symbols: precision"),
    Metric("label_graphs.segmentation_recall", "symbols whatever their label: recall"),
    Metric("label_graphs.segmentation_precision", "symbols whatever their label: precision"),
    Metric("label_graphs.relation_recall", "relations: recall"),
    Metric("label_graphs.relation_precision", "relations: precision"),
    Metric("label_graphs.structure", "graphs right whatever the labels"),
    Metric("label_graphs.exprate", "graphs right"),
)  # fmt: skip
METRICS = {row.name: row for row in _TABLE}
"""All metrics that have a name of their own, in the order in which they are shown."""
