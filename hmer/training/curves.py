"""Curves: what was measured at which step, kept with the checkpoint and written as CSV."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from pathlib import Path

Sums = dict[str, tuple[float, int]]
"""Sum and number of the values of each name."""


class Curves:
    """Rows of measurements in long form: step, name, value."""

    def __init__(self) -> None:
        self.rows: list[tuple[int, str, float]] = []
        self._sums: Sums = {}

    def add(self, values: Mapping[str, float]) -> None:
        """Take values of one step into the running means."""
        for name, value in values.items():
            total, count = self._sums.get(name, (0.0, 0))
            self._sums[name] = (total + value, count + 1)

    def pool(self, gather: Callable[[Sums], list[Sums]]) -> None:
        """Take what other processes have measured into the running means.

        Args:
            gather: from what one has to what all have, the same for all.
        """
        pooled: Sums = {}
        for sums in gather(self._sums):
            for name, (total, count) in sums.items():
                before, number = pooled.get(name, (0.0, 0))
                pooled[name] = (before + total, number + count)
        self._sums = pooled

    def flush(self, step: int) -> dict[str, float]:
        """Write the means since the last flush as rows of `step`, and return them."""
        means = {name: total / count for name, (total, count) in self._sums.items()}
        self.rows += [(step, name, round(value, 6)) for name, value in means.items()]
        self._sums.clear()
        return means

    def last(self, name: str) -> float:
        """The newest value of a curve.

        Raises:
            KeyError: nothing was measured under that name.
        """
        for _, other, value in reversed(self.rows):
            if other == name:
                return value
        raise KeyError(name)

    def write(self, path: Path) -> None:
        """One row per step, one column per name; empty where nothing was measured."""
        names = sorted({name for _, name, _ in self.rows})
        table: dict[int, dict[str, float]] = {}
        for step, name, value in self.rows:
            table.setdefault(step, {})[name] = value
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, ["step", *names], lineterminator="\n")
            writer.writeheader()
            writer.writerows({"step": step, **row} for step, row in sorted(table.items()))
