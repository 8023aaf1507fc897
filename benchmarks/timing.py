"""Timing two ways of doing the same work, in turn, in one process."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Comparison:
    """Medians of alternating runs; quote the ratio, the seconds depend on the machine."""

    name: str
    ours: float
    reference: float
    unit: str

    @property
    def ratio(self) -> float:
        """How many times faster ours is."""
        return self.reference / self.ours


def compare(
    name: str,
    ours: Callable[[], object],
    reference: Callable[[], object],
    *,
    per: int,
    unit: str,
    rounds: int = 5,
) -> Comparison:
    """Run both in turn, once to warm up and `rounds` times for the clock.

    Args:
        name: of the work.
        ours: the project's way.
        reference: the plain way.
        per: pieces of work in one call; seconds are given per piece.
        unit: what a piece is.
        rounds: measured calls of each.
    """
    times: dict[str, list[float]] = {"ours": [], "reference": []}
    for turn in range(rounds + 1):
        for key, work in (("ours", ours), ("reference", reference)):
            began = time.perf_counter()
            work()
            if turn:
                times[key].append((time.perf_counter() - began) / per)
    return Comparison(
        name, statistics.median(times["ours"]), statistics.median(times["reference"]), unit
    )
