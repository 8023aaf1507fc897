from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hmer.data.schema import ROW_GROUP, Quarantined, Sample, read_quarantine
from hmer.errors import HmerError
from hmer.ink.boxes import SymbolBox
from hmer.ink.images import encode_png
from tests.samples import read_samples, write_quarantine, write_samples

IMAGE = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20


def sample(number: int) -> Sample:
    with_ink = number % 2 == 0
    return Sample(
        id=f"s{number}",
        source="made",
        split="train",
        writer="ada",
        latex="x^2",
        tokens=("x", "^", "{", "2", "}"),
        image=encode_png(IMAGE),
        height=3,
        width=4,
        strokes=2 if with_ink else 0,
        ink=b"\0ink" if with_ink else None,
        symbol_boxes=(SymbolBox("x", 0.5, 1.0, 2.0, 3.0),) if with_ink else None,
    )


def test_samples_survive_in_order(tmp_path: Path) -> None:
    samples = [sample(n) for n in range(2 * ROW_GROUP + 3)]
    path = tmp_path / "train.parquet"
    write_samples(path, iter(samples))
    assert list(read_samples(path)) == samples
    assert pq.ParquetFile(path).num_row_groups == 3


def test_same_samples_same_bytes(tmp_path: Path) -> None:
    for name in "ab":
        write_samples(tmp_path / name, [sample(n) for n in range(10)])
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_no_samples_make_a_valid_file(tmp_path: Path) -> None:
    write_samples(tmp_path / "a", [])
    assert list(read_samples(tmp_path / "a")) == []


def test_nothing_half_written_stays(tmp_path: Path) -> None:
    def failing() -> Iterator[Sample]:
        yield from (sample(n) for n in range(ROW_GROUP + 1))
        raise RuntimeError("no more")

    write_samples(tmp_path / "a", [sample(1)])
    with pytest.raises(RuntimeError):
        write_samples(tmp_path / "a", failing())
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert list(read_samples(tmp_path / "a")) == [sample(1)]


def test_quarantine_survives(tmp_path: Path) -> None:
    entries = [Quarantined("a", "f/a.inkml", "empty"), Quarantined("b", "", "unknown \\foo")]
    write_quarantine(tmp_path / "q", entries)
    assert list(read_quarantine(tmp_path / "q")) == entries


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(HmerError, match="run ingest first"):
        list(read_samples(tmp_path / "missing"))
    (tmp_path / "text").write_text("no Parquet")
    with pytest.raises(HmerError, match="not a dataset file"):
        list(read_samples(tmp_path / "text"))
    pq.write_table(pa.table({"id": ["a"]}), tmp_path / "other")
    with pytest.raises(HmerError, match="columns"):
        list(read_samples(tmp_path / "other"))
