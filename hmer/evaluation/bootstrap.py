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


def rate_interval(
    correct: BoolArray, seed: int, n: int = RESAMPLES, level: float = LEVEL
) -> Interval:
    """The rate of `correct` (shape (expressions,)) in percent, with its bootstrap interval.

    Raises:
        ValueError: nothing to resample, not bool, or senseless `n` or `level`.
    """
    _check(correct, n, level)
    size, hits = len(correct), int(correct.sum())
    rates = np.random.default_rng(seed).binomial(size, hits / size, size=n) * (100.0 / size)
    low, high = np.quantile(rates, _tails(level))
    return Interval(100.0 * hits / size, float(low), float(high))


def paired_difference(
    a: BoolArray, b: BoolArray, seed: int, n: int = RESAMPLES, level: float = LEVEL
) -> Interval:
    """Rate of `a` minus rate of `b`, in percentage points, with its paired bootstrap interval.

    Both are results on the same expressions in the same order, shape (expressions,).

    Raises:
        ValueError: different lengths, nothing to resample, or senseless `n` or `level`.
    """
    _check(a, n, level)
    _check(b, n, level)
    if a.shape != b.shape:
        raise ValueError(f"paired results must match: {a.shape} and {b.shape}")
    size = len(a)
    better, worse = int((a & ~b).sum()), int((b & ~a).sum())
    shares = [better / size, worse / size, (size - better - worse) / size]
    counts = np.random.default_rng(seed).multinomial(size, shares, size=n)
    differences = (counts[:, 0] - counts[:, 1]) * (100.0 / size)
    low, high = np.quantile(differences, _tails(level))
    return Interval(100.0 * (better - worse) / size, float(low), float(high))


def paired_ratio(
    difference: FloatArray, weight: FloatArray, seed: int, n: int = RESAMPLES, level: float = LEVEL
) -> Interval:
    """Summed `difference` over summed `weight` in percent, with its paired bootstrap interval.

    Both are of shape (expressions,), weights positive. With differences in edits and lengths of
    truths this is the difference of two error rates; with weights of 1, a mean difference.

    Raises:
        ValueError: different lengths, nothing to resample, a weight that is not positive, or
            senseless `n` or `level`.
    """
    if difference.ndim != 1 or difference.shape != weight.shape or not bool((weight > 0).all()):
        raise ValueError(f"expected rows of one length: {difference.shape} and {weight.shape}")
    _check(np.ones(len(weight), dtype=np.bool_), n, level)
    rng, size = np.random.default_rng(seed), len(weight)
    chunk = max(1, _AT_ONCE // size)
    ratios = []
    for start in range(0, n, chunk):
        picks = rng.integers(size, size=(min(chunk, n - start), size))
        ratios.append(difference[picks].sum(axis=1) / weight[picks].sum(axis=1))
    low, high = 100.0 * np.quantile(np.concatenate(ratios), _tails(level))
    return Interval(100.0 * float(difference.sum() / weight.sum()), float(low), float(high))


def ratio_interval(
    top: FloatArray, bottom: FloatArray, seed: int, n: int = RESAMPLES, level: float = LEVEL
) -> Interval:
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
    with_mass = sums[:, 1] > 0.0
    ratios = sums[with_mass, 0] / sums[with_mass, 1]
    low, high = np.quantile(ratios, _tails(level))
    return Interval(float(top.sum() / bottom.sum()), float(low), float(high))


def _tails(level: float) -> tuple[float, float]:
    return (1.0 - level) / 2.0, (1.0 + level) / 2.0


def _check(results: BoolArray, n: int, level: float) -> None:
    if results.ndim != 1 or results.dtype != np.bool_ or not len(results):
        raise ValueError(f"expected a non-empty row of bool, not {results.dtype} {results.shape}")
    if n < 1 or not 0.0 < level < 1.0:
        raise ValueError(f"expected n > 0 and 0 < level < 1, not {n} and {level}")
