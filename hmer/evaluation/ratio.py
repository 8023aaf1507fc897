"""How sure is a ratio of sums over expressions? Percentile bootstrap, seeded."""

from __future__ import annotations

import numpy as np

from hmer.evaluation.bootstrap import LEVEL, Interval
from hmer.evaluation.images import FloatArray

RESAMPLES = 2_000


def ratio_interval(
    top: FloatArray, bottom: FloatArray, seed: int, n: int = RESAMPLES, level: float = LEVEL
) -> Interval:
    """sum(top) / sum(bottom), resampling expressions as a whole.

    What belongs to one expression stays together: symbols of one hand are no independent cases.

    Args:
        top: one number per expression, shape (expressions,).
        bottom: likewise, not negative.
        seed: of the resampling.
        n: resamples.
        level: confidence level of the interval.

    Returns:
        The ratio itself (not percent), and its interval; resamples whose bottom is 0 are left out.

    Raises:
        ValueError: different lengths, or nothing in `bottom`.
    """
    if top.shape != bottom.shape or top.ndim != 1 or not bottom.sum() > 0.0:
        raise ValueError(f"expected two rows, the second with mass: {top.shape}, {bottom.shape}")
    size = len(top)
    drawn = np.random.default_rng(seed).multinomial(size, np.full(size, 1.0 / size), size=n)
    sums = drawn @ np.stack([top, bottom], axis=1)
    with_mass = sums[:, 1] > 0.0
    ratios = sums[with_mass, 0] / sums[with_mass, 1]
    low, high = np.quantile(ratios, [(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    return Interval(float(top.sum() / bottom.sum()), float(low), float(high))
