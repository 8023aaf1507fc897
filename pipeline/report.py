"""What came out of the last run: a few lines for the terminal, one page for a browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hmer.evaluation.metrics import METRICS
from hmer.files import atomic_file
from pipeline.dvcfile import EVALUATION, REGISTRATION, read_report, scored_sets
from pipeline.rendering import rendered

VERDICT = "reports/validation/verdict.json"
PAGE = "reports/index.html"
"""Ignored by git: who is champion here and now is no output of a stage."""
DETAILS = "reports/evaluation/index.html"


def summary(root: Path) -> str:
    """The lines; where there is nothing yet, what to run."""
    evaluation, registration = read_report(root / EVALUATION), read_report(root / REGISTRATION)
    if not evaluation:
        return "Nothing has been evaluated yet: run `make repro`."
    lines = [_scores(split, values) for split, values in scored_sets(evaluation).items()]
    if registration:
        lines += [
            f"Registered as {registration['model']} version {registration['version']}, "
            f"{registration['decision']}: {registration['reason']}",
            f"Compared on {registration['split']}: {registration['split_reason']}",
        ]
    lines += [
        f"Report:     {DETAILS} (open in a browser)",
        "Runs:       make ui, then http://127.0.0.1:5000",
        "Recognise:  .venv/bin/hmer recognize --model data/models/champion PICTURE.png",
    ]
    return "\n".join(lines)


def write_page(root: Path) -> Path:
    """Write `reports/index.html`: scores, decision, data gate, and where the details are."""
    page = root / PAGE
    links = ("validation/index.html", "evaluation/index.html", "registration.png")
    text = rendered(
        "index.html.j2",
        metrics=[metric for metric in METRICS.values() if metric.headline],
        scores=scored_sets(read_report(root / EVALUATION)),
        registration=read_report(root / REGISTRATION),
        verdict=read_report(root / VERDICT),
        there=[link for link in links if (page.parent / link).is_file()],
    )
    with atomic_file(page) as partial:
        partial.write_text(text, encoding="utf-8")
    return page


def _scores(split: str, values: dict[str, Any]) -> str:
    shown = [
        f"{metric.label.replace('≤ ', '<=')} {metric.text(values[name])} %"  # ASCII terminals
        for name, metric in METRICS.items()
        if metric.headline and metric.unit == "%" and name in values
    ]
    return f"{split + ':':<11} {', '.join(shown)}"
