"""A profile of a dataset: a line of facts for each row, gathered without keeping the pictures.

One row group is in memory at a time (per process); what is kept of a row is a few hundred bytes.
"""

from __future__ import annotations

import multiprocessing
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from hmer.data.facts import FINGERPRINT_BYTES, RowFacts, row_facts
from hmer.data.schema import SCHEMA
from hmer.errors import HmerError

Progress = Callable[[int, int], None]
"""Called with the rows done so far and the rows in all."""

NOT_SPLITS = frozenset({"quarantine", "label_noise"})
"""Parquet files of a dataset that hold no expressions."""

PARALLEL_FROM = 8
"""Fewer row groups than this are read faster than processes start."""

# NaN where unknown
_NUMBERS = ("tokens", "depth", "height", "width", "strokes", "ink_share", "symbol_height")
_COUNTS = ("row", "label_hash", "image_hash")
_DTYPES = {
    name: "float64" if name in _NUMBERS else "int64" if name in _COUNTS else "str"
    for name in RowFacts._fields
}


@dataclass(slots=True)
class Profile:
    """Facts of a dataset.

    Attributes:
        rows: one line per row, columns as in `RowFacts`, in the order of files and rows.
        fingerprints: shape (rows, FINGERPRINT_BYTES); a coarse picture of each picture.
        tokens: how often each token occurs, per split (file).
        files: one line per Parquet file: `file, rows, schema_error` ("" where it agrees).
    """

    rows: pd.DataFrame
    fingerprints: NDArray[np.uint8]
    tokens: dict[str, Counter[str]]
    files: pd.DataFrame


@dataclass(slots=True)
class GroupFacts:
    """Facts of one row group, as in `Profile`; `row` counts from its start."""

    rows: pd.DataFrame
    fingerprints: NDArray[np.uint8]
    tokens: Counter[str]


def dataset_files(dataset: Path) -> list[Path]:
    """The Parquet files of the splits in `dataset`: train, val, then the test sets by name.

    Raises:
        HmerError: there is none.
    """
    paths = [path for path in dataset.glob("*.parquet") if path.stem not in NOT_SPLITS]
    if not paths:
        raise HmerError(f"{dataset}: holds no dataset (no *.parquet); run the ingest stage first")
    return sorted(paths, key=lambda path: split_order(path.stem))


def split_order(split: str) -> tuple[int, str]:
    """Sort key: train, val, the development sets by name, then the test sets."""
    return {"train": 0, "val": 1}.get(split, 2 if split.startswith("dev-") else 3), split


def profile(
    dataset: Path,
    vocabulary: Iterable[str],
    workers: int = 1,
    progress: Progress | None = None,
    dialect: str | None = None,
) -> Profile:
    """Read every row of a dataset once.

    Args:
        dataset: folder with `{train,val,test*}.parquet`.
        vocabulary: the tokens that labels may use.
        workers: processes; with 1 everything happens in this one.
        progress: told the rows done and the rows in all.
        dialect: of the captions; None not to compare them with the raw truths.

    Raises:
        HmerError: there is no dataset, or a process was killed.
    """
    paths = dataset_files(dataset)
    inspected = [_inspect(path) for path in paths]
    sound = [
        (path, rows, groups)
        for path, (_, rows, error, groups) in zip(paths, inspected, strict=True)
        if not error
    ]
    jobs = [(path, group) for path, _, groups in sound for group in range(groups)]
    total, done = sum(rows for _, rows, _ in sound), 0
    results: dict[int, GroupFacts] = {}
    for index, facts in _run(jobs, frozenset(vocabulary), dialect, workers):
        results[index] = facts
        done += len(facts.rows)
        if progress is not None:
            progress(done, total)
    files = pd.DataFrame(inspected, columns=["file", "rows", "schema_error", "groups"])
    return _assemble(jobs, results, files.drop(columns="groups"))


def _run(
    jobs: list[tuple[Path, int]], vocabulary: frozenset[str], dialect: str | None, workers: int
) -> Iterator[tuple[int, GroupFacts]]:
    if workers <= 1 or len(jobs) < PARALLEL_FROM:
        for index, (path, group) in enumerate(jobs):
            yield index, profile_group(path, group, vocabulary, dialect)
        return
    # Not forked: Arrow's threads do not survive a fork.
    pool = ProcessPoolExecutor(min(workers, len(jobs)), multiprocessing.get_context("spawn"))
    try:
        futures = {
            pool.submit(profile_group, path, group, vocabulary, dialect): index
            for index, (path, group) in enumerate(jobs)
        }
        for future in as_completed(futures):
            yield futures[future], future.result()
    except BrokenProcessPool as error:
        raise HmerError(
            "a process that read the dataset was killed, most likely for lack of memory; "
            "use fewer workers"
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def profile_group(
    path: Path, group: int, vocabulary: frozenset[str], dialect: str | None = None
) -> GroupFacts:
    """The facts of one row group of a file that keeps the data contract."""
    with pq.ParquetFile(path) as file:
        table = file.read_row_group(group, use_threads=False)
    columns = {name: table.column(name).to_pylist() for name in table.column_names}
    facts: list[RowFacts] = []
    fingerprints: list[bytes] = []
    tokens: Counter[str] = Counter()
    for index in range(table.num_rows):
        row = {name: values[index] for name, values in columns.items()}
        fact, fingerprint = row_facts(row, path.stem, index, vocabulary, dialect)
        facts.append(fact)
        fingerprints.append(fingerprint)
        tokens.update(token for token in row["tokens"] or () if token)
    # Columns, not tuples: a tenth of the memory, and of what a process has to send.
    return GroupFacts(_frame(facts), _fingerprints(fingerprints), tokens)


def _frame(facts: list[RowFacts]) -> pd.DataFrame:
    return pd.DataFrame(facts, columns=list(RowFacts._fields)).astype(_DTYPES)


def _fingerprints(prints: list[bytes]) -> NDArray[np.uint8]:
    return np.frombuffer(b"".join(prints), np.uint8).reshape(-1, FINGERPRINT_BYTES)


def _assemble(
    jobs: list[tuple[Path, int]], results: dict[int, GroupFacts], files: pd.DataFrame
) -> Profile:
    tokens: dict[str, Counter[str]] = {}
    seen: Counter[str] = Counter()
    for index, (path, _) in enumerate(jobs):
        group = results[index]
        group.rows["row"] += seen[path.stem]
        seen[path.stem] += len(group.rows)
        tokens.setdefault(path.stem, Counter()).update(group.tokens)
    groups = [results[index] for index in range(len(jobs))]
    rows = pd.concat([_frame([]), *(group.rows for group in groups)], ignore_index=True)
    fingerprints = [_fingerprints([]), *(group.fingerprints for group in groups)]
    return Profile(rows, np.concatenate(fingerprints), tokens, files)


def _inspect(path: Path) -> tuple[str, int, str, int]:
    """File, rows, how its schema departs from the contract, row groups."""
    try:
        with pq.ParquetFile(path) as file:
            groups, rows = file.metadata.num_row_groups, file.metadata.num_rows
            return path.stem, rows, schema_difference(file.schema_arrow), groups
    except (OSError, pa.ArrowException) as error:
        return path.stem, 0, f"cannot be read: {error}", 0


def schema_difference(schema: pa.Schema) -> str:
    """How `schema` departs from the data contract; "" where it does not."""
    if schema.equals(SCHEMA):
        return ""
    found = {column.name: column.type for column in schema}
    expected = {column.name: column.type for column in SCHEMA}
    differences = [f"no column {name}" for name in expected if name not in found]
    differences += [f"unknown column {name}" for name in found if name not in expected]
    differences += [
        f"column {name} is {found[name]}, not {kind}"
        for name, kind in expected.items()
        if name in found and found[name] != kind
    ]
    return "; ".join(differences) or "columns are in another order, or may be null"
