"""Confidence plots: reliability diagram, and risk against coverage."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from hmer.evaluation.calibration import KEPT, TRUSTED_RISK, Reliability, RiskCoverage
from hmer.evaluation.figures.canvas import (
    BLUE,
    MUTED,
    RULE,
    TEXT,
    WRONG,
    legend,
    new_figure,
    style,
    to_png,
)


def calibration_plot(reliability: Reliability, curve: RiskCoverage) -> bytes:
    """A PNG: accuracy by confidence above the number of expressions, and risk by coverage."""
    figure = new_figure(11.2, 4.6)
    figure.set_layout_engine("constrained", w_pad=0.18, h_pad=0.12)
    grid = figure.add_gridspec(2, 2, height_ratios=(3.2, 1.0))
    _diagram(figure.add_subplot(grid[0, 0]), reliability)
    _counts(figure.add_subplot(grid[1, 0]), reliability)
    _risk(figure.add_subplot(grid[:, 1]), curve)
    return to_png(figure)


def _diagram(axes: Axes, reliability: Reliability) -> None:
    filled = [row for row in reliability.bins if row.n]
    middle = [50.0 * (row.low + row.high) for row in filled]
    width = 92.0 / len(reliability.bins)
    axes.bar(middle, [100.0 * row.accuracy for row in filled], width, color=BLUE, alpha=0.85)
    axes.plot([0, 100], [0, 100], color=TEXT, linewidth=1.0, linestyle=(0, (4, 3)), zorder=2)
    axes.plot(
        [100.0 * row.confidence for row in filled],
        [100.0 * row.accuracy for row in filled],
        "o",
        color="white",
        markeredgecolor=WRONG,
        markersize=5,
        clip_on=False,
    )
    style(axes, f"Reliability   ECE {100.0 * reliability.ece:.1f} %", "", "right, %")
    axes.set(xlim=(0, 100), ylim=(0, 104))
    axes.tick_params(labelbottom=False)


def _counts(axes: Axes, reliability: Reliability) -> None:
    middle = [50.0 * (row.low + row.high) for row in reliability.bins]
    width = 92.0 / len(reliability.bins)
    axes.bar(middle, [row.n for row in reliability.bins], width, color=RULE)
    style(axes, "", "confidence, %", "count")
    axes.set_xlim(0, 100)
    axes.locator_params(axis="y", nbins=3, integer=True)


def _risk(axes: Axes, curve: RiskCoverage) -> None:
    coverage = np.array([100.0 * point.coverage for point in curve.points])
    risk = np.array([100.0 * point.risk for point in curve.points])
    base = risk[-1]
    # The best possible order puts every error last.
    ideal = np.linspace(max(1e-9, 100.0 - base), 100.0, 100)
    axes.plot(coverage, risk, color=BLUE, linewidth=2.0, label="by confidence")
    axes.plot(
        np.concatenate([[0.0], ideal]),
        np.concatenate([[0.0], 100.0 * (ideal - (100.0 - base)) / ideal]),
        color=MUTED,
        linewidth=1.0,
        linestyle=(0, (4, 3)),
        label="best possible order",
    )
    axes.axhline(base, color=WRONG, linewidth=1.0, label="no order")
    trusted, kept = curve.at_risk(TRUSTED_RISK), curve.at_coverage(KEPT)
    if trusted is not None:
        at = (100.0 * trusted.coverage, 100.0 * trusted.risk)
        label = f"{at[0]:.0f} % kept: {100.0 * (1.0 - TRUSTED_RISK):.0f} in 100 right"
        axes.plot(*at, "o", color=BLUE, markersize=7, label=label, clip_on=False, zorder=4)
    at = (100.0 * kept.coverage, 100.0 * kept.risk)
    label = f"{100.0 * KEPT:.0f} % kept: {100.0 - at[1]:.1f} in 100 right"
    axes.plot(*at, "D", color="white", markeredgecolor=BLUE, markersize=6, label=label, zorder=4)
    title = f"Wrong among what is kept   AURC {100.0 * curve.aurc:.1f} %"
    style(axes, title, "most confident share kept, %", "wrong, %")
    axes.set(xlim=(0, 100), ylim=(0, max(5.0, 1.08 * float(risk.max()))))
    legend(axes)
