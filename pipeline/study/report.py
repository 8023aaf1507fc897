"""Results of a study: per variant over the seeds and against the reference, as table and figure."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, Literal

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
from pipeline.study.config import Curve, Metric, StudyConfig
from pipeline.study.rows import Row

State = Literal["finished", "failed", "not run"]


@dataclass(frozen=True)
class Outcome:
    """How one experiment ended."""

    row: Row
    state: State
    commit: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict, repr=False)
    reason: str = ""
    """Of a failure."""


@dataclass(frozen=True)
class Summary:
    """One metric of one variant.

    `spread` is the standard deviation over the seeds (n - 1), of `difference` too, which is taken
    against the rival with the same seed; None where there are fewer than two.
    """

    values: Mapping[int, float]
    """By seed; a failed experiment has none."""
    differences: Mapping[int, float]

    @property
    def mean(self) -> float | None:
        """Over the seeds."""
        return fmean(self.values.values()) if self.values else None

    @property
    def spread(self) -> float | None:
        """Of the values."""
        return stdev(self.values.values()) if len(self.values) > 1 else None

    @property
    def difference(self) -> float | None:
        """Mean of the differences."""
        return fmean(self.differences.values()) if self.differences else None

    @property
    def difference_spread(self) -> float | None:
        """Of the differences."""
        return stdev(self.differences.values()) if len(self.differences) > 1 else None

    def report(self) -> dict[str, Any]:
        """As it is written."""
        return {
            "values": {str(seed): rounded(value) for seed, value in sorted(self.values.items())},
            "mean": rounded(self.mean),
            "spread": rounded(self.spread),
            "difference": rounded(self.difference),
            "difference_spread": rounded(self.difference_spread),
        }


def summarise(study: StudyConfig, outcomes: Sequence[Outcome], variant: str, name: str) -> Summary:
    """One metric of one variant, from all experiments of the study."""
    mine = _by_seed(outcomes, variant, name)
    rival = study.rival(variant)
    theirs = {} if rival is None else _by_seed(outcomes, rival, name)
    differences = {seed: mine[seed] - theirs[seed] for seed in mine.keys() & theirs.keys()}
    return Summary(mine, differences)


def absent(study: StudyConfig, outcomes: Sequence[Outcome]) -> dict[str, list[str]]:
    """Metrics that the study lists and finished experiments do not have, with those experiments."""
    missing: dict[str, list[str]] = {}
    for metric in study.metrics:
        for outcome in outcomes:
            if outcome.state == "finished" and metric.name not in outcome.metrics:
                missing.setdefault(metric.name, []).append(outcome.row.name)
    return missing


def levels(outcomes: Sequence[Outcome], variant: str, prefix: str) -> dict[float, dict[int, float]]:
    """Values by level and seed of metrics called `<prefix>_<level>`."""
    found: dict[float, dict[int, float]] = {}
    for outcome in outcomes:
        if outcome.row.variant == variant:
            for name, value in outcome.metrics.items():
                head, _, level = name.rpartition("_")
                if head == prefix and level.isdigit():
                    found.setdefault(float(level), {})[outcome.row.seed] = value
    return dict(sorted(found.items()))


def budgets(params: Mapping[str, Any]) -> dict[str, Any]:
    """What the trainings may spend: their steps, and the size of their batches."""
    spent = ("optimisation.steps", "batch.max_pixels", "batch.max_count", "optimisation.precision")
    return {key: value for key, value in leaves(params) if key.endswith(spent)}


def rounded(value: float | None) -> float | None:
    """To six decimals; no number where there is none."""
    return None if value is None or not math.isfinite(value) else round(value, 6)


def _by_seed(outcomes: Sequence[Outcome], variant: str, name: str) -> dict[int, float]:
    return {
        outcome.row.seed: outcome.metrics[name]
        for outcome in outcomes
        if outcome.row.variant == variant and name in outcome.metrics
    }


Line = list[tuple[float, list[float]]]
"""Places on x, each with the values of the seeds."""


def points(curve: Curve, outcomes: Sequence[Outcome]) -> dict[str, Line]:
    """All lines that have points, by name."""
    found = {}
    for name, variants in curve.lines.items():
        if curve.parameter is None:
            by_level = levels(outcomes, variants[0], curve.metric)
            line = [(level, list(values.values())) for level, values in by_level.items()]
        else:
            line = _over(curve.parameter, curve.metric, variants, outcomes)
        if line:
            found[name] = line
    return found


def _over(
    parameter: str, metric: str, variants: Sequence[str], outcomes: Sequence[Outcome]
) -> Line:
    places: dict[float, list[float]] = {}
    for outcome in outcomes:
        if outcome.row.variant in variants and metric in outcome.metrics:
            place = _place(outcome, parameter)
            if place is not None:
                places.setdefault(place, []).append(outcome.metrics[metric])
    return sorted(places.items())


def _place(outcome: Outcome, parameter: str) -> float | None:
    """The number that the parameter has in the experiment, given or by default."""
    params = check_params(outcome.row.params, PARAMS).model_dump(by_alias=True)
    try:
        value = lookup(params, parameter)
    except KeyError:
        return None
    return float(value) if isinstance(value, int | float) else None


MINUS = "\N{MINUS SIGN}"


def write_report(root: Path, name: str, study: StudyConfig, outcomes: Sequence[Outcome]) -> Path:
    """Write `<stem>.json`, `.md` and `.png` below `reports/`; the same results, the same bytes.

    Returns:
        The JSON file.
    """
    stem = root / "reports" / study.report.folder / study.report.stem
    content = report(name, study, outcomes)
    for ending, data in (
        (".json", (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode()),
        (".md", page(study, content, outcomes).encode()),
        (".png", study_figure(study, outcomes)),
    ):
        with atomic_file(stem.with_suffix(ending)) as partial:
            partial.write_bytes(data)
    return stem.with_suffix(".json")


def report(name: str, study: StudyConfig, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """All of it, as plain values."""
    return {
        "study": name,
        "title": study.title,
        "conditions": conditions(study, outcomes),
        "reference": study.reference,
        "metrics": [metric.model_dump() for metric in study.metrics],
        "variants": [_variant(study, outcomes, variant) for variant in study.variants],
        "curves": [
            {"title": curve.title, "lines": _lines(study, outcomes, index)}
            for index, curve in enumerate(study.curves)
        ],
        "experiments": [_experiment(outcome) for outcome in outcomes],
        "absent": absent(study, outcomes),
    }


def conditions(study: StudyConfig, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Under what the numbers were made."""
    reference = next(o.row for o in outcomes if o.row.variant == study.reference)
    return {
        "configuration": study.configuration,
        "settings": dict(leaves(study.settings)),
        "target": study.target,
        "split": study.split,
        "seeds": sorted({outcome.row.seed for outcome in outcomes}),
        "budgets": budgets(reference.params),
    }


def page(study: StudyConfig, content: Mapping[str, Any], outcomes: Sequence[Outcome]) -> str:
    """Markdown: what was asked, the table, and what to know about it."""
    parts = [
        f"# {study.title}",
        _told(content["conditions"], study),
        table(study, outcomes),
        f"![{study.title}]({study.report.stem}.png)",
        *_notes(study, content, outcomes),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def table(study: StudyConfig, outcomes: Sequence[Outcome]) -> str:
    """One row per variant: mean ± spread over seeds, in brackets the gain over the reference."""
    headings = [f"{m.heading}{f', {m.unit}' if m.unit else ''}" for m in study.metrics]
    rows = [["variant", *headings], ["---", *["---:"] * len(headings)]]
    for name, variant in study.variants.items():
        cells = [
            cell(metric, summarise(study, outcomes, name, metric.name)) for metric in study.metrics
        ]
        told = [f"against {variant.against}"] if variant.against else []
        told += _states(name, outcomes)
        label = f"**{name}**: {variant.describe}"
        rows.append([f"{label} ({'; '.join(told)})" if told else label, *cells])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def cell(metric: Metric, summary: Summary) -> str:
    """`mean ± spread (difference)`."""
    if summary.mean is None:
        return "–"
    text = _number(summary.mean, metric.digits)
    if summary.spread is not None:
        text += f" ± {summary.spread:.{metric.digits}f}"
    if summary.difference is not None:
        text += f" ({_number(summary.difference, metric.digits, sign=True)})"
    return text


def _variant(study: StudyConfig, outcomes: Sequence[Outcome], name: str) -> dict[str, Any]:
    return {
        "name": name,
        "describe": study.variants[name].describe,
        "settings": dict(leaves(study.variants[name].settings)),
        "compared_with": study.rival(name),
        "metrics": {
            metric.name: summarise(study, outcomes, name, metric.name).report()
            for metric in study.metrics
        },
    }


def _lines(study: StudyConfig, outcomes: Sequence[Outcome], index: int) -> dict[str, Any]:
    return {
        line: [{"x": rounded(x), "values": [rounded(y) for y in ys]} for x, ys in found]
        for line, found in points(study.curves[index], outcomes).items()
    }


def _experiment(outcome: Outcome) -> dict[str, Any]:
    row = outcome.row
    shown: dict[str, Any] = {"name": row.name, "variant": row.variant, "seed": row.seed}
    shown["state"] = outcome.state
    if outcome.commit:
        shown["commit"] = outcome.commit
    if outcome.reason:
        shown["reason"] = outcome.reason
    return shown


def _states(variant: str, outcomes: Sequence[Outcome]) -> list[str]:
    mine = [outcome for outcome in outcomes if outcome.row.variant == variant]
    told = []
    for state in ("failed", "not run"):
        count = sum(outcome.state == state for outcome in mine)
        if count:
            told.append(state if count == len(mine) else f"{count} of {len(mine)} {state}")
    return told


def _told(found: Mapping[str, Any], study: StudyConfig) -> str:
    """The conditions in a paragraph."""
    seeds = found["seeds"]
    told = [
        f"Configuration `{study.configuration}`",
        f"{len(seeds)} seed{'s' if len(seeds) > 1 else ''}",
    ]
    if study.split:
        told.append(f"metrics of `{study.split}`")
    named = any(variant.against for variant in study.variants.values())
    spread = " ± standard deviation over the seeds" if len(seeds) > 1 else ""
    return (
        "; ".join(told) + f". Mean{spread}; in brackets the mean difference to "
        f"`{study.reference}`{', or what is named,' if named else ''} with the same seed."
    )


def _notes(
    study: StudyConfig, content: Mapping[str, Any], outcomes: Sequence[Outcome]
) -> list[str]:
    notes = [
        f"- {outcome.row.name} failed: {outcome.reason}"
        for outcome in outcomes
        if outcome.state == "failed"
    ]
    notes += [
        f"- `{metric}` is not among the metrics of {len(names)} experiments"
        for metric, names in content["absent"].items()
    ]
    return ["\n".join(notes)] if notes else []


def _number(value: float, digits: int, sign: bool = False) -> str:
    text = f"{value:{'+' if sign else ''}.{digits}f}"
    return text.replace("-", MINUS)


COLUMNS = 2
"""Panels beside each other."""
ROW = 0.26
"""Inches per variant."""


def study_figure(study: StudyConfig, outcomes: Sequence[Outcome]) -> bytes:
    """The figure as PNG."""
    curves = [curve for curve in study.curves if points(curve, outcomes)]
    above, below = _rows(len(study.main)), _rows(len(curves))
    heights = [1.0 + ROW * len(study.variants)] * above + [3.2] * below
    figure = new_figure(11.0, sum(heights))
    figure.set_layout_engine("constrained", w_pad=0.16, h_pad=0.14)
    for row, part in enumerate(figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]):  # noqa: E501  # fmt: skip
        if row < above:
            shown = study.main[row * COLUMNS :][:COLUMNS]
            axes = part.subplots(1, len(shown), squeeze=False, sharey=True)[0]
            for index, metric in enumerate(shown):
                _metric(axes[index], study, outcomes, metric, names=index == 0)
        else:
            drawn = curves[(row - above) * COLUMNS :][:COLUMNS]
            axes = part.subplots(1, len(drawn), squeeze=False)[0]
            for index, curve in enumerate(drawn):
                _curve(axes[index], curve, outcomes)
    return to_png(figure)


def _rows(panels: int) -> int:
    return -(-panels // COLUMNS)


def _metric(
    axes: Axes, study: StudyConfig, outcomes: Sequence[Outcome], metric: Metric, names: bool
) -> None:
    unit = f", {metric.unit}" if metric.unit else ""
    reference = summarise(study, outcomes, study.reference, metric.name).mean
    if reference is not None:
        axes.axvline(reference, color=MUTED, linewidth=1.0, linestyle=(0, (4, 3)), zorder=1)
    for row, variant in enumerate(study.variants):
        summary = summarise(study, outcomes, variant, metric.name)
        color = MUTED if variant == study.reference else BLUE
        if summary.mean is None:
            failed = any(
                outcome.state == "failed" and outcome.row.variant == variant for outcome in outcomes
            )
            axes.text(0.01, row, "failed" if failed else "not run", va="center", fontsize=8,
                      color=WRONG if failed else MUTED, fontfamily=SANS,
                      transform=axes.get_yaxis_transform())  # fmt: skip
            continue
        axes.plot([summary.mean] * 2, [row - 0.32, row + 0.32], color=color, linewidth=2.6)
        values = list(summary.values.values())
        axes.plot(values, [row] * len(values), "o", color=color, markersize=5.5, alpha=0.75,
                  markeredgecolor="white", markeredgewidth=0.7)  # fmt: skip
    better = "more is better" if metric.better == "higher" else "less is better"
    style(axes, metric.heading, f"{metric.heading}{unit} ({better})", "")
    axes.grid(visible=False, axis="y")
    axes.grid(visible=True, axis="x", color="#d8dee4", linewidth=0.7)
    axes.set_ylim(len(study.variants) - 0.4, -0.6)
    axes.set_yticks(range(len(study.variants)), list(study.variants), fontsize=9, color=TEXT)
    axes.tick_params(axis="y", labelleft=names)


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
