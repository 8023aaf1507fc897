"""Profiling of whole files: order, splits of the work, schema."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from hmer.data.schema import SCHEMA, Sample, sample_row
from hmer.errors import HmerError
from hmer.ingest import statistics as module
from hmer.ingest.row_checks import FINGERPRINT_BYTES
from hmer.ingest.statistics import (
    Profile,
    dataset_files,
    jensen_shannon,
    overlap,
    population_stability,
    profile,
    schema_difference,
    similarity,
)
from hmer.ink.images import encode_png

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
    with pytest.raises(HmerError, match="ingest the data first"):
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


COLUMNS = ["file", "id", "writer", "label_hash", "image_hash", "tokens"]


def made(
    rows: Sequence[tuple[str, str, str | None, int, int, int]],
    fingerprints: NDArray[np.uint8] | None = None,
) -> Profile:
    if fingerprints is None:
        rng = np.random.default_rng(0)
        fingerprints = rng.integers(0, 256, (len(rows), FINGERPRINT_BYTES), np.uint8)
    return Profile(pd.DataFrame(rows, columns=COLUMNS), fingerprints, {}, pd.DataFrame())


def column(profile: Profile, name: str) -> list[str]:
    return list(overlap(profile, 0.95)[name])


def test_writers_on_both_sides() -> None:
    profile = made(
        [
            ("train", "a", "anna", 1, 11, 3),
            ("val", "b", "anna", 2, 12, 3),
            ("val", "c", "bert", 3, 13, 3),
            ("test-1", "d", "bert", 4, 14, 3),
            ("test-1", "e", "carl", 5, 15, 3),
            ("test-2", "f", "carl", 6, 16, 3),  # two test sets may share a writer
            ("train", "g", None, 7, 17, 3),
            ("val", "h", None, 8, 18, 3),  # nobody knows
        ]
    )
    assert column(profile, "writer_leak") == ["", "train/anna", "", "val/bert", *[""] * 4]


def test_pictures_on_both_sides_and_within() -> None:
    profile = made(
        [
            ("train", "a", "w", 1, 11, 3),
            ("train", "b", "w", 1, 11, 3),
            ("val", "c", "w", 1, 11, 3),
            ("test", "d", "w", 2, 11, 3),
            ("test", "e", "w", 2, 0, 3),  # no picture
            ("test", "f", "w", 2, 0, 3),
        ]
    )
    assert column(profile, "image_leak") == ["", "", "train/a", "train/a", "", ""]
    assert column(profile, "repeats") == ["", "train/a", "", "", "", ""]
    assert column(profile, "contradicts") == ["", "", "", "train/a", "", ""]


def test_ids_repeat_within_a_split_only() -> None:
    rows = [("train", "a", "w", n, n, 3) for n in (1, 2)] + [("val", "a", "w", 3, 3, 3)]
    assert column(made(rows), "id_repeats") == ["", "train/a", ""]


def test_labels_seen_in_train() -> None:
    profile = made(
        [
            ("train", "a", "w", 1, 1, 3),
            ("train", "b", "w", 1, 2, 3),
            ("val", "c", "v", 1, 3, 3),
            ("test", "d", "u", 2, 4, 3),
        ]
    )
    assert list(overlap(profile, 0.95)["label_seen"]) == [False, False, True, False]


def test_near_duplicates_need_the_same_label_and_an_earlier_split() -> None:
    rng = np.random.default_rng(1)
    picture = rng.integers(20, 230, FINGERPRINT_BYTES).astype(np.uint8)
    noisy = picture + rng.integers(0, 20, FINGERPRINT_BYTES).astype(np.uint8)
    other = rng.integers(0, 256, FINGERPRINT_BYTES).astype(np.uint8)
    profile = made(
        [
            ("train", "a", "w", 1, 11, 3),
            ("train", "b", "w", 1, 12, 3),  # near, but of the same split
            ("val", "c", "v", 1, 13, 3),
            ("val", "d", "v", 1, 14, 3),  # the same label, another hand
            ("val", "e", "v", 2, 15, 3),  # near, another label
            ("val", "f", "v", 1, 11, 3),  # the very same picture: told as image_leak
        ],
        np.stack([other, picture, noisy, rng.permutation(picture), noisy, other]),
    )
    assert column(profile, "near_leak") == ["", "", "train/b", "", "", ""]


def test_single_tokens_are_never_near_duplicates() -> None:
    rows = [("train", "a", "w", 1, 11, 1), ("val", "b", "v", 1, 12, 1)]
    prints = np.tile(np.arange(FINGERPRINT_BYTES).astype(np.uint8), (2, 1))
    assert column(made(rows, prints), "near_leak") == ["", ""]


def test_similarity_is_the_correlation() -> None:
    rng = np.random.default_rng(2)
    one, many = (rng.integers(0, 256, shape).astype(np.uint8) for shape in (50, (4, 50)))
    expected = [np.corrcoef(one, other)[0, 1] for other in many]
    assert similarity(one, many) == pytest.approx(expected, abs=1e-5)
    assert similarity(one, one[None])[0] == pytest.approx(1)
    assert similarity(np.full(50, 9, np.uint8), many) == pytest.approx([0] * 4)


counts = st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 50), min_size=1).map(Counter)


def test_jensen_shannon_by_hand() -> None:
    assert jensen_shannon(Counter(a=1), Counter(a=7)) == 0
    assert jensen_shannon(Counter(a=1), Counter(b=1)) == 1
    # p = (1, 0), q = (1/2, 1/2), m = (3/4, 1/4)
    expected = (math.log2(4 / 3) + 0.5 * math.log2(2 / 3) + 0.5 * math.log2(2)) / 2
    assert jensen_shannon(Counter(a=3), Counter(a=5, b=5)) == pytest.approx(expected, abs=1e-6)


@given(counts, counts)
def test_jensen_shannon_is_symmetric_and_bounded(one: Counter[str], two: Counter[str]) -> None:
    value = jensen_shannon(one, two)
    assert 0 <= value <= 1
    assert value == pytest.approx(jensen_shannon(two, one), abs=1e-6)


def test_population_stability_by_hand() -> None:
    # Two bins, cut at the median 1; half a count is added to each of them.
    p, q = np.array([2.5, 2.5]) / 5, np.array([1.5, 3.5]) / 5
    expected = float(((p - q) * np.log(p / q)).sum())
    found = population_stability([0, 1, 2, 3], [0, 2, 2, 3], bins=2)
    assert found == pytest.approx(expected, abs=1e-6)


def test_population_stability_sees_a_shift_and_no_other() -> None:
    rng = np.random.default_rng(0)
    reference, same = rng.normal(0, 1, 5000), rng.normal(0, 1, 500)
    assert population_stability(reference, same) < 0.1
    assert population_stability(reference, same + 1) > 0.25
    assert population_stability(reference, np.append(same, np.nan)) < 0.1
    assert population_stability(np.ones(9), np.ones(9)) == 0


def test_empty_distributions_are_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        jensen_shannon(Counter(), Counter(a=1))
    with pytest.raises(ValueError, match="empty"):
        population_stability([1.0], [float("nan")])
