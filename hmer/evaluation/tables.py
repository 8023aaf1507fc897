"""The tables of an evaluation as files: JSON, CSV and Parquet with the same bytes every time."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from hmer.evaluation.prediction import Prediction
from hmer.evaluation.result import EvaluationResult, Findings
from hmer.evaluation.robustness.trials import PREDICTIONS as PREDICTIONS_FILE
from hmer.evaluation.robustness.trials import TRIALS, write_trials

DIGITS = 4

BLOCKS = "blocks"
"""What hid the ink in occlusion.csv."""

PREDICTIONS = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("truth", pa.list_(pa.string()), nullable=False),
        pa.field("prediction", pa.list_(pa.string())),
        pa.field("distance", pa.int32(), nullable=False),
        pa.field("confidence", pa.float64(), nullable=False),
        pa.field("correct", pa.bool_(), nullable=False),
    ]
)
"""predictions.parquet: `prediction` is null where the expression could not be read."""


def write_tables(out_dir: Path, result: EvaluationResult, findings: Findings) -> None:
    """Write metrics.json, predictions.parquet and all CSV files into the existing folder."""
    numbers = {**findings.numbers(), **result.numbers}
    for section in result.sections:
        numbers |= section.flat()
        for name, table in section.table_files().items():
            _write_rows(out_dir / name, table.header, table.rows)
    write_json(out_dir / "metrics.json", numbers)
    write_predictions(out_dir / PREDICTIONS_FILE, result.predictions)
    _write_errors(out_dir / "errors.csv", result.predictions)
    buckets = ("name", "n", "exprate", "le1", "le2", "le3", "ter")
    write_csv(out_dir / "by_length.csv", ("length", *buckets[1:]), findings.lengths, buckets)
    write_csv(out_dir / "by_depth.csv", ("depth", *buckets[1:]), findings.depths, buckets)
    write_csv(
        out_dir / "confusions.csv", ("kind", "truth", "predicted", "count"), findings.confusions
    )
    write_csv(
        out_dir / "calibration.csv",
        ("low", "high", "n", "confidence", "accuracy"),
        findings.reliability.bins,
    )
    write_csv(
        out_dir / "risk_coverage.csv", ("coverage", "risk", "threshold"), findings.risk.points
    )
    if result.occlusion:
        _write_occlusion(out_dir / "occlusion.csv", result)
    if result.trials:
        write_trials(out_dir / TRIALS, result.trials)


def write_json(path: Path, numbers: Mapping[str, float]) -> None:
    """A flat JSON object, rounded, in the order given."""
    rounded = {name: round(value, DIGITS) for name, value in numbers.items()}
    path.write_text(json.dumps(rounded, indent=2, allow_nan=False) + "\n", encoding="utf-8")


def write_predictions(path: Path, predictions: Sequence[Prediction]) -> None:
    """Every prediction with its distance, in the order given (schema `PREDICTIONS`)."""
    rows = [
        {
            "id": prediction.id,
            "truth": list(prediction.truth),
            "prediction": None if prediction.tokens is None else list(prediction.tokens),
            "distance": prediction.distance,
            "confidence": float(prediction.confidence),
            "correct": prediction.correct,
        }
        for prediction in predictions
    ]
    pq.write_table(pa.Table.from_pylist(rows, schema=PREDICTIONS), path, compression="zstd")


def worst_first(predictions: Iterable[Prediction]) -> list[Prediction]:
    """The wrong ones, most confident first: what a reader would have trusted in error."""
    wrong = (prediction for prediction in predictions if not prediction.correct)
    return sorted(wrong, key=lambda prediction: (-prediction.confidence, prediction.id))


def _write_errors(path: Path, predictions: Sequence[Prediction]) -> None:
    rows = (
        (
            prediction.id,
            " ".join(prediction.truth),
            "" if prediction.tokens is None else " ".join(prediction.tokens),
            prediction.distance,
            prediction.confidence,
        )
        for prediction in worst_first(predictions)
    )
    _write_rows(path, ("id", "truth", "prediction", "distance", "confidence"), rows)


def _write_occlusion(path: Path, result: EvaluationResult) -> None:
    scores = ("exprate", "le1", "le2", "le3", "ter", "structure_rate")
    rows = (
        (BLOCKS, point.level, point.share, *(getattr(point.scores, score) for score in scores))
        for point in result.occlusion
    )
    _write_rows(path, ("series", "level", "hidden", *scores), rows)


def write_csv(
    path: Path,
    header: Sequence[str],
    rows: Iterable[object],
    attributes: Sequence[str] | None = None,
) -> None:
    """A CSV with one attribute of the rows per column; floats are rounded."""
    names = header if attributes is None else attributes
    _write_rows(path, header, (tuple(getattr(row, name) for name in names) for row in rows))


def _write_rows(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        for row in rows:
            writer.writerow([round(v, DIGITS) if isinstance(v, float) else v for v in row])
