"""Profiling of whole files: order, splits of the work, schema."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hmer.data import profile as module
from hmer.data.facts import FINGERPRINT_BYTES
from hmer.data.profile import dataset_files, profile, schema_difference
from hmer.data.schema import SCHEMA, Sample, encode_png, sample_row
from hmer.errors import HmerError

VOCABULARY = ("x", "y", "+")


def sample(number: int, split: str) -> Sample:
    image = np.zeros((16, 24), np.uint8)
    image[4:8, : 1 + number] = 255
    tokens = ("x", "+", "y")[: 1 + number % 3]
    return Sample(f"{split}-{number}", "made", split, "w", "", tokens, encode_png(image), 16, 24, 0)


def write(path: Path, samples: list[Sample], group: int = 3) -> None:
    """Small row groups, so that a small file has several."""
    table = pa.Table.from_pylist([sample_row(one) for one in samples], schema=SCHEMA)
    pq.write_table(table, path, row_group_size=group)


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    for split, rows in (("train", 20), ("val", 4), ("test-a", 5)):
        write(tmp_path / f"{split}.parquet", [sample(number, split) for number in range(rows)])
    (tmp_path / "quarantine.parquet").write_bytes(b"is not a split")
    return tmp_path


def test_files_in_the_order_of_the_pipeline(dataset: Path) -> None:
    assert [path.stem for path in dataset_files(dataset)] == ["train", "val", "test-a"]


def test_no_dataset_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(HmerError, match="run the ingest stage first"):
        dataset_files(tmp_path)


def test_rows_keep_their_order_and_position(dataset: Path) -> None:
    found = profile(dataset, VOCABULARY)
    assert list(found.rows["file"]) == ["train"] * 20 + ["val"] * 4 + ["test-a"] * 5
    assert list(found.rows["row"]) == [*range(20), *range(4), *range(5)]
    assert list(found.rows["id"][:3]) == ["train-0", "train-1", "train-2"]
    assert found.fingerprints.shape == (29, FINGERPRINT_BYTES)
    assert list(found.files["rows"]) == [20, 4, 5]
    assert set(found.files["schema_error"]) == {""}
    assert found.rows["strokes"].isna().all()


def test_tokens_are_counted_per_split(dataset: Path) -> None:
    # Rows 0, 1, 2, 3 have labels of 1, 2, 3 and 1 tokens.
    assert profile(dataset, VOCABULARY).tokens["val"] == {"x": 4, "+": 2, "y": 1}


def test_processes_change_nothing(dataset: Path) -> None:
    one, two = profile(dataset, VOCABULARY, 1), profile(dataset, VOCABULARY, 2)
    assert sum(-(-rows // 3) for rows in (20, 4, 5)) >= module.PARALLEL_FROM
    pd.testing.assert_frame_equal(one.rows, two.rows)
    np.testing.assert_array_equal(one.fingerprints, two.fingerprints)
    assert one.tokens == two.tokens


def test_progress_ends_at_the_number_of_rows(dataset: Path) -> None:
    told: list[tuple[int, int]] = []
    profile(dataset, VOCABULARY, progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (29, 29)
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_a_file_that_breaks_the_contract_is_told_and_left_out(dataset: Path) -> None:
    table = pq.read_table(dataset / "val.parquet").drop(["writer"])
    pq.write_table(table, dataset / "val.parquet")
    (dataset / "test-a.parquet").write_bytes(b"PAR1 no more")
    found = profile(dataset, VOCABULARY)
    assert set(found.rows["file"]) == {"train"}
    assert found.files["schema_error"][0] == ""
    assert found.files["schema_error"][1] == "no column writer"
    assert "cannot be read" in found.files["schema_error"][2]


def test_schema_differences_are_named() -> None:
    fields = {column.name: column for column in SCHEMA}
    fields["height"] = pa.field("height", pa.string())
    fields["extra"] = pa.field("extra", pa.int8())
    difference = schema_difference(pa.schema(list(fields.values())))
    assert difference == "unknown column extra; column height is string, not int32"
    assert schema_difference(pa.schema(list(SCHEMA)[::-1])) != ""
    assert schema_difference(SCHEMA) == ""
