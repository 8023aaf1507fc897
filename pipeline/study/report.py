"""Results of a study: per variant over the seeds and against the reference, as table and figure."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd
from matplotlib.axes import Axes

from hmer.files import atomic_file
from hmer.plots import (
    BLUE,
    MUTED,
    SANS,
    SERIES,
    TEXT,
    WRONG,
    legend,
    new_figure,
    style,
    to_png,
)
from pipeline.configure import check_params
from pipeline.dvcfile import PARAMS
from pipeline.params import leaves, lookup
from pipeline.rendering import rendered
from pipeline.study.config import TARGET, Curve, Metric, StudyConfig

if TYPE_CHECKING:
    from pipeline.study.run import Row

State = Literal["finished", "failed", "not run"]
BUDGET = ("optimisation.steps", "batch.max_pixels", "batch.max_count", "optimisation.precision")
"""How the parameters end that say what a training may spend."""
MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True)
class Outcome:
    """How one experiment ended; `reason` is that of a failure."""

    row: Row
    state: State
    commit: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict, repr=False)
    reason: str = ""


def summarise(
    study: StudyConfig, outcomes: Sequence[Outcome], variant: str, name: str
) -> dict[str, Any]:
    """One metric of one variant: by seed, mean and standard deviation over the seeds (n - 1).

    Differences are to the rival with the same seed. None where there are too few; a failed
    experiment has no value.
    """
    values, rival = _by_seed(outcomes, variant, name), study.rival(variant)
    theirs = values.iloc[:0] if rival is None else _by_seed(outcomes, rival, name)
    differences = (values - theirs).dropna()
    return {
        "values": {str(seed): rounded(value) for seed, value in sorted(values.items())},
        "mean": rounded(values.mean()),
        "spread": rounded(values.std()),
        "difference": rounded(differences.mean()),
        "difference_spread": rounded(differences.std()),
    }


def _by_seed(outcomes: Sequence[Outcome], variant: str, name: str) -> pd.Series[float]:
    found = {
        outcome.row.seed: outcome.metrics[name]
        for outcome in outcomes
        if outcome.row.variant == variant and name in outcome.metrics
    }
    return pd.Series(found, dtype=float)


def absent(study: StudyConfig, outcomes: Sequence[Outcome]) -> dict[str, list[str]]:
    """Metrics that the study lists and finished experiments do not have, with those experiments."""
    finished = [outcome for outcome in outcomes if outcome.state == "finished"]
    missing = {
        metric.name: [o.row.name for o in finished if metric.name not in o.metrics]
        for metric in study.metrics
    }
    return {metric: names for metric, names in missing.items() if names}


Line = list[tuple[float, list[float]]]
"""Places on x, each with the values of the seeds."""


def points(curve: Curve, outcomes: Sequence[Outcome]) -> dict[str, Line]:
    """All lines that have points, by name."""
    found = {}
    for name, variants in curve.lines.items():
        places: dict[float, list[float]] = defaultdict(list)
        for outcome in outcomes:
            if outcome.row.variant in variants:
                for place, value in _places(curve, outcome):
                    places[place].append(value)
        if places:
            found[name] = sorted(places.items())
    return found


def _places(curve: Curve, outcome: Outcome) -> list[tuple[float, float]]:
    """Where an experiment lies on x, with its value: once, or at every level `<metric>_<level>`."""
    if curve.parameter is None:
        parts = ((name.rpartition("_"), value) for name, value in outcome.metrics.items())
        return [
            (float(level), value)
            for (head, _, level), value in parts
            if head == curve.metric and level.isdigit()
        ]
    if curve.metric not in outcome.metrics:
        return []
    # The parameter as it is given, or its default.
    params = check_params(outcome.row.params, PARAMS).model_dump(by_alias=True)
    try:
        place = lookup(params, curve.parameter)
    except KeyError:
        return []
    return [(float(place), outcome.metrics[curve.metric])] if isinstance(place, int | float) else []


def write_report(root: Path, name: str, study: StudyConfig, outcomes: Sequence[Outcome]) -> Path:
    """Write table and figure below `reports/`; the same results, the same bytes.

    Returns:
        The JSON file.
    """
    stem = root / "reports" / study.report / study.report
    content = json.dumps(report(name, study, outcomes), indent=2, ensure_ascii=False) + "\n"
    for ending, data in (
        (".json", content.encode()),
        (".md", page(study, outcomes).encode()),
        (".png", study_figure(study, outcomes)),
    ):
        with atomic_file(stem.with_suffix(ending)) as partial:
            partial.write_bytes(data)
    return stem.with_suffix(".json")


def report(name: str, study: StudyConfig, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """All of it, as plain values."""
    reference = next(o.row for o in outcomes if o.row.variant == study.reference)
    spent = {key: value for key, value in leaves(reference.params) if key.endswith(BUDGET)}
    return {
        "study": name,
        "title": study.title,
        "conditions": {
            "configuration": study.configuration,
            "settings": dict(leaves(study.settings)),
            "target": TARGET,
            "split": study.split,
            "seeds": sorted({outcome.row.seed for outcome in outcomes}),
            "budgets": spent,
        },
        "reference": study.reference,
        "metrics": [metric.model_dump() for metric in study.metrics],
        "variants": [
            {
                "name": variant,
                "describe": found.describe,
                "settings": dict(leaves(found.settings)),
                "compared_with": study.rival(variant),
                "metrics": {
                    metric.name: summarise(study, outcomes, variant, metric.name)
                    for metric in study.metrics
                },
            }
            for variant, found in study.variants.items()
        ],
        "curves": [
            {
                "title": curve.title,
                "lines": {
                    line: [{"x": rounded(x), "values": [rounded(y) for y in ys]} for x, ys in found]
                    for line, found in points(curve, outcomes).items()
                },
            }
            for curve in study.curves
        ],
        "experiments": [
            {
                "name": outcome.row.name,
                "variant": outcome.row.variant,
                "seed": outcome.row.seed,
                "state": outcome.state,
                **({"commit": outcome.commit} if outcome.commit else {}),
                **({"reason": outcome.reason} if outcome.reason else {}),
            }
            for outcome in outcomes
        ],
        "absent": absent(study, outcomes),
    }


def rounded(value: float) -> float | None:
    """To six decimals; no number where there is none."""
    return round(float(value), 6) if math.isfinite(value) else None


def page(study: StudyConfig, outcomes: Sequence[Outcome]) -> str:
    """Markdown: what was asked, the table, and what to know about it.

    The table has one row per variant: mean ± spread over seeds, in brackets the gain over the
    reference.
    """
    rows = []
    for name, variant in study.variants.items():
        told = [f"against {variant.against}"] if variant.against else []
        told += _states(name, outcomes)
        label = f"**{name}**: {variant.describe}"
        cells = [cell(m, summarise(study, outcomes, name, m.name)) for m in study.metrics]
        rows.append((f"{label} ({'; '.join(told)})" if told else label, cells))
    failed = [outcome for outcome in outcomes if outcome.state == "failed"]
    return rendered(
        "study.md.j2",
        study=study,
        seeds=len({outcome.row.seed for outcome in outcomes}),
        rows=rows,
        notes=[
            *(f"{outcome.row.name} failed: {outcome.reason}" for outcome in failed),
            *(
                f"`{metric}` is not among the metrics of {len(names)} experiments"
                for metric, names in absent(study, outcomes).items()
            ),
        ],
    )


def cell(metric: Metric, found: Mapping[str, Any]) -> str:
    """`mean ± spread (difference)`."""
    if found["mean"] is None:
        return "–"
    text = f"{found['mean']:.{metric.digits}f}"
    if found["spread"] is not None:
        text += f" ± {found['spread']:.{metric.digits}f}"
    if found["difference"] is not None:
        text += f" ({found['difference']:+.{metric.digits}f})"
    return text.replace("-", MINUS)


def _states(variant: str, outcomes: Sequence[Outcome]) -> list[str]:
    """How many of a variant's experiments have no result, and why."""
    states = [outcome.state for outcome in outcomes if outcome.row.variant == variant]
    return [
        state if states.count(state) == len(states) else f"{count} of {len(states)} {state}"
        for state in ("failed", "not run")
        if (count := states.count(state))
    ]


COLUMNS = 2
"""Panels beside each other."""
ROW = 0.26
"""Inches per variant."""
CURVE = 3.2
"""Inches that a panel of curves needs."""


def study_figure(study: StudyConfig, outcomes: Sequence[Outcome]) -> bytes:
    """The figure as PNG."""
    curves = [curve for curve in study.curves if points(curve, outcomes)]
    panels: list[Metric | Curve] = [*study.main, *curves]
    rows = -(-len(panels) // COLUMNS)
    height = 1.0 + ROW * len(study.variants)
    figure = new_figure(11.0, rows * max(height, CURVE if curves else 0))
    figure.set_layout_engine("constrained", w_pad=0.16, h_pad=0.14)
    for number, panel in enumerate(panels, 1):
        axes = figure.add_subplot(rows, min(COLUMNS, len(panels)), number)
        if isinstance(panel, Metric):
            _metric(axes, study, outcomes, panel)
        else:
            _curve(axes, panel, outcomes)
    return to_png(figure)


def _metric(axes: Axes, study: StudyConfig, outcomes: Sequence[Outcome], metric: Metric) -> None:
    unit = f", {metric.unit}" if metric.unit else ""
    reference = _by_seed(outcomes, study.reference, metric.name)
    if len(reference):
        axes.axvline(reference.mean(), color=MUTED, linewidth=1.0, linestyle=(0, (4, 3)), zorder=1)
    for row, variant in enumerate(study.variants):
        values = _by_seed(outcomes, variant, metric.name)
        color = MUTED if variant == study.reference else BLUE
        if values.empty:
            failed = any(o.state == "failed" and o.row.variant == variant for o in outcomes)
            axes.text(0.01, row, "failed" if failed else "not run", va="center", fontsize=8,
                      color=WRONG if failed else MUTED, fontfamily=SANS,
                      transform=axes.get_yaxis_transform())  # fmt: skip
            continue
        axes.plot([values.mean()] * 2, [row - 0.32, row + 0.32], color=color, linewidth=2.6)
        axes.plot(values, [row] * len(values), "o", color=color, markersize=5.5, alpha=0.75,
                  markeredgecolor="white", markeredgewidth=0.7)  # fmt: skip
    better = "more is better" if metric.better == "higher" else "less is better"
    style(axes, metric.heading, f"{metric.heading}{unit} ({better})", "")
    axes.grid(visible=False, axis="y")
    axes.grid(visible=True, axis="x", color="#d8dee4", linewidth=0.7)
    axes.set_ylim(len(study.variants) - 0.4, -0.6)
    axes.set_yticks(range(len(study.variants)), list(study.variants), fontsize=9, color=TEXT)


def _curve(axes: Axes, curve: Curve, outcomes: Sequence[Outcome]) -> None:
    for index, (name, line) in enumerate(points(curve, outcomes).items()):
        color = SERIES[index % len(SERIES)]
        axes.plot([x for x, _ in line], [fmean(ys) for _, ys in line], "-", color=color,
                  linewidth=1.8, label=name)  # fmt: skip
        for x, ys in line:
            axes.plot([x] * len(ys), ys, "o", color=color, markersize=4, alpha=0.8)
    if curve.log:
        axes.set_xscale("log")
    if curve.parameter is not None:
        places = sorted({x for line in points(curve, outcomes).values() for x, _ in line})
        axes.set_xticks(places, [f"{x:g}" for x in places])
        axes.set_xticks([], minor=True)
    style(axes, curve.title, curve.x, curve.y)
    axes.margins(y=0.12)
    legend(axes)
