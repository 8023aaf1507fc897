"""Timing two ways of doing the same work, in turn, in one process."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
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
        reference: another way.
        per: pieces of work in one call; seconds are given per piece.
        unit: what a piece is.
        rounds: measured calls of each.
    """
    seconds = in_turn({"ours": ours, "reference": reference}, rounds)
    return Comparison(name, seconds["ours"] / per, seconds["reference"] / per, unit)


def in_turn(works: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median seconds of processor time (all threads) of each work, run in turn.

    Each runs once before the clock: oneDNN compiles for each new shape.
    """
    times: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(rounds + 1):
        for name, work in works.items():
            began = time.process_time()
            work()
            if turn:
                times[name].append(time.process_time() - began)
    return {name: statistics.median(found) for name, found in times.items()}
