"""Two recognisers on the same expressions: what the gate decides by."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hmer.errors import HmerError
from hmer.evaluation.bootstrap import paired_difference
from pipeline.registry.promotion import Comparison, RegisterConfig

EVIDENCE = ("predictions.parquet", "occlusion.csv")
"""Files of an evaluation that a later challenger is compared with; the second may be missing."""


@dataclass(frozen=True)
class Evidence:
    """What one recogniser did: `correct` by expression, ExpRate (percent) by share of hidden ink.

    `occluded` has a pair (level, ExpRate) per level above 0.
    """

    correct: Mapping[str, bool]
    occluded: tuple[tuple[float, float], ...]

    @property
    def robustness(self) -> float | None:
        """Mean ExpRate over the levels of hidden ink, percent; None if it was not measured."""
        rates = [rate for _, rate in self.occluded]
        return sum(rates) / len(rates) if rates else None


def read_evidence(report: Path) -> Evidence:
    """From the folder of one evaluated test set.

    Raises:
        HmerError: the predictions cannot be read.
    """
    path = report / EVIDENCE[0]
    try:
        table = pq.read_table(path, columns=["id", "correct"])
    except (OSError, pa.ArrowException) as error:
        raise HmerError(f"{path}: no predictions to compare: {error}") from None
    pairs = zip(table["id"].to_pylist(), table["correct"].to_pylist(), strict=True)
    return Evidence(dict(pairs), _occluded(report / EVIDENCE[1]))


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
    return Comparison(
        gain=paired_difference(mine, theirs, config.seed, config.resamples, config.level),
        n=len(ids),
        only_challenger=int((mine & ~theirs).sum()),
        only_champion=int((theirs & ~mine).sum()),
        occluded_gain=_occluded_gain(challenger, champion),
    )


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
