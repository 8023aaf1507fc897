"""One expression read under one condition; what robustness is computed from, and its file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from rapidfuzz.distance import Levenshtein

from hmer.errors import HmerError

TRIALS = "trials.parquet"
PREDICTIONS = "predictions.parquet"
PLAIN = "plain"
"""Series of the readings of whole expressions, as the evaluation decodes them."""

SCHEMA = pa.schema(
    [
        pa.field("series", pa.string(), nullable=False),
        pa.field("level", pa.float64(), nullable=False),
        pa.field("share", pa.float64(), nullable=False),
        pa.field("id", pa.string(), nullable=False),
        pa.field("truth", pa.list_(pa.string()), nullable=False),
        pa.field("prediction", pa.list_(pa.string())),
        pa.field("correct", pa.bool_(), nullable=False),
    ]
)
"""trials.parquet: `prediction` is null where the expression could not be read."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One expression read at one level of a series.

    `level` was asked for (a share of ink or strokes, or a number of symbols; 0: the expression
    as it is), `share` was taken, in [0, 1]. `tokens` is None where it could not be read.
    """

    series: str
    level: float
    share: float
    id: str
    truth: Sequence[str]
    tokens: Sequence[str] | None

    @property
    def correct(self) -> bool:
        """Whether the reading equals the truth token for token."""
        return self.tokens is not None and list(self.tokens) == list(self.truth)

    @property
    def characters(self) -> int:
        """Length of the truth written without spaces."""
        return len("".join(self.truth))

    @property
    def character_edits(self) -> int:
        """Character edits between truth and reading, both without spaces."""
        return int(Levenshtein.distance("".join(self.truth), "".join(self.tokens or ())))


def write_trials(path: Path, trials: Iterable[Trial]) -> None:
    """All trials in the order given (schema `SCHEMA`)."""
    rows = [
        {
            "series": trial.series,
            "level": trial.level,
            "share": trial.share,
            "id": trial.id,
            "truth": list(trial.truth),
            "prediction": None if trial.tokens is None else list(trial.tokens),
            "correct": trial.correct,
        }
        for trial in trials
    ]
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), path, compression="zstd")


def read_trials(report: Path) -> list[Trial]:
    """Everything that was read for one report: series `PLAIN`, then trials.parquet if there.

    Args:
        report: folder of one evaluated set.

    Raises:
        HmerError: the folder has no predictions, or a file of it is damaged.
    """
    trials = [
        Trial(PLAIN, 0.0, 0.0, row["id"], row["truth"], row["prediction"])
        for row in _rows(report / PREDICTIONS, ["id", "truth", "prediction"])
    ]
    if (report / TRIALS).is_file():
        names = ("series", "level", "share", "id", "truth", "prediction")
        rows = _rows(report / TRIALS, list(names))
        trials += [Trial(*(row[name] for name in names)) for row in rows]
    return trials


def _rows(path: Path, columns: list[str]) -> list[dict[str, Any]]:
    try:
        rows: list[dict[str, Any]] = pq.read_table(path, columns=columns).to_pylist()
    except (OSError, KeyError, pa.ArrowException) as error:
        raise HmerError(
            f"{path}: not the readings of an evaluation ({error}); run evaluate again"
        ) from None
    return rows
