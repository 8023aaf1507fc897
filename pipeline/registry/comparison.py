"""Two recognisers on the same expressions: what the gate decides by."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hmer.errors import HmerError
from hmer.evaluation.bootstrap import Interval, paired_difference, paired_ratio
from pipeline.registry.promotion import Comparison, RegisterConfig

EVIDENCE = ("predictions.parquet", "occlusion.csv", "trials.parquet")
"""Files of an evaluation that a later challenger is compared with; all but the first may be
missing."""
HIDDEN = "occlusion"
"""Name in trials.parquet of the series in which ink is hidden."""

Trials = Mapping[tuple[str, float], bool]
"""Whether an expression (its id) was read right with a share of its ink hidden (above 0)."""


@dataclass(frozen=True)
class Evidence:
    """What one recogniser did: `correct` by expression, ExpRate (percent) by share of hidden ink.

    `occluded` has a pair (level, ExpRate) per level above 0; `hidden` has the single readings
    behind it (none where they were not kept).
    """

    correct: Mapping[str, bool]
    occluded: tuple[tuple[float, float], ...]
    hidden: Trials = field(default_factory=dict)

    @property
    def robustness(self) -> float | None:
        """Mean ExpRate over the levels of hidden ink, percent; None if it was not measured."""
        rates = [rate for _, rate in self.occluded]
        return sum(rates) / len(rates) if rates else None


def read_evidence(report: Path) -> Evidence:
    """From the folder of one evaluated test set.

    Raises:
        HmerError: a file of it cannot be read.
    """
    path = report / EVIDENCE[0]
    try:
        table = pq.read_table(path, columns=["id", "correct"])
    except (OSError, pa.ArrowException) as error:
        raise HmerError(f"{path}: no predictions to compare: {error}") from None
    pairs = zip(table["id"].to_pylist(), table["correct"].to_pylist(), strict=True)
    return Evidence(dict(pairs), _occluded(report / EVIDENCE[1]), _hidden(report / EVIDENCE[2]))


def compare(challenger: Evidence, champion: Evidence, config: RegisterConfig) -> Comparison:
    """Pair them by expression.

    Raises:
        HmerError: they were not scored on the same expressions.
    """
    ids = sorted(challenger.correct)
    if ids != sorted(champion.correct) or not ids:
        raise HmerError("the predictions of champion and challenger are of other expressions")
    mine = np.array([challenger.correct[name] for name in ids], dtype=np.bool_)
    theirs = np.array([champion.correct[name] for name in ids], dtype=np.bool_)
    occluded = _paired_gain(challenger.hidden, champion.hidden, config)
    return Comparison(
        gain=paired_difference(mine, theirs, config.seed, config.resamples, config.level),
        n=len(ids),
        only_challenger=int((mine & ~theirs).sum()),
        only_champion=int((theirs & ~mine).sum()),
        occluded_gain=occluded.mean if occluded else _occluded_gain(challenger, champion),
        occluded=occluded,
    )


def _paired_gain(mine: Trials, theirs: Trials, config: RegisterConfig) -> Interval | None:
    """Gain where ink is hidden, mean over the levels; None unless both read the same pictures.

    Expressions are resampled, each with all its levels: those are anything but independent.
    """
    if not mine or mine.keys() != theirs.keys():
        return None
    gains: dict[str, list[int]] = defaultdict(list)
    for key in sorted(mine):
        gains[key[0]].append(int(mine[key]) - int(theirs[key]))
    means = np.array([sum(gain) / len(gain) for gain in gains.values()], dtype=np.float64)
    return paired_ratio(means, np.ones_like(means), config.seed, config.resamples, config.level)


def _occluded_gain(challenger: Evidence, champion: Evidence) -> float | None:
    alike = [level for level, _ in challenger.occluded] == [level for level, _ in champion.occluded]
    if not alike or challenger.robustness is None or champion.robustness is None:
        return None
    return challenger.robustness - champion.robustness


def _occluded(path: Path) -> tuple[tuple[float, float], ...]:
    if not path.is_file():
        return ()
    by_level: dict[float, list[float]] = {}
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            by_level.setdefault(float(row["level"]), []).append(float(row["exprate"]))
    return tuple(
        (level, sum(rates) / len(rates)) for level, rates in sorted(by_level.items()) if level > 0
    )


def _hidden(path: Path) -> Trials:
    if not path.is_file():
        return {}
    try:
        rows = pq.read_table(path, columns=["series", "level", "id", "correct"]).to_pylist()
    except (OSError, KeyError, pa.ArrowException) as error:
        raise HmerError(f"{path}: no readings to compare: {error}") from None
    return {
        (row["id"], row["level"]): row["correct"]
        for row in rows
        if row["series"] == HIDDEN and row["level"] > 0
    }
