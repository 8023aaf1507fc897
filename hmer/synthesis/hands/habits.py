"""Habits of hands as distributions: what they do on average, and how much they vary.

A habit is given by quantiles of what was measured and by how much of the variation lies between
hands. Values are drawn through a Gaussian copula: a hand has one standard normal variable per
habit, each instance mixes it with its own, and the result is mapped through the quantiles, so that
skewed habits stay skewed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import erf, sqrt

import numpy as np
from numpy.typing import NDArray

LEVELS = (0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98)
"""Probabilities at which a habit's quantiles are kept; what lies beyond is cut off."""

ENOUGH = 60
"""Measurements below which a habit is not estimated."""

_OWN = 2  # measurements of one hand before its variation counts
_LEVELS = np.array(LEVELS)


@dataclass(frozen=True, slots=True)
class Habit:
    """A distribution over hands and instances.

    Attributes:
        between: share of the variance that lies between hands, 0 to 1.
        quantiles: at `LEVELS`, in increasing order.
    """

    between: float
    quantiles: tuple[float, ...]

    @property
    def median(self) -> float:
        """The usual value."""
        return self.quantiles[len(LEVELS) // 2]

    def value(self, own: float, instance: float) -> float:
        """The value for a hand's and an instance's standard normal variables."""
        mixed = sqrt(self.between) * own + sqrt(1.0 - self.between) * instance
        level = 0.5 * (1.0 + erf(mixed / sqrt(2.0)))
        return _interpolated(level, self.quantiles)


def _interpolated(level: float, quantiles: Sequence[float]) -> float:
    if level <= LEVELS[0]:
        return quantiles[0]
    for low, high, start, end in zip(LEVELS, LEVELS[1:], quantiles, quantiles[1:], strict=False):
        if level <= high:
            return start + (end - start) * (level - low) / (high - low)
    return quantiles[-1]


def fit_habit(values: Iterable[tuple[str, float]]) -> Habit | None:
    """The habit behind measurements, each with the name of its hand; None if they are too few.

    The share between hands is one minus the ratio of the mean variance within hands to the whole
    variance, extremes cut off.
    """
    pairs = list(values)
    if len(pairs) < ENOUGH:
        return None
    numbers = np.array([value for _, value in pairs])
    quantiles: NDArray[np.float64] = np.quantile(numbers, _LEVELS)
    cut = np.clip(numbers, quantiles[0], quantiles[-1])
    by_hand: dict[str, list[float]] = {}
    for (hand, _), value in zip(pairs, cut.tolist(), strict=True):
        by_hand.setdefault(hand, []).append(value)
    within = [float(np.var(own, ddof=1)) for own in by_hand.values() if len(own) >= _OWN]
    total = float(cut.var())
    between = 1.0 - float(np.mean(within)) / total if within and total > 0 else 0.0
    return Habit(
        round(float(np.clip(between, 0.0, 0.9)), 2),
        tuple(round(float(quantile), 3) for quantile in quantiles),
    )


def fit_habits(measured: Mapping[str, Sequence[tuple[str, float]]]) -> dict[str, Habit]:
    """Habits by name, from (hand, value) pairs by name; rare ones are left out."""
    fitted = {name: fit_habit(values) for name, values in sorted(measured.items())}
    return {name: habit for name, habit in fitted.items() if habit is not None}
