"""Calibration of the confidence: reliability diagram, ECE, selective risk by coverage.

Confidences are sequence probabilities in [0, 1]; all results here are fractions, not percent.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hmer.evaluation.bootstrap import BoolArray, FloatArray
from hmer.models.about import Calibration, rival_odds

TRUSTED_RISK = 0.05
"""Share that may be wrong where reports give the coverage."""

KEPT = 0.8
"""Share that is kept where reports give the accuracy."""


_BINS = 10


class ReliabilityBin(NamedTuple):
    """Predictions with confidence in (low, high]; the first bin includes 0.

    `confidence` and `accuracy` are means over the `n` members, 0 in an empty bin.
    """

    low: float
    high: float
    n: int
    confidence: float
    accuracy: float


class Reliability(NamedTuple):
    """The expected calibration error and the bins behind it."""

    ece: float
    bins: tuple[ReliabilityBin, ...]


class RiskPoint(NamedTuple):
    """Keep what has at least `threshold` confidence: the share kept, and the share wrong in it."""

    threshold: float
    coverage: float
    risk: float


class RiskCoverage(NamedTuple):
    """Selective risk at every threshold that separates predictions, most confident first."""

    points: tuple[RiskPoint, ...]
    aurc: float

    def at_risk(self, risk: float) -> RiskPoint | None:
        """The point with the largest coverage whose risk is at most `risk`; None if there is none.

        Chosen on the data it is measured on, so it is optimistic for new data.
        """
        return next((point for point in reversed(self.points) if point.risk <= risk), None)

    def at_coverage(self, coverage: float) -> RiskPoint:
        """The first point that keeps at least `coverage`, which is in [0, 1].

        Equal confidences are kept or left together, so it may keep more.
        """
        return next(p for p in self.points if p.coverage >= coverage - 1e-9)


def reliability(confidence: FloatArray, correct: BoolArray) -> Reliability:
    """Expected calibration error over bins of equal width (Guo et al. 2017, equation 3).

    Takes sequence probabilities (n,), and which predictions are right (n,).

    Raises:
        ValueError: no predictions, different lengths, or values outside [0, 1].
    """
    _check(confidence, correct)
    edges = np.linspace(0.0, 1.0, _BINS + 1)
    place = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, _BINS - 1)
    rows = []
    for index, (low, high) in enumerate(pairwise(edges.tolist())):
        sure, right = confidence[place == index], correct[place == index]
        means = (float(sure.mean()), float(right.mean())) if len(sure) else (0.0, 0.0)
        rows.append(ReliabilityBin(low, high, len(sure), *means))
    gaps = sum(row.n * abs(row.accuracy - row.confidence) for row in rows)
    return Reliability(ece=gaps / len(correct), bins=tuple(rows))


def risk_coverage(confidence: FloatArray, correct: BoolArray) -> RiskCoverage:
    """The risk-coverage curve and the area under it (Geifman et al. 2019).

    AURC is the mean, over k = 1..n, of the risk among the k most confident. Within equal
    confidences no order is better than another: each member counts the mean error of its group,
    which is the expectation over random orders.

    Raises:
        ValueError: as for `reliability`.
    """
    _check(confidence, correct)
    n = len(correct)
    thresholds, group = np.unique(-confidence, return_inverse=True)
    sizes = np.bincount(group)
    errors = np.bincount(group, weights=~correct)
    expected = np.cumsum(np.repeat(errors / sizes, sizes))
    kept = np.cumsum(sizes)
    points = tuple(
        RiskPoint(threshold=float(-negative), coverage=float(count / n), risk=float(wrong / count))
        for negative, count, wrong in zip(thresholds, kept, np.cumsum(errors), strict=True)
    )
    return RiskCoverage(points, aurc=float(np.mean(expected / np.arange(1, n + 1))))


def _check(confidence: FloatArray, correct: BoolArray) -> None:
    alike = confidence.shape == correct.shape == (len(correct),) and correct.dtype == np.bool_
    if not alike or not len(correct) or not ((confidence >= 0.0) & (confidence <= 1.0)).all():
        raise ValueError("expected equal non-empty rows of confidences in [0, 1] and of bool")


_LEAST = 1e-6
"""Of -log p: readings that the recogniser is sure of are as sure as this."""


def fit_calibration(
    log_probabilities: FloatArray,
    tokens: NDArray[np.int64],
    shares: FloatArray,
    right: BoolArray,
) -> Calibration:
    """The calibration that says best how often readings are right (`Calibration`).

    Minimises the negative log-likelihood by Newton's method, with Platt's smoothed targets (1999),
    so that all right or all wrong has an answer, too. All arguments are (n,), of the best readings.

    Raises:
        ValueError: there are none, or a probability is above 1.
    """
    logs = np.asarray(log_probabilities, np.float64)
    shapes = {logs.shape, right.shape, tokens.shape, shares.shape}
    if not len(logs) or len(shapes) > 1 or not (logs <= 0).all():
        raise ValueError("log-probabilities are at most 0, one for each answer, and at least one")
    x = np.log(np.maximum(-logs, _LEAST))
    rivals = [rival_odds(share) for share in shares.tolist()]
    sides = np.column_stack([np.ones_like(x), x, np.log(np.maximum(tokens, 1)), rivals])
    yes, no = int(right.sum()), int((~right).sum())
    target = np.where(right, (yes + 1) / (yes + 2), 1 / (no + 2))
    weights = np.zeros(4)
    ridge = 1e-3 * np.eye(4)  # keeps the slope finite where it does not matter
    for _ in range(100):
        chance = 1 / (1 + np.exp(-np.clip(sides @ weights, -30, 30)))
        gradient = sides.T @ (chance - target) + ridge @ weights
        curvature = (sides * (chance * (1 - chance))[:, None]).T @ sides + ridge
        step = np.linalg.solve(curvature, gradient)
        weights -= step * min(1.0, 5.0 / max(float(np.abs(step).max()), 1e-12))
        if np.abs(step).max() < 1e-9:
            break
    slope = max(-float(weights[1]), 0.05)
    length = float(np.clip(weights[2] / slope, -10, 10))
    scale = float(np.exp(np.clip(weights[0] / slope, -30, 30)))
    return Calibration(scale, slope, length, float(np.clip(-weights[3], 0, 10)))
