"""The gate: let Great Expectations assert on what is known of a dataset."""

from __future__ import annotations

import math
import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pandas as pd

from pipeline.gate.evidence import Evidence
from pipeline.gate.expectations import Expectation, ValidateConfig, expectations
from pipeline.gate.verdict import Failure, Finding, Verdict, verdict_of
from pipeline.gate.wording import WORDING

if TYPE_CHECKING:
    from great_expectations.core import ExpectationValidationResult

_PROBES = {
    "label": "label_parses",
    "image": "image_decodes",
    "ink": "ink_agrees",
    "boxes": "boxes_inside",
    "caption": "caption_agrees",
    "scale": "symbol_size",
}
"""Which expectation rests on which probe of `hmer.ingest.row_checks`."""


def judge(evidence: Evidence, config: ValidateConfig) -> Verdict:
    """Assert every expectation on the evidence."""
    return judge_table(evidence, config, expectations(config))


def judge_table(evidence: Evidence, config: ValidateConfig, table: list[Expectation]) -> Verdict:
    """Assert the expectations of `table`; findings keep its order."""
    findings: dict[str, Finding] = {}
    for suite, frame in evidence.frames.items():
        chosen = [expectation for expectation in table if expectation.suite == suite]
        for expectation, result in _assert(frame, chosen):
            finding = _finding(expectation, result, frame, config.listed)
            if expectation.spares_few and _few(finding, len(evidence.quarantine), config):
                finding = finding.model_copy(update={"severity": "warning"})
            findings[expectation.name] = finding
    _blame_probes(findings, evidence.frames["samples"], config.listed)
    files = evidence.profile.files
    rows = dict(zip(files["file"].map(str), files["rows"].map(int), strict=True))
    ordered = [findings[expectation.name] for expectation in table]
    return verdict_of(ordered, rows, len(evidence.quarantine))


def load_great_expectations() -> None:
    """Import Great Expectations, which takes seconds; later imports of it are free."""
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    import_module("great_expectations")


def _assert(
    frame: pd.DataFrame, table: list[Expectation]
) -> list[tuple[Expectation, ExpectationValidationResult]]:
    """Run one suite through Great Expectations."""
    load_great_expectations()
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig
    from great_expectations.expectations.core.expect_column_values_to_be_between import (
        ExpectColumnValuesToBeBetween,
    )
    from great_expectations.expectations.core.expect_column_values_to_be_in_set import (
        ExpectColumnValuesToBeInSet,
    )

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    source = context.data_sources.add_pandas("profile")
    definition = source.add_dataframe_asset("rows").add_batch_definition_whole_dataframe("all")
    suite = gx.ExpectationSuite("suite")
    by_name = {}
    for row in table:
        by_name[row.name] = row
        common: dict[str, Any] = {
            "column": row.column,
            "mostly": 1 - row.tolerated,
            "severity": row.severity,
            "meta": {"name": row.name},
        }
        suite.add_expectation(
            ExpectColumnValuesToBeBetween(min_value=row.low, max_value=row.high, **common)
            if row.bounded
            else ExpectColumnValuesToBeInSet(value_set=[""], **common)
        )
    batch = definition.get_batch(batch_parameters={"dataframe": frame})
    # The default index: failures are positions in the frame.
    results = batch.validate(suite, result_format={"result_format": "COMPLETE"}).results
    return [(by_name[_name(result)], result) for result in results]


def _name(result: ExpectationValidationResult) -> str:
    """Results come in another order than expectations; their meta data tells which is which."""
    if result.expectation_config is None or result.expectation_config.meta is None:
        raise TypeError("Great Expectations gave a result without its expectation")
    return str(result.expectation_config.meta["name"])


def _finding(
    expectation: Expectation,
    result: ExpectationValidationResult,
    frame: pd.DataFrame,
    listed: int,
) -> Finding:
    error = _exception(result.exception_info)
    body = result.result or {}
    positions = sorted(int(position) for position in body.get("unexpected_index_list") or ())
    if not error and len(positions) != body["unexpected_count"]:
        error = "Great Expectations did not say which rows failed"
    return Finding(
        suite=expectation.suite,
        name=expectation.name,
        title=WORDING[expectation.name].title,
        severity=expectation.severity,
        success=bool(result.success) and not error,
        checked=int(body.get("element_count", 0)) - int(body.get("missing_count") or 0),
        failed=len(positions),
        tolerated=expectation.tolerated,
        threshold=expectation.threshold,
        remedy=WORDING[expectation.name].remedy,
        failures=tuple(
            _failure(frame.iloc[position], expectation.column) for position in positions[:listed]
        ),
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


def _blame_probes(findings: dict[str, Finding], samples: pd.DataFrame, listed: int) -> None:
    """Mark the checks whose probe raised on some row: of those rows nothing is known."""
    raised = samples[samples["broken"] != ""]
    for probe, name in _PROBES.items():
        rows = raised[raised["broken"].str.contains(rf"(?:^|; ){probe}: ")]
        if name not in findings or rows.empty:
            continue
        failures = tuple(_failure(row, "broken") for _, row in rows.iloc[:listed].iterrows())
        findings[name] = findings[name].model_copy(
            update={
                "success": False,
                "error": f"raised on {len(rows)} rows, first {failures[0].id}: {failures[0].value}",
                "failed": len(rows),
                "failures": failures,
            }
        )
