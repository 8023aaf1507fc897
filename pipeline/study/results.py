"""The numbers of a study: per variant over the seeds, and against the reference, seed by seed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, stdev
from typing import Any, Literal

from pipeline.sections import leaves
from pipeline.study.config import StudyConfig
from pipeline.study.experiments import Record
from pipeline.study.plan import Experiment

State = Literal["finished", "failed", "not run"]


@dataclass(frozen=True)
class Outcome:
    """How one experiment ended."""

    experiment: Experiment
    state: State
    commit: str = ""
    record: Record | None = field(default=None, repr=False)
    metrics: Mapping[str, float] = field(default_factory=dict, repr=False)
    reason: str = ""
    """Of a failure."""


@dataclass(frozen=True)
class Summary:
    """One metric of one variant.

    `spread` is the standard deviation over the seeds (n - 1), of `difference` too, which is taken
    against the rival with the same seed; None where there are fewer than two.
    """

    values: Mapping[int, float]
    """By seed; a failed experiment has none."""
    differences: Mapping[int, float]

    @property
    def mean(self) -> float | None:
        """Over the seeds."""
        return fmean(self.values.values()) if self.values else None

    @property
    def spread(self) -> float | None:
        """Of the values."""
        return stdev(self.values.values()) if len(self.values) > 1 else None

    @property
    def difference(self) -> float | None:
        """Mean of the differences."""
        return fmean(self.differences.values()) if self.differences else None

    @property
    def difference_spread(self) -> float | None:
        """Of the differences."""
        return stdev(self.differences.values()) if len(self.differences) > 1 else None

    def report(self) -> dict[str, Any]:
        """As it is written."""
        return {
            "values": {str(seed): rounded(value) for seed, value in sorted(self.values.items())},
            "mean": rounded(self.mean),
            "spread": rounded(self.spread),
            "difference": rounded(self.difference),
            "difference_spread": rounded(self.difference_spread),
        }


def summarise(study: StudyConfig, outcomes: Sequence[Outcome], variant: str, name: str) -> Summary:
    """One metric of one variant, from all experiments of the study."""
    mine = _by_seed(outcomes, variant, name)
    rival = study.rival(variant)
    theirs = {} if rival is None else _by_seed(outcomes, rival, name)
    differences = {seed: mine[seed] - theirs[seed] for seed in mine.keys() & theirs.keys()}
    return Summary(mine, differences)


def absent(study: StudyConfig, outcomes: Sequence[Outcome]) -> dict[str, list[str]]:
    """Metrics that the study lists and finished experiments do not have, with those experiments."""
    missing: dict[str, list[str]] = {}
    for metric in study.metrics:
        for outcome in outcomes:
            if outcome.state == "finished" and metric.name not in outcome.metrics:
                missing.setdefault(metric.name, []).append(outcome.experiment.name)
    return missing


def levels(outcomes: Sequence[Outcome], variant: str, prefix: str) -> dict[float, dict[int, float]]:
    """Values by level and seed of metrics called `<prefix>_<level>`."""
    found: dict[float, dict[int, float]] = {}
    for outcome in outcomes:
        if outcome.experiment.variant == variant:
            for name, value in outcome.metrics.items():
                head, _, level = name.rpartition("_")
                if head == prefix and level.isdigit():
                    found.setdefault(float(level), {})[outcome.experiment.seed] = value
    return dict(sorted(found.items()))


def budgets(params: Mapping[str, Any]) -> dict[str, Any]:
    """What the trainings may spend: their steps, and the size of their batches."""
    spent = ("optimisation.steps", "batch.max_pixels", "batch.max_count", "optimisation.precision")
    return {key: value for key, value in leaves(params) if key.endswith(spent)}


def seconds(outcomes: Sequence[Outcome], variant: str) -> dict[str, float]:
    """Mean seconds of every stage, over the experiments that know them."""
    told: dict[str, list[float]] = {}
    for outcome in outcomes:
        if outcome.experiment.variant == variant and outcome.record is not None:
            for stage, spent in outcome.record.seconds.items():
                if spent is not None:
                    told.setdefault(stage, []).append(spent)
    return {stage: round(fmean(values), 1) for stage, values in told.items()}


def rounded(value: float | None) -> float | None:
    """To six decimals; no number where there is none."""
    return None if value is None or not math.isfinite(value) else round(value, 6)


def _by_seed(outcomes: Sequence[Outcome], variant: str, name: str) -> dict[int, float]:
    return {
        outcome.experiment.seed: outcome.metrics[name]
        for outcome in outcomes
        if outcome.experiment.variant == variant and name in outcome.metrics
    }
