"""Timing several ways of doing the same work, in turn, in one process."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

Row = dict[str, Any]
"""A line of a report: values by the heading of their column."""


def comparison(work: str, per: str, ours: float, reference: float) -> Row:
    """Seconds of two ways; quote the ratio, the seconds depend on the machine."""
    return {
        "work": work,
        "per": per,
        "ours, ms": 1e3 * ours,
        "reference, ms": 1e3 * reference,
        "times faster": reference / ours,
    }


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
