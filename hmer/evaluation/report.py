"""One evaluation as a folder: numbers for DVC, tables, pictures, and a page to read.

The page is static and self-contained: no scripts, no network, pictures beside it. Nothing that
changes from run to run is written, so equal evaluations give equal bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from jinja2 import Environment, PackageLoader, StrictUndefined

from hmer.evaluation.breakdown import Confusion, ConfusionKind
from hmer.evaluation.calibration import KEPT, TRUSTED_RISK
from hmer.evaluation.diff import mark
from hmer.evaluation.figures.attention import spatial_sheet, token_sheet
from hmer.evaluation.figures.bars import bucket_bars
from hmer.evaluation.figures.calibration import calibration_plot
from hmer.evaluation.figures.canvas import to_png
from hmer.evaluation.figures.samples import sample_sheet
from hmer.evaluation.metrics import MetricsSummary
from hmer.evaluation.prediction import Prediction
from hmer.evaluation.result import EvaluationResult, Findings, ReportConfig, draw_samples, find
from hmer.evaluation.robustness.trials import TRIALS
from hmer.evaluation.tables import worst_first, write_tables

OPTIONAL = ("samples_*.png", "attention_*.png", "occlusion.*", TRIALS, "*-*.csv", "*-*.png")
"""Files that a report has only where there is something to show."""


def write_report(
    out_dir: Path, result: EvaluationResult, config: ReportConfig | None = None
) -> MetricsSummary:
    """Write the whole report into `out_dir`, which is created if need be.

    Files: index.html, metrics.json, predictions.parquet, errors.csv, by_length.csv, by_depth.csv,
    confusions.csv, calibration.csv, risk_coverage.csv, PNG figures, occlusion.csv and
    trials.parquet (if measured), and the tables and figures of all sections.

    Raises:
        ValueError: there are no predictions, or an id comes twice.
    """
    config = config or ReportConfig()
    findings = find(result.predictions, config)
    out_dir.mkdir(parents=True, exist_ok=True)
    for pattern in OPTIONAL:  # a report with fewer pictures must not keep those of an earlier one
        for old in out_dir.glob(pattern):
            old.unlink()
    write_tables(out_dir, result, findings)
    figures = _figures(result, findings, config)
    for name, png in figures.items():
        (out_dir / name).write_bytes(png)
    page = render_page(result, findings, sorted(figures), config)
    (out_dir / "index.html").write_text(page, encoding="utf-8")
    return findings.metrics


def _figures(
    result: EvaluationResult, findings: Findings, config: ReportConfig
) -> dict[str, bytes]:
    """PNG bytes by file name."""
    figures = {
        "by_length.png": bucket_bars(findings.lengths, "By caption length", "tokens in the truth"),
        "by_depth.png": bucket_bars(findings.depths, "By nesting depth", "nested groups"),
        "calibration.png": calibration_plot(findings.reliability, findings.risk),
    }
    for name, correct in (("samples_good.png", True), ("samples_bad.png", False)):
        drawn = draw_samples(result.predictions, config.samples, config.seed, correct=correct)
        if drawn:
            title = f"{'Right' if correct else 'Wrong'}, drawn at random"
            figures[name] = sample_sheet(drawn, title)
    for index, prediction in enumerate(_with_tokens(result)[: config.attention], start=1):
        figures[f"attention_{index:02}.png"] = token_sheet(prediction)
    spatial = [
        prediction
        for prediction in result.predictions
        if prediction.image is not None and prediction.spatial_attention is not None
    ][: config.attention]
    if spatial:
        figures["attention_spatial.png"] = spatial_sheet(spatial, "Mask & Match attention")
    for section in result.sections:
        for name, figure in section.figure_files().items():
            figures[name] = to_png(figure.draw())
    return figures


def _with_tokens(result: EvaluationResult) -> list[Prediction]:
    return [
        prediction
        for prediction in result.predictions
        if prediction.image is not None and prediction.attention is not None and prediction.tokens
    ]


def _by_kind(table: Sequence[Confusion], limit: int) -> dict[str, list[Confusion]]:
    """The commonest confusions of every kind that occurs."""
    kinds = get_args(ConfusionKind)
    rows = {kind: [row for row in table if row.kind == kind][:limit] for kind in kinds}
    return {kind: chosen for kind, chosen in rows.items() if chosen}


def render_page(
    result: EvaluationResult, findings: Findings, figures: list[str], config: ReportConfig
) -> str:
    """The page as HTML; every text from outside is escaped."""
    environment = Environment(
        loader=PackageLoader("hmer.evaluation", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    errors = worst_first(result.predictions)
    shown = errors[: config.errors]
    return environment.get_template("report.html.j2").render(
        result=result,
        findings=findings,
        figures=figures,
        attention=[name for name in figures if name.startswith("attention_")],
        errors=[(error, *mark(error.truth, error.tokens or ())) for error in shown],
        error_count=len(errors),
        confusions=_by_kind(findings.confusions, config.confusions),
        trusted=findings.risk.at_risk(TRUSTED_RISK),
        trusted_risk=TRUSTED_RISK,
        kept=findings.risk.at_coverage(KEPT),
    )
