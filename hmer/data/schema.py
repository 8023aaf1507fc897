"""The data contract: what a row of a dataset file is, and how files of rows are read and written.

A dataset is one Parquet file per split, with everything about an expression in its row: few
large files are cheap to hash and to move. Refused expressions have a file of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from hmer.errors import HmerError
from hmer.files import atomic_file
from hmer.ink.boxes import SymbolBox

ROW_GROUP = 512
"""Rows that are held in memory at once."""

_BOX = pa.struct(
    [("token", pa.string()), *((side, pa.float32()) for side in ("left", "top", "right", "bottom"))]
)

SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("split", pa.string(), nullable=False),
        pa.field("writer", pa.string(), nullable=False),
        pa.field("latex", pa.string(), nullable=False),
        pa.field("tokens", pa.list_(pa.string()), nullable=False),
        pa.field("image", pa.binary(), nullable=False),
        pa.field("height", pa.int32(), nullable=False),
        pa.field("width", pa.int32(), nullable=False),
        pa.field("strokes", pa.int32(), nullable=False),
        pa.field("ink", pa.binary()),
        pa.field("symbol_boxes", pa.list_(_BOX)),
    ]
)

QUARANTINE_SCHEMA = pa.schema(
    [pa.field(name, pa.string(), nullable=False) for name in ("id", "file", "reason", "split")]
)


@dataclass(frozen=True, slots=True)
class Sample:
    """One expression of a dataset.

    Attributes:
        id: unique within the split.
        source: the collection it comes from.
        split: the file it is in: "train", "val", "dev-<name>" or "test-<name>".
        latex: the truth as found.
        tokens: the truth as normalised tokens.
        image: PNG, 8-bit grey, ink 255 on 0; `hmer.ink.images.decode_png` opens it.
        height, width: of the image, in pixels.
        strokes: how many; 0 if only the image is known.
        ink: normalised ink for `hmer.ink.codec.unpack`, if strokes are known.
        symbol_boxes: where each symbol is in the image, if the segmentation is known.
    """

    id: str
    source: str
    split: str
    writer: str
    latex: str
    tokens: tuple[str, ...]
    image: bytes
    height: int
    width: int
    strokes: int
    ink: bytes | None = None
    symbol_boxes: tuple[SymbolBox, ...] | None = None


@dataclass(frozen=True, slots=True)
class Quarantined:
    """An expression that was refused, and why."""

    id: str
    file: str
    reason: str
    split: str = ""
    """The test set it belongs to; "" for training data, whose splits are cut later."""


class RowWriter:
    """Writes a Parquet file row by row, in row groups of `ROW_GROUP`, as `row_writer` opens it."""

    def __init__(self, file: pq.ParquetWriter, schema: pa.Schema) -> None:
        self._file = file
        self._schema = schema
        self._rows: list[dict[str, Any]] = []
        self.count = 0

    def add(self, row: dict[str, Any]) -> None:
        """Append a row; its keys are the schema's field names."""
        self._rows.append(row)
        self.count += 1
        if len(self._rows) == ROW_GROUP:
            self.flush()

    def flush(self) -> None:
        """Write what is still held back, as a row group."""
        if self._rows:
            self._file.write_table(pa.Table.from_pylist(self._rows, schema=self._schema))
            self._rows = []


@contextmanager
def row_writer(path: Path, schema: pa.Schema) -> Iterator[RowWriter]:
    """A Parquet file that appears under its name only when the block ends without an error."""
    plain = {"image", "ink"}
    names = schema.names
    with (
        atomic_file(path) as partial,
        pq.ParquetWriter(
            partial,
            schema,
            compression={name: "none" if name == "image" else "zstd" for name in names},
            use_dictionary=[name for name in names if name not in plain],
            write_statistics=[name for name in names if name not in plain],
        ) as file,
    ):
        writer = RowWriter(file, schema)
        yield writer
        writer.flush()


def sample_row(sample: Sample) -> dict[str, Any]:
    """The sample as a row for `SCHEMA`."""
    row = {name: getattr(sample, name) for name in SCHEMA.names}
    if sample.symbol_boxes is not None:
        row["symbol_boxes"] = [
            {name: getattr(box, name) for name in _BOX.names} for box in sample.symbol_boxes
        ]
    return row


def read_quarantine(path: Path) -> Iterator[Quarantined]:
    """The refused expressions of a quarantine file. Raises HmerError as `read_rows` does."""
    for row in read_rows(path, QUARANTINE_SCHEMA):
        yield Quarantined(**row)


def read_rows(path: Path, schema: pa.Schema) -> Iterator[dict[str, Any]]:
    """The rows of a file that `row_writer` wrote, a row group at a time.

    Raises:
        HmerError: the file is missing, not Parquet, or not of this schema.
    """
    try:
        file = pq.ParquetFile(path)
    except FileNotFoundError:
        raise HmerError(f"{path}: no such dataset file; run ingest first") from None
    except (OSError, pa.ArrowException) as error:
        raise HmerError(f"{path}: not a dataset file ({error}); run ingest again") from error
    with file:
        if not file.schema_arrow.equals(schema):
            raise HmerError(f"{path}: the columns are not those of this version; run ingest again")
        for number in range(file.num_row_groups):
            yield from file.read_row_group(number).to_pylist()
