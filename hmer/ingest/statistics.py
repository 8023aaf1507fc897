"""Statistics of datasets for the gate: profile of rows, overlap of splits, drift."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import ArrayLike, NDArray

from hmer.data.schema import SCHEMA
from hmer.errors import HmerError
from hmer.ingest.pool import CHUNK_BYTES, ordered_map
from hmer.ingest.row_checks import FACTS, FINGERPRINT_BYTES, Facts, row_facts

Progress = Callable[[int, int], None]
"""Called with the rows done so far and the rows in all."""

NOT_SPLITS = frozenset({"quarantine", "label_noise"})
"""Parquet files of a dataset that hold no expressions."""

PARALLEL_FROM = 8
"""Fewer row groups than this are read faster than processes start."""


@dataclass(slots=True)
class Profile:
    """Facts of a dataset.

    Attributes:
        rows: one line per row, columns as in `FACTS`, in the order of files and rows.
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
        raise HmerError(f"{dataset}: holds no dataset (no *.parquet); ingest the data first")
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
        progress: called with the rows done and the rows in all.
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
    read = partial(profile_group, vocabulary=frozenset(vocabulary), dialect=dialect)
    results = []
    for facts in ordered_map(read, jobs, workers if len(jobs) >= PARALLEL_FROM else 1, _alone):
        results.append(facts)
        done += len(facts.rows)
        if progress is not None:
            progress(done, total)
    files = pd.DataFrame(inspected, columns=["file", "rows", "schema_error", "groups"])
    return _assemble(jobs, results, files.drop(columns="groups"))


def _alone(job: tuple[Path, int]) -> int:
    """A row group is work enough for a message to a process of its own."""
    return CHUNK_BYTES


def profile_group(
    job: tuple[Path, int], vocabulary: frozenset[str], dialect: str | None = None
) -> GroupFacts:
    """The facts of one row group of a file that keeps the data contract."""
    path, group = job
    with pq.ParquetFile(path) as file:
        table = file.read_row_group(group, use_threads=False)
    columns = {name: table.column(name).to_pylist() for name in table.column_names}
    facts: list[Facts] = []
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


def _frame(facts: list[Facts]) -> pd.DataFrame:
    return pd.DataFrame(facts, columns=list(FACTS)).astype(FACTS)


def _fingerprints(prints: list[bytes]) -> NDArray[np.uint8]:
    return np.frombuffer(b"".join(prints), np.uint8).reshape(-1, FINGERPRINT_BYTES)


def _assemble(
    jobs: list[tuple[Path, int]], groups: list[GroupFacts], files: pd.DataFrame
) -> Profile:
    tokens: dict[str, Counter[str]] = {}
    seen: Counter[str] = Counter()
    for (path, _), group in zip(jobs, groups, strict=True):
        group.rows["row"] += seen[path.stem]
        seen[path.stem] += len(group.rows)
        tokens.setdefault(path.stem, Counter()).update(group.tokens)
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


def upstream(split: str) -> tuple[str, ...]:
    """The splits that a model has learnt from or been chosen on before it meets `split`."""
    return {"train": (), "val": ("train",)}.get(split, ("train", "val"))


def overlap(profile: Profile, near: float) -> pd.DataFrame:
    """What each row shares with another, named by that other; "" where with none.

    Args:
        profile: the facts of the rows.
        near: fingerprints at least this similar (0 to 1), of one label, are near duplicates.

    Returns:
        One line per row of `profile.rows`, same order, columns:
        `id_repeats` (an earlier row of the split with this id), `repeats` (an earlier row of the
        split with the same picture), `contradicts` (an earlier row of any split with the same
        picture and another label), `writer_leak` (writer who is upstream too), `image_leak`
        (row upstream with the same picture), `near_leak` (row upstream with the same label and a
        nearly equal picture), `label_seen` (bool: the label is in train). Rows and
        writers are named `split/name`.
    """
    rows = profile.rows
    names = rows["file"] + "/" + rows["id"]
    image_leak = _upstream(rows, "image_hash", names)
    pictured, in_train = rows["image_hash"] != 0, rows["file"] == "train"
    labels = rows.groupby("image_hash")["label_hash"]
    columns = {
        "id_repeats": _first(names, rows, ["file", "id"]).where(
            rows.duplicated(["file", "id"]) & (rows["id"] != ""), ""
        ),
        "repeats": _first(names, rows, ["file", "image_hash"]).where(
            rows.duplicated(["file", "image_hash"]) & pictured, ""
        ),
        "contradicts": _first(names, rows, ["image_hash"]).where(
            pictured & (rows["label_hash"] != labels.transform("first")), ""
        ),
        "writer_leak": _upstream(rows, "writer", rows["file"] + "/" + rows["writer"]),
        "image_leak": image_leak,
        "near_leak": _near(rows, profile.fingerprints, names, image_leak, near),
        "label_seen": ~in_train & rows["label_hash"].isin(rows.loc[in_train, "label_hash"]),
    }
    return pd.DataFrame(columns, index=rows.index)


def similarity(one: NDArray[np.uint8], many: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Correlation of fingerprints, (b,) with (n, b): 1 for equal ones, 0 where one is flat."""
    return _standardised(many) @ _standardised(one)


def _standardised(fingerprints: NDArray[np.uint8]) -> NDArray[np.float32]:
    values = fingerprints.astype(np.float32)
    values -= values.mean(axis=-1, keepdims=True)
    length = np.linalg.norm(values, axis=-1, keepdims=True)
    return np.asarray(values / np.maximum(length, 1e-6), np.float32)


def _first(names: pd.Series[str], rows: pd.DataFrame, keys: list[str]) -> pd.Series[str]:
    """For each row the name of the first one with the same values of all keys."""
    return names.groupby([rows[key] for key in keys]).transform("first")


def _upstream(rows: pd.DataFrame, key: str, names: pd.Series[str]) -> pd.Series[str]:
    """The first row upstream with the same value of `key`, where it has one; "" where not."""
    found = pd.Series("", rows.index, dtype="str")
    for split in ("val", "train"):  # the latter wins
        first = names[rows["file"] == split].groupby(rows[key]).first()
        later = np.array([split in upstream(file) for file in rows["file"]], bool)
        owner = rows[key].map(first.drop(0, errors="ignore")).where(later)
        found = owner.astype("str").fillna(found)
    return found


def _near(
    rows: pd.DataFrame,
    fingerprints: NDArray[np.uint8],
    names: pd.Series[str],
    same: pd.Series[str],
    near: float,
) -> list[str]:
    """Only pictures of one label are compared: the groups stay small.

    A label of one token is passed over: two hands' `1` are as alike as two copies.
    """
    groups: dict[tuple[str, int], list[int]] = defaultdict(list)
    columns = (rows[name] for name in ("file", "label_hash", "image_hash", "tokens"))
    for index, (file, label, image, length) in enumerate(zip(*columns, strict=True)):
        if image and length > 1:
            groups[file, label].append(index)
    result = [""] * len(rows)
    for (file, label), members in groups.items():
        others = [index for up in upstream(file) for index in groups.get((up, label), ())]
        if not others:
            continue
        known = fingerprints[others]
        for index in members:
            if same[index]:
                continue
            scores = similarity(fingerprints[index], known)
            best = int(scores.argmax())
            if scores[best] >= near:
                result[index] = names[others[best]]
    return result


def jensen_shannon(first: Counter[str], second: Counter[str]) -> float:
    """Jensen-Shannon divergence in bits: 0 for equal distributions, 1 for disjoint ones.

    Lin, Divergence measures based on the Shannon entropy, IEEE Trans. Inf. Theory 37 (1991).

    Raises:
        ValueError: a counter is empty.
    """
    names = sorted(set(first) | set(second))
    p = np.array([first[name] for name in names], np.float64)
    q = np.array([second[name] for name in names], np.float64)
    if not p.sum() or not q.sum():
        raise ValueError("an empty distribution has no divergence")
    p, q = p / p.sum(), q / q.sum()
    middle = (p + q) / 2
    terms = [side[side > 0] @ np.log2(side[side > 0] / middle[side > 0]) for side in (p, q)]
    # Rounded: sums of logarithms may differ in the last bits from one machine to the next.
    return round(max(0.0, float(sum(terms)) / 2), 6)


def population_stability(reference: ArrayLike, sample: ArrayLike, bins: int = 10) -> float:
    """Population stability index of `sample` over the quantile bins of `reference`.

    Usual reading: under 0.1 stable, above 0.25 shifted. Half a count is added to each bin, so
    that an empty one does not make it infinite. Values that are no numbers are left out.

    Raises:
        ValueError: one of the two is empty.
    """
    known = np.asarray(reference, np.float64)
    known = known[np.isfinite(known)]
    new = np.asarray(sample, np.float64)
    new = new[np.isfinite(new)]
    if not len(known) or not len(new):
        raise ValueError("an empty sample has no stability index")
    edges = np.unique(np.quantile(known, np.linspace(0, 1, bins + 1)[1:-1]))
    p, q = (
        np.bincount(np.searchsorted(edges, values, side="left"), minlength=len(edges) + 1) + 0.5
        for values in (known, new)
    )
    p, q = p / p.sum(), q / q.sum()
    return round(float((p - q) @ np.log(p / q)), 6)
