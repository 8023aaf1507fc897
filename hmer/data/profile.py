"""A profile of a dataset: a line of facts for each row, gathered without keeping the pictures.

One row group is in memory at a time (per process); what is kept of a row is a few hundred bytes.
"""

from __future__ import annotations

import multiprocessing
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
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

_NUMBERS = ("tokens", "depth", "height", "width", "strokes", "ink_share")


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
    """Facts of one row group; `row` counts from its start."""

    facts: list[RowFacts] = field(default_factory=list)
    fingerprints: list[bytes] = field(default_factory=list)
    tokens: Counter[str] = field(default_factory=Counter)


def dataset_files(dataset: Path) -> list[Path]:
    """The Parquet files of the splits in `dataset`: train, val, then the test sets by name.

    Raises:
        HmerError: there is none.
    """
    paths = [path for path in dataset.glob("*.parquet") if path.stem != "quarantine"]
    if not paths:
        raise HmerError(f"{dataset}: holds no dataset (no *.parquet); run the ingest stage first")
    return sorted(paths, key=lambda path: split_order(path.stem))


def split_order(split: str) -> tuple[int, str]:
    """Sort key: train, val, then the test sets by name."""
    return {"train": 0, "val": 1}.get(split, 2), split


def profile(
    dataset: Path,
    vocabulary: Iterable[str],
    workers: int = 1,
    progress: Progress | None = None,
) -> Profile:
    """Read every row of a dataset once.

    Args:
        dataset: folder with `{train,val,test*}.parquet`.
        vocabulary: the tokens that labels may use.
        workers: processes; with 1 everything happens in this one.
        progress: told the rows done and the rows in all.

    Raises:
        HmerError: there is no dataset.
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
    for index, facts in _run(jobs, frozenset(vocabulary), workers):
        results[index] = facts
        done += len(facts.facts)
        if progress is not None:
            progress(done, total)
    files = pd.DataFrame(inspected, columns=["file", "rows", "schema_error", "groups"])
    return _assemble(jobs, results, files.drop(columns="groups"))


def _run(
    jobs: list[tuple[Path, int]], vocabulary: frozenset[str], workers: int
) -> Iterator[tuple[int, GroupFacts]]:
    if workers <= 1 or len(jobs) <= 1:
        for index, (path, group) in enumerate(jobs):
            yield index, profile_group(path, group, vocabulary)
        return
    # Not forked: Arrow's threads do not survive a fork.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(jobs)), mp_context=context) as pool:
        futures = {
            pool.submit(profile_group, path, group, vocabulary): index
            for index, (path, group) in enumerate(jobs)
        }
        for future in as_completed(futures):
            yield futures[future], future.result()


def profile_group(path: Path, group: int, vocabulary: frozenset[str]) -> GroupFacts:
    """The facts of one row group of a file that keeps the data contract."""
    with pq.ParquetFile(path) as file:
        table = file.read_row_group(group, use_threads=False)
    columns = {name: table.column(name).to_pylist() for name in table.column_names}
    result = GroupFacts()
    for index in range(table.num_rows):
        row = {name: values[index] for name, values in columns.items()}
        facts, fingerprint = row_facts(row, path.stem, index, vocabulary)
        result.facts.append(facts)
        result.fingerprints.append(fingerprint)
        result.tokens.update(token for token in row["tokens"] or () if token)
    return result


def _assemble(
    jobs: list[tuple[Path, int]], results: dict[int, GroupFacts], files: pd.DataFrame
) -> Profile:
    facts: list[RowFacts] = []
    prints: list[bytes] = []
    tokens: dict[str, Counter[str]] = {}
    seen: Counter[str] = Counter()
    for index, (path, _) in enumerate(jobs):
        group = results[index]
        facts += [fact._replace(row=seen[path.stem] + fact.row) for fact in group.facts]
        prints += group.fingerprints
        tokens.setdefault(path.stem, Counter()).update(group.tokens)
        seen[path.stem] += len(group.facts)
    rows = pd.DataFrame(facts, columns=list(RowFacts._fields))
    for name in _NUMBERS:
        rows[name] = rows[name].astype("float64")  # NaN for what could not be had
    fingerprints = np.frombuffer(b"".join(prints), np.uint8).reshape(-1, FINGERPRINT_BYTES)
    return Profile(rows, fingerprints, tokens, files)


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
