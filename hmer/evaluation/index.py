"""The page in front of the reports: one row per evaluated set."""

from __future__ import annotations

from collections.abc import Mapping

from jinja2 import Environment, PackageLoader, StrictUndefined

COLUMNS = {
    "n": "expressions",
    "exprate": "ExpRate",
    "le1": "≤ 1",
    "le2": "≤ 2",
    "le3": "≤ 3",
    "cer": "CER",
    "structure_rate": "structure",
}
"""Metric and its heading."""


def index_page(metrics: Mapping[str, Mapping[str, float]]) -> str:
    """HTML that links the report folder of each set; `metrics` as in metrics.json."""
    environment = Environment(
        loader=PackageLoader("hmer.evaluation", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    return environment.get_template("index.html.j2").render(metrics=metrics, names=COLUMNS) + "\n"
