"""The study in one figure: a dot per seed and a bar at the mean, for each main metric; curves."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from matplotlib.axes import Axes

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
from pipeline.study.config import Curve, Metric, StudyConfig
from pipeline.study.curves import points
from pipeline.study.results import Outcome, summarise

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
                outcome.state == "failed" and outcome.experiment.variant == variant
                for outcome in outcomes
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
