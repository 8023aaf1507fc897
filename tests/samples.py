"""Data sets written and read sample by sample."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

from hmer.data.schema import (
    QUARANTINE_SCHEMA,
    SCHEMA,
    Quarantined,
    Sample,
    read_rows,
    row_writer,
    sample_row,
)
from hmer.ink.boxes import SymbolBox


def write_samples(path: Path, samples: Iterable[Sample]) -> None:
    with row_writer(path, SCHEMA) as writer:
        for sample in samples:
            writer.add(sample_row(sample))


def read_samples(path: Path) -> Iterator[Sample]:
    for row in read_rows(path, SCHEMA):
        boxes = row.pop("symbol_boxes")
        known = None if boxes is None else tuple(SymbolBox(**box) for box in boxes)
        yield Sample(**row | {"tokens": tuple(row["tokens"]), "symbol_boxes": known})


def write_quarantine(path: Path, refused: Iterable[Quarantined]) -> None:
    with row_writer(path, QUARANTINE_SCHEMA) as writer:
        for entry in refused:
            writer.add(asdict(entry))
