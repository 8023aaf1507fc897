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
from hmer.evaluation.bootstrap import RESAMPLES, Interval, rate_interval
from hmer.evaluation.calibration import (
    KEPT,
    TRUSTED_RISK,
    Reliability,
    RiskCoverage,
    reliability,
    risk_coverage,
)
from hmer.evaluation.prediction import Prediction, confidences, correctness
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


class _Tally:
    """Running sums of one reading."""

    def __init__(self) -> None:
        self.within = [0] * len(TOLERANCES)
        self.token_edits = self.tokens = 0
        self.character_edits = self.characters = 0

    def update(self, truth: Sequence[str], prediction: Sequence[str] | None) -> None:
        distance = Levenshtein.distance(truth, prediction or ())
        if prediction is not None:
            for index, tolerance in enumerate(TOLERANCES):
                self.within[index] += distance <= tolerance
        self.token_edits += distance
        self.tokens += len(truth)
        written = "".join(truth)
        self.character_edits += Levenshtein.distance(written, "".join(prediction or ()))
        self.characters += len(written)

    def scores(self, n: int) -> SequenceScores:
        # A truth of empty groups only has no canonical tokens: lengths may be 0.
        exprate, le1, le2, le3 = (100.0 * count / n for count in self.within)
        ter = 100.0 * self.token_edits / max(1, self.tokens)
        cer = 100.0 * self.character_edits / max(1, self.characters)
        return SequenceScores(exprate, le1, le2, le3, ter, cer)


class ExpressionMetrics:
    """Accumulates scores over expressions; each id may be scored once."""

    def __init__(self) -> None:
        self._ids: set[str] = set()
        self._unreadable: list[str] = []
        self._same_structure = 0
        self._written = _Tally()
        self._canonical = _Tally()

    def update(self, id: str, truth: Sequence[str], prediction: Sequence[str] | None) -> None:
        """Score one expression; `prediction` is None where it could not be read.

        Raises:
            ValueError: the truth is empty, a side is a string, or the id was scored before.
        """
        if not truth or isinstance(truth, str) or isinstance(prediction, str):
            raise ValueError(f"{id}: expected non-empty lists of tokens")
        if id in self._ids:
            raise ValueError(f"{id}: scored twice")
        self._ids.add(id)
        self._written.update(truth, prediction)
        if prediction is None:
            self._unreadable.append(id)
            self._canonical.update(canonical(truth), None)
            return
        self._canonical.update(canonical(truth), canonical(prediction))
        self._same_structure += same_structure(truth, prediction)

    def summary(self) -> MetricsSummary:
        """Scores over everything seen.

        Raises:
            ValueError: nothing was scored, so there is no rate.
        """
        n = len(self._ids)
        if not n:
            raise ValueError("nothing was scored")
        return MetricsSummary(
            **asdict(self._written.scores(n)),
            n=n,
            canonical=self._canonical.scores(n),
            structure_rate=100.0 * self._same_structure / n,
            unreadable=tuple(self._unreadable),
        )


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


def score_predictions(
    predictions: Sequence[Prediction], seed: int = 0, resamples: int = RESAMPLES
) -> SetScores:
    """Score all truths of a set, read or not.

    Raises:
        ValueError: there are no predictions, or an id comes twice.
    """
    metrics = ExpressionMetrics()
    for prediction in predictions:
        metrics.update(prediction.id, prediction.truth, prediction.tokens)
    summary = metrics.summary()
    correct, confidence = correctness(predictions), confidences(predictions)
    return SetScores(
        summary,
        rate_interval(correct, seed, resamples),
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
