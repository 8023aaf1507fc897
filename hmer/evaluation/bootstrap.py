"""Percentile bootstrap intervals over expressions: rates, paired differences, ratios; seeded.

Resampling n yes-or-no results with replacement and counting them is a binomial draw; resampling
pairs and counting their three kinds of difference is a multinomial draw. Drawing the counts is
therefore the bootstrap itself, without the n * resamples memory.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float64]

RESAMPLES = 10_000
LEVEL = 0.95

_AT_ONCE = 2**21  # draws, bounding memory


class Interval(NamedTuple):
    """The observed value and its bootstrap interval, in percent (or percentage points)."""

    mean: float
    low: float
    high: float


def rate_interval(correct: BoolArray, seed: int = 0, n: int = RESAMPLES) -> Interval:
    """The rate of `correct` (shape (expressions,)) in percent, with its bootstrap interval.

    Raises:
        ValueError: nothing to resample, or not bool.
    """
    _check(correct)
    size, hits = len(correct), int(correct.sum())
    rates = np.random.default_rng(seed).binomial(size, hits / size, size=n) * (100.0 / size)
    return _interval(100.0 * hits / size, rates)


def paired_difference(
    a: BoolArray, b: BoolArray, seed: int = 0, n: int = RESAMPLES, level: float = LEVEL
) -> Interval:
    """Rate of `a` minus rate of `b`, in percentage points, with its paired bootstrap interval.

    Both are results on the same expressions in the same order, shape (expressions,).

    Raises:
        ValueError: nothing to resample, not bool, or different lengths.
    """
    _check(a, b)
    size = len(a)
    better, worse = int((a & ~b).sum()), int((b & ~a).sum())
    shares = [better / size, worse / size, (size - better - worse) / size]
    counts = np.random.default_rng(seed).multinomial(size, shares, size=n)
    differences = (counts[:, 0] - counts[:, 1]) * (100.0 / size)
    return _interval(100.0 * (better - worse) / size, differences, level)


def paired_ratio(
    difference: FloatArray,
    weight: FloatArray,
    seed: int = 0,
    n: int = RESAMPLES,
    level: float = LEVEL,
) -> Interval:
    """Summed `difference` over summed `weight` in percent, with its paired bootstrap interval.

    Both are of shape (expressions,), weights positive. With differences in edits and lengths of
    truths this is the difference of two error rates; with weights of 1, a mean difference.

    Raises:
        ValueError: different lengths, nothing to resample, or a weight that is not positive.
    """
    size = len(weight)
    if difference.shape != (size,) or not size or not bool((weight > 0).all()):
        raise ValueError(f"expected rows of one length: {difference.shape} and {weight.shape}")
    rng, chunk = np.random.default_rng(seed), max(1, _AT_ONCE // size)
    ratios = []
    for start in range(0, n, chunk):
        picks = rng.integers(size, size=(min(chunk, n - start), size))
        ratios.append(difference[picks].sum(axis=1) / weight[picks].sum(axis=1))
    ratio = float(difference.sum() / weight.sum())
    return _interval(100.0 * ratio, 100.0 * np.concatenate(ratios), level)


def ratio_interval(top: FloatArray, bottom: FloatArray, seed: int, n: int = RESAMPLES) -> Interval:
    """sum(top) / sum(bottom), not percent, resampling expressions as a whole.

    Both are of shape (expressions,), `bottom` not negative. What belongs to one expression stays
    together: symbols of one hand are no independent cases. Resamples whose bottom is 0 are left
    out.

    Raises:
        ValueError: different lengths, or nothing in `bottom`.
    """
    if top.shape != bottom.shape or top.ndim != 1 or not bottom.sum() > 0.0:
        raise ValueError(f"expected two rows, the second with mass: {top.shape}, {bottom.shape}")
    size = len(top)
    drawn = np.random.default_rng(seed).multinomial(size, np.full(size, 1.0 / size), size=n)
    sums = drawn @ np.stack([top, bottom], axis=1)
    tops, bottoms = sums[sums[:, 1] > 0.0].T
    return _interval(float(top.sum() / bottom.sum()), tops / bottoms)


def _interval(mean: float, resampled: NDArray[np.floating], level: float = LEVEL) -> Interval:
    low, high = np.quantile(resampled, ((1.0 - level) / 2.0, (1.0 + level) / 2.0))
    return Interval(mean, float(low), float(high))


def _check(*rows: BoolArray) -> None:
    shapes = {(row.dtype.name, row.shape) for row in rows}
    if len(shapes) > 1 or rows[0].ndim != 1 or rows[0].dtype != np.bool_ or not len(rows[0]):
        raise ValueError(f"expected non-empty rows of bool, of one length, not {sorted(shapes)}")
