"""How far composed ink is from real ink: every habit's distributions, side by side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hmer.ink.strokes import Ink
from hmer.synthesis.glyphs.baselines import Extents
from hmer.synthesis.hands.habits import ENOUGH
from hmer.synthesis.hands.measurements import measure_ink

Values = dict[str, list[float]]


@dataclass(frozen=True, slots=True)
class HabitDistance:
    """One habit in real and composed ink.

    Attributes:
        name: of the habit.
        real: median of the real values.
        composed: median of the composed ones.
        ks: Kolmogorov and Smirnov's distance of the two distributions, 0 to 1.
        count: real and composed values.
    """

    name: str
    real: float
    composed: float
    ks: float
    count: tuple[int, int]


def gather(expressions: Iterable[tuple[Ink, Sequence[str]]], extents: Extents) -> Values:
    """All measurements of these expressions by habit."""
    found: Values = {}
    for ink, tokens in expressions:
        for measurement in measure_ink(ink, tokens, extents):
            found.setdefault(measurement.name, []).append(measurement.value)
    return found


def compare(
    real: Mapping[str, Sequence[float]], composed: Mapping[str, Sequence[float]]
) -> list[HabitDistance]:
    """Every habit with enough values on both sides, the most different first."""
    distances = [
        HabitDistance(
            name,
            float(np.median(real[name])),
            float(np.median(composed[name])),
            smirnov(real[name], composed[name]),
            (len(real[name]), len(composed[name])),
        )
        for name in sorted(real.keys() & composed.keys())
        if min(len(real[name]), len(composed[name])) >= ENOUGH
    ]
    return sorted(distances, key=lambda found: -found.ks)


def smirnov(one: Sequence[float], other: Sequence[float]) -> float:
    """The largest difference between two empirical distribution functions."""
    first, second = np.sort(np.array(one)), np.sort(np.array(other))
    every = np.concatenate([first, second])
    low = np.searchsorted(first, every, side="right") / len(first)
    high = np.searchsorted(second, every, side="right") / len(second)
    return float(np.abs(low - high).max())
