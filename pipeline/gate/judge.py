"""The data gate: tables of facts about a dataset, and Great Expectations' verdict on them."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from hmer.data.schema import read_quarantine
from hmer.errors import HmerError
from hmer.ingest.statistics import (
    Profile,
    Progress,
    jensen_shannon,
    overlap,
    population_stability,
    profile,
    split_order,
)
from hmer.latex.vocabulary import Vocabulary
from pipeline.gate.expectations import (
    CHECKS,
    MIN_DRIFT_ROWS,
    NEAR,
    Expectation,
    Suite,
    ValidateConfig,
    expectations,
)
from pipeline.gate.verdict import Failure, Finding, Verdict, verdict_of

if TYPE_CHECKING:
    from great_expectations.core import ExpectationValidationResult
    from great_expectations.datasource.fluent.interfaces import Batch


LISTED = 100
"""Failing rows of an expectation that the verdict names, at most."""


def judge(evidence: Evidence, config: ValidateConfig, table: Sequence[Expectation] = ()) -> Verdict:
    """Assert the expectations of `table`, by default all of them; findings keep its order."""
    table = table or expectations(config)
    batches = _batches({row.suite: evidence.frames[row.suite] for row in table})
    findings = []
    for row in table:
        finding = _finding(row, _validated(batches[row.suite], row), evidence.frames[row.suite])
        if row.spares_few and _few(finding, len(evidence.quarantine), config):
            finding = finding.model_copy(update={"severity": "warning"})
        findings.append(finding)
    files = evidence.profile.files
    rows = {str(file): int(n) for file, n in zip(files["file"], files["rows"], strict=True)}
    return verdict_of(findings, rows, len(evidence.quarantine))


def load_great_expectations() -> None:
    """Import Great Expectations, which takes seconds; later imports of it are free."""
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    import_module("great_expectations")


def _batches(frames: Mapping[Suite, pd.DataFrame]) -> dict[Suite, Batch]:
    """The tables as Great Expectations takes them."""
    load_great_expectations()
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    source = context.data_sources.add_pandas("profile")
    found = {}
    for suite, frame in frames.items():
        definition = source.add_dataframe_asset(suite).add_batch_definition_whole_dataframe("all")
        found[suite] = definition.get_batch(batch_parameters={"dataframe": frame})
    return found


def _validated(batch: Batch, row: Expectation) -> ExpectationValidationResult:
    from great_expectations.expectations.core.expect_column_values_to_be_between import (
        ExpectColumnValuesToBeBetween,
    )
    from great_expectations.expectations.core.expect_column_values_to_be_in_set import (
        ExpectColumnValuesToBeInSet,
    )

    common: dict[str, Any] = {"column": row.column, "mostly": 1 - row.tolerated}
    asserted = (
        ExpectColumnValuesToBeBetween(min_value=row.low, max_value=row.high, **common)
        if row.bounded
        else ExpectColumnValuesToBeInSet(value_set=[""], **common)
    )
    # The default index: failures are positions in the frame.
    return batch.validate(asserted, result_format={"result_format": "COMPLETE"})


def _finding(
    expectation: Expectation, result: ExpectationValidationResult, frame: pd.DataFrame
) -> Finding:
    error = _exception(result.exception_info)
    body = result.result or {}
    positions = sorted(int(position) for position in body.get("unexpected_index_list") or ())
    if not error and len(positions) != body["unexpected_count"]:
        error = "Great Expectations did not say which rows failed"
    column = expectation.column
    failures = tuple(_failure(frame.iloc[position], column) for position in positions[:LISTED])
    if expectation.name == CHECKS and failures:
        error = f"raised on {len(positions)} rows, first {failures[0].id}: {failures[0].value}"
    return Finding(
        suite=expectation.suite,
        name=expectation.name,
        title=expectation.title,
        severity=expectation.severity,
        success=bool(result.success) and not error,
        checked=int(body.get("element_count", 0)) - int(body.get("missing_count") or 0),
        failed=len(positions),
        tolerated=expectation.tolerated,
        threshold=expectation.threshold,
        remedy=expectation.remedy,
        failures=failures,
        error=error,
    )


def _few(finding: Finding, quarantined: int, config: ValidateConfig) -> bool:
    """Whether so little is wrong that it is no reason to refuse the rest of a dataset."""
    if finding.suite == "dataset":  # its one row fails for what the quarantine holds
        return quarantined <= config.few_rows
    return finding.failed <= max(config.few_rows, config.few_share * finding.checked)


def _exception(info: dict[str, Any] | None) -> str:
    """The exception of a check that could not be carried out, "" if it could.

    Great Expectations keeps it flat, or, where a metric failed, under the name of the metric.
    """
    if not info:
        return ""
    found = [info] if "raised_exception" in info else list(info.values())
    messages = [str(one["exception_message"]) for one in found if one.get("raised_exception")]
    return "; ".join(dict.fromkeys(messages))


def _failure(row: pd.Series[Any], column: str) -> Failure:
    value = row[column]
    if isinstance(value, float):
        value = "" if math.isnan(value) else f"{value:.6g}"
    if "file" not in row.index:
        return Failure(id=str(row["id"]), value=str(value))
    name = str(row["id"]) or f"row {row['row']} of {row['file']}"
    return Failure(id=name, value=str(value), file=str(row["file"]), row=int(row["row"]))


@dataclass(slots=True)
class Evidence:
    """The tables that expectations assert on, one per suite, and the profile behind them."""

    profile: Profile
    frames: dict[Suite, pd.DataFrame]
    quarantine: pd.DataFrame  # id, file, reason


def gather(dataset: Path, config: ValidateConfig, progress: Progress | None = None) -> Evidence:
    """Read a dataset and compute everything that is asserted on.

    Raises:
        HmerError: there is no dataset, or its vocabulary or quarantine cannot be read.
    """
    vocabulary = _vocabulary(dataset / "vocabulary.json")
    entries = read_quarantine(dataset / "quarantine.parquet")
    quarantine = pd.DataFrame(map(asdict, entries), columns=["id", "file", "reason"], dtype="str")
    facts = profile(dataset, vocabulary.tokens, config.workers, progress, vocabulary.name)
    samples = pd.concat([facts.rows, overlap(facts, NEAR)], axis=1)
    samples["split_error"] = [
        "" if split == file else f"says {split}, lies in {file}"
        for split, file in zip(samples["split"], samples["file"], strict=True)
    ]
    samples["noise"] = _noise(dataset / "label_noise.parquet", samples)
    refused = len(quarantine) / max(1, len(samples) + len(quarantine))
    frames: dict[Suite, pd.DataFrame] = {
        "dataset": pd.DataFrame({"id": ["dataset"], "quarantine_share": [refused]}),
        "files": facts.files.rename(columns={"file": "id"}),
        "splits": split_frame(samples, facts.tokens, config),
        "samples": samples,
        "symbols": symbol_frame(vocabulary.tokens, facts.tokens),
    }
    return Evidence(facts, frames, quarantine)


def _vocabulary(path: Path) -> Vocabulary:
    try:
        return Vocabulary.from_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise HmerError(f"{path}: {error.strerror}; run the ingest stage first") from error
    except (HmerError, UnicodeDecodeError) as error:
        raise HmerError(f"{path}: {error}; run the ingest stage again") from error


def _noise(path: Path, samples: pd.DataFrame) -> list[str]:
    """What ingestion found to contradict itself in the annotations of each row, "" for nothing."""
    entries = read_quarantine(path) if path.is_file() else ()
    found = {(entry.split, entry.id): entry.reason for entry in entries}
    return [found.get(key, "") for key in zip(samples["split"], samples["id"], strict=True)]


def split_frame(
    samples: pd.DataFrame, tokens: dict[str, Counter[str]], config: ValidateConfig
) -> pd.DataFrame:
    """One line per split that is there or must be: counts, overlap with and drift from train."""
    groups = {str(name): group for name, group in samples.groupby("file", sort=False)}
    names = sorted({"train", "val", *groups}, key=split_order)
    if config.needs_test and not any(name.startswith("test") for name in names):
        names.append("test")
    train = groups.get("train", samples.iloc[:0])
    lines = []
    for name in names:
        rows = groups.get(name, samples.iloc[:0])
        wanted = config.min_train_rows if name == "train" else config.min_rows
        line = {
            "id": name,
            "rows": len(rows),
            "too_few": f"{len(rows)} rows, {wanted} wanted" if len(rows) < wanted else "",
            "writers": rows["writer"].nunique(),
            "unknown_writers": round(float(rows["writer"].isna().mean()), 6),
            "labels": rows["label_hash"].nunique(),
            "label_overlap": math.nan
            if name == "train"
            else round(float(rows["label_seen"].mean()), 6),
        }
        drift = _drift(train, rows, tokens.get("train"), tokens.get(name))
        lines.append(line | drift)
    frame = pd.DataFrame(lines)
    numbers = [column for column in frame.columns if column not in ("id", "too_few")]
    return frame.astype(dict.fromkeys(numbers, "float64"))


def _drift(
    train: pd.DataFrame,
    rows: pd.DataFrame,
    train_tokens: Counter[str] | None,
    tokens: Counter[str] | None,
) -> dict[str, float | None]:
    if rows is train or not train_tokens or not tokens or len(rows) < MIN_DRIFT_ROWS:
        return {"symbol_drift": None, "length_drift": None, "size_drift": None}
    height, width, length = (
        population_stability(train[name], rows[name]) for name in ("height", "width", "tokens")
    )
    return {
        "symbol_drift": jensen_shannon(train_tokens, tokens),
        "length_drift": length,
        "size_drift": max(height, width),
    }


def symbol_frame(vocabulary: Iterable[str], tokens: dict[str, Counter[str]]) -> pd.DataFrame:
    """One line per token of the vocabulary or the labels: `needed` is its count in train where
    another split uses it, else NaN."""
    train = tokens.get("train", Counter())
    later = sum((counts for split, counts in tokens.items() if split != "train"), Counter())
    names = sorted({*vocabulary, *train, *later})
    needed = [float(train[name]) if later[name] else math.nan for name in names]
    return pd.DataFrame({"id": names, "needed": needed})
