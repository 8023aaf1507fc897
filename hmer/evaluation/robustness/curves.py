"""Robustness: what is still read when part of an expression is taken away."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from hmer.evaluation.bootstrap import (
    RESAMPLES,
    Interval,
    paired_difference,
    paired_ratio,
    rate_interval,
)
from hmer.evaluation.metrics import ExpressionMetrics, MetricsSummary
from hmer.evaluation.robustness.trials import Trial


@dataclass(frozen=True, slots=True)
class RobustnessPoint:
    """The scores at one level, and what it costs against the same expressions as they are.

    `share` is the mean share that was taken, in [0, 1]. `exprate` is the rate at this level with
    its own interval; `loss` are the points of ExpRate lost and `cer_rise` the points of CER
    gained, both paired by expression.
    """

    level: float
    share: float
    scores: MetricsSummary
    exprate: Interval
    loss: Interval
    cer_rise: Interval


def robustness_curves(
    trials: Iterable[Trial], seed: int, resamples: int = RESAMPLES
) -> dict[str, list[RobustnessPoint]]:
    """`robustness_curve` of every series, by its name."""
    series: dict[str, list[Trial]] = defaultdict(list)
    for trial in trials:
        series[trial.series].append(trial)
    return {name: robustness_curve(found, seed, resamples) for name, found in series.items()}


def robustness_curve(
    trials: Iterable[Trial], seed: int, resamples: int = RESAMPLES
) -> list[RobustnessPoint]:
    """Points of one series, lightest level first.

    Raises:
        ValueError: several series, an id twice at a level, or an id that is not read at level 0.
    """
    levels: dict[float, dict[str, Trial]] = defaultdict(dict)
    for trial in trials:
        if trial.id in levels[trial.level]:
            raise ValueError(f"{trial.id}: read twice at level {trial.level:g}")
        levels[trial.level][trial.id] = trial
    if len({trial.series for found in levels.values() for trial in found.values()}) > 1:
        raise ValueError("a curve is of one series")
    whole = levels.get(0.0, {})
    points = []
    for level in sorted(levels):
        taken = list(levels[level].values())
        if not levels[level].keys() <= whole.keys():
            raise ValueError(f"level {level:g} has expressions that level 0 has not")
        points.append(_point(level, taken, [whole[trial.id] for trial in taken], seed, resamples))
    return points


def _point(
    level: float, taken: list[Trial], whole: list[Trial], seed: int, resamples: int
) -> RobustnessPoint:
    metrics = ExpressionMetrics()
    for trial in taken:
        metrics.update(trial.id, trial.truth, trial.tokens)
    after = np.array([trial.correct for trial in taken], dtype=np.bool_)
    before = np.array([trial.correct for trial in whole], dtype=np.bool_)
    rise = np.array(
        [a.character_edits - b.character_edits for a, b in zip(taken, whole, strict=True)],
        dtype=np.float64,
    )
    length = np.array([trial.characters for trial in taken], dtype=np.float64)
    return RobustnessPoint(
        level=level,
        share=float(np.mean([trial.share for trial in taken])),
        scores=metrics.summary(),
        exprate=rate_interval(after, seed, resamples),
        loss=paired_difference(before, after, seed, resamples),
        cer_rise=paired_ratio(rise, length, seed, resamples),
    )
