"""Everything one evaluation found out, computed once for files, figures and page alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from hmer.evaluation.bootstrap import Interval, rate_interval
from hmer.evaluation.breakdown import Bucket, Confusion, by_depth, by_length, confusions
from hmer.evaluation.calibration import (
    KEPT,
    TRUSTED_RISK,
    Reliability,
    RiskCoverage,
    reliability,
    risk_coverage,
)
from hmer.evaluation.metrics import ExpressionMetrics, MetricsSummary
from hmer.evaluation.prediction import Prediction, confidences, correctness
from hmer.evaluation.robustness.curves import RobustnessPoint
from hmer.evaluation.robustness.trials import Trial
from hmer.evaluation.section import Section


class ReportConfig(BaseModel):
    """How a report is cut: how much it shows, and the seed of its draws."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    samples: int = Field(default=12, ge=0, le=200, description="pictures on each sample sheet")
    attention: int = Field(
        default=6, ge=0, le=100, description="attention sheets, and spatial maps"
    )
    errors: int = Field(default=30, ge=0, description="errors listed on the page")
    confusions: int = Field(default=15, ge=0, description="confusions of each kind on the page")
    bins: int = Field(default=10, ge=1, le=100, description="confidence bins")
    resamples: int = Field(default=10_000, ge=100, description="bootstrap resamples")
    seed: int = Field(default=0, ge=0, description="of samples and bootstrap")


@dataclass(frozen=True, slots=True, eq=False)
class EvaluationResult:
    """What `hmer.evaluation.report.write_report` turns into files.

    `predictions` are all truths of one test set, read or not, each id once. `trials` are readings
    of expressions that have lost something, `occlusion` is the curve of those with ink hidden.
    `facts` are shown as they are (recogniser, dialect, decoding); keep dates and paths out of
    them, or equal evaluations give unequal reports. `numbers` are further headline metrics for
    metrics.json. `sections` are further measurements, each with a name of its own.
    """

    name: str
    predictions: Sequence[Prediction]
    trials: Sequence[Trial] = ()
    occlusion: Sequence[RobustnessPoint] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    numbers: Mapping[str, float] = field(default_factory=dict)
    sections: Sequence[Section] = ()

    def __post_init__(self) -> None:
        if len({section.name for section in self.sections}) != len(self.sections):
            raise ValueError(f"{self.name}: two sections have the same name")


@dataclass(frozen=True, slots=True, eq=False)
class Findings:
    """The tables behind a report."""

    metrics: MetricsSummary
    exprate: Interval
    lengths: Sequence[Bucket]
    depths: Sequence[Bucket]
    confusions: Sequence[Confusion]
    reliability: Reliability
    risk: RiskCoverage

    def numbers(self) -> dict[str, float]:
        """The headline numbers by name: rates in percent, `ece` and `aurc` as fractions.

        `coverage_at_precision_95` is the share that can be kept, most confident first, with 95 in
        100 right; `accuracy_at_coverage_80` is how many of the most confident 80 in 100 are right.
        """
        trusted = self.risk.at_risk(TRUSTED_RISK)
        return {
            **self.metrics.flat(),
            "exprate_low": self.exprate.low,
            "exprate_high": self.exprate.high,
            "ece": self.reliability.ece,
            "aurc": self.risk.aurc,
            "coverage_at_precision_95": 100.0 * trusted.coverage if trusted else 0.0,
            "accuracy_at_coverage_80": 100.0 - 100.0 * self.risk.at_coverage(KEPT).risk,
        }


def find(predictions: Sequence[Prediction], config: ReportConfig) -> Findings:
    """All tables of one test set.

    Raises:
        ValueError: there are no predictions, or an id comes twice.
    """
    metrics = ExpressionMetrics()
    for prediction in predictions:
        metrics.update(prediction.id, prediction.truth, prediction.tokens)
    summary = metrics.summary()
    correct, confidence = correctness(predictions), confidences(predictions)
    return Findings(
        metrics=summary,
        exprate=rate_interval(correct, config.seed, config.resamples),
        lengths=by_length(predictions),
        depths=by_depth(predictions),
        confusions=confusions(predictions),
        reliability=reliability(confidence, correct, config.bins),
        risk=risk_coverage(confidence, correct),
    )


def draw_samples(
    predictions: Sequence[Prediction], count: int, seed: int, *, correct: bool
) -> list[Prediction]:
    """Up to `count` right or wrong predictions that have a picture, drawn at random, in order."""
    pool = [p for p in predictions if p.correct is correct and p.image is not None]
    drawn = np.random.default_rng([seed, int(correct)]).permutation(len(pool))[:count]
    return [pool[index] for index in sorted(drawn)]
