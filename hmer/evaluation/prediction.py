"""What was read of an expression beside its truth, and the Parquet files that keep it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from rapidfuzz.distance import Levenshtein

from hmer.errors import HmerError

UNREADABLE = "<unreadable>"
"""Stands for the truth of an expression whose file could not be read."""

PREDICTIONS = "predictions.parquet"
TRIALS = "trials.parquet"

PLAIN = "plain"
"""Series of the readings of whole expressions, as the evaluation decodes them."""
OCCLUSION = "occlusion"
"""Series in which ink is hidden."""

_FIELDS = {
    "series": pa.string(),
    "level": pa.float64(),
    "share": pa.float64(),
    "id": pa.string(),
    "truth": pa.list_(pa.string()),
    "prediction": pa.list_(pa.string()),
    "distance": pa.int32(),
    "confidence": pa.float64(),
    "correct": pa.bool_(),
}
"""Columns of both files; `prediction` is null where the expression could not be read."""

_PREDICTION = ("id", "truth", "prediction", "distance", "confidence", "correct")
_TRIAL = ("series", "level", "share", "id", "truth", "prediction", "correct")


class Reading:
    """Truth and reading compared, by tokens and by characters."""

    __slots__ = ()

    id: str
    truth: Sequence[str]
    tokens: Sequence[str] | None

    @property
    def correct(self) -> bool:
        """Whether the reading equals the truth token for token."""
        return self.tokens is not None and list(self.tokens) == list(self.truth)

    @property
    def distance(self) -> int:
        """Token edit distance to the truth; all of the truth where nothing was read."""
        return int(Levenshtein.distance(list(self.truth), list(self.tokens or ())))

    def within(self, edits: int) -> bool:
        """Whether it was read with at most `edits` token edits."""
        return self.tokens is not None and self.distance <= edits

    @property
    def characters(self) -> int:
        """Length of the truth written without spaces."""
        return len("".join(self.truth))

    @property
    def character_edits(self) -> int:
        """Character edits between truth and reading, both without spaces."""
        return int(Levenshtein.distance("".join(self.truth), "".join(self.tokens or ())))


@dataclass(frozen=True, slots=True, eq=False)
class Prediction(Reading):
    """The reading of one expression.

    `tokens` is None where the expression could not be read: it counts as wrong, and as all of the
    truth deleted. `confidence` is the probability of the whole sequence, in [0, 1]. `image` is PNG.
    """

    id: str
    truth: Sequence[str]
    tokens: Sequence[str] | None
    confidence: float
    image: bytes | None = None

    def __post_init__(self) -> None:
        if not self.truth:
            raise ValueError(f"{self.id}: the truth is empty")
        if isinstance(self.truth, str) or isinstance(self.tokens, str):
            raise ValueError(f"{self.id}: expected a list of tokens, not a string")
        if not 0.0 <= self.confidence <= 1.0:
            raise ValueError(f"{self.id}: confidence {self.confidence} is outside [0, 1]")


def correctness(readings: Iterable[Reading]) -> NDArray[np.bool_]:
    """Which readings are right, shape (n,)."""
    return np.array([one.correct for one in readings], dtype=np.bool_)


def confidences(predictions: Sequence[Prediction]) -> NDArray[np.float64]:
    """The confidence of every prediction, shape (n,)."""
    return np.array([prediction.confidence for prediction in predictions], dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Trial(Reading):
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


def plain_trials(predictions: Iterable[Prediction]) -> list[Trial]:
    """Readings of whole expressions as trials of the series `PLAIN`."""
    return [Trial(PLAIN, 0.0, 0.0, one.id, one.truth, one.tokens) for one in predictions]


def write_predictions(path: Path, predictions: Iterable[Prediction]) -> None:
    """Every prediction with its distance, in the order given."""
    _write(path, predictions, _PREDICTION)


def write_trials(path: Path, trials: Iterable[Trial]) -> None:
    """All trials in the order given."""
    _write(path, trials, _TRIAL)


def _write(path: Path, readings: Iterable[Reading], names: Sequence[str]) -> None:
    schema = pa.schema([pa.field(n, _FIELDS[n], nullable=n == "prediction") for n in names])
    rows = [
        {name: getattr(one, "tokens" if name == "prediction" else name) for name in names}
        for one in readings
    ]
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), path, compression="zstd")


def read_trials(report: Path) -> list[Trial]:
    """What was read for one report folder: series `PLAIN`, then trials.parquet if there.

    Raises:
        HmerError: the folder has no predictions, or a file of it is damaged.
    """
    trials = [
        Trial(PLAIN, 0.0, 0.0, row["id"], row["truth"], row["prediction"])
        for row in _rows(report / PREDICTIONS, ["id", "truth", "prediction"])
    ]
    if (report / TRIALS).is_file():
        names = list(_TRIAL[:-1])
        rows = _rows(report / TRIALS, names)
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


class Marked(NamedTuple):
    """A token, and whether the other side has it too."""

    token: str
    same: bool


def mark(truth: Sequence[str], read: Sequence[str]) -> tuple[list[Marked], list[Marked]]:
    """Truth and prediction with the tokens marked that a shortest edit script keeps."""
    kept = (set[int](), set[int]())
    for block in Levenshtein.opcodes(truth, read).as_matching_blocks():
        kept[0].update(range(block.a, block.a + block.size))
        kept[1].update(range(block.b, block.b + block.size))
    marked = [
        [Marked(token, index in same) for index, token in enumerate(side)]
        for side, same in zip((truth, read), kept, strict=True)
    ]
    return marked[0], marked[1]
