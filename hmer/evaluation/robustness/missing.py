"""Ink that never reached the tablet: an expression without some of its strokes or symbols.

What is left keeps its place and size; unlike with hidden ink, no shape is cut.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hmer.ink.strokes import Ink


class Left(NamedTuple):
    """The ink that is left, and the share of the strokes that are missing, in [0, 1)."""

    ink: Ink
    share: float


def without_strokes(ink: Ink, share: float, rng: np.random.Generator) -> Left:
    """The ink without a random `share` of its strokes; at least one stroke stays.

    How many go is rounded up or down at random such that on average the share is exact: of short
    expressions often none. With the same generator state, what a small share takes a larger one
    takes too: the levels of a curve are nested.

    Raises:
        ValueError: share outside [0, 1], or ink without strokes.
    """
    total = len(ink.strokes)
    if not 0.0 <= share <= 1.0 or not total:
        raise ValueError(f"expected share in [0, 1] of some strokes, not {share} of {total}")
    order = rng.permutation(total)
    count = min(int(share * total + rng.random()), total - 1)
    return _without(ink, set(order[:count].tolist()))


def symbols_with_strokes(ink: Ink) -> int:
    """How many symbols of the ink have strokes of their own."""
    return sum(bool(symbol.strokes) for symbol in ink.symbols)


def without_symbols(ink: Ink, count: int, rng: np.random.Generator) -> Left:
    """The ink without the strokes of `count` random symbols; nested as in `without_strokes`.

    Raises:
        ValueError: count is negative, or not below the number of symbols that have strokes.
    """
    symbols = [symbol for symbol in ink.symbols if symbol.strokes]
    if not 0 <= count < len(symbols):
        raise ValueError(f"cannot take {count} of {len(symbols)} symbols")
    chosen = rng.permutation(len(symbols))[:count]
    return _without(ink, {stroke for index in chosen for stroke in symbols[index].strokes})


def _without(ink: Ink, gone: set[int]) -> Left:
    left = tuple(stroke for index, stroke in enumerate(ink.strokes) if index not in gone)
    return Left(Ink(left), len(gone) / len(ink.strokes))
