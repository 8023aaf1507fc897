"""A picture of the gate's decision: the gain with its interval, and both where ink is hidden."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes

from hmer.plots import (
    BLUE,
    MUTED,
    RIGHT,
    SERIES,
    TEXT,
    WRONG,
    legend,
    new_figure,
    style,
    to_png,
)

COLORS = {"champion": RIGHT, "challenger": BLUE, "refused": WRONG}


def registration_plot(report: Mapping[str, Any]) -> bytes:
    """A PNG for what `reports/registration.json` holds; the first version has no gain to show."""
    compared = report["comparison"] is not None  # the first version has nothing to compare with
    figure = new_figure(10.4 if compared else 4.6, 3.4)
    figure.set_layout_engine("constrained", w_pad=0.18, h_pad=0.12)
    if compared:
        left, right = figure.subplots(1, 2, width_ratios=(1.25, 1.0))
        _gain(left, report)
    else:
        right = figure.subplots()
    _occluded(right, report)
    return to_png(figure)


def _gain(axes: Axes, report: Mapping[str, Any]) -> None:
    found, limits = report["comparison"], report["thresholds"]
    title = f"Version {report['version']}: {report['decision']}"
    color = COLORS[report["decision"]]
    axes.axvspan(-1000, -limits["worse"], color=WRONG, alpha=0.10, linewidth=0)
    axes.axvspan(limits["margin"], 1000, color=RIGHT, alpha=0.08, linewidth=0)
    axes.axvline(0, color=MUTED, linewidth=1.0)
    axes.plot(
        [found["low"], found["high"]], [0, 0], color=color, linewidth=3, solid_capstyle="butt"
    )
    axes.plot([found["gain"]], [0], "o", color=color, markersize=9, markeredgecolor="white")
    told = f"{found['gain']:+.2f}  ({found['low']:+.2f} to {found['high']:+.2f})"
    axes.annotate(told, (found["gain"], 0), (0, 13), textcoords="offset points", ha="center",
                  color=TEXT, fontsize=10, fontweight="bold")  # fmt: skip
    axes.annotate(
        f"{found['only_challenger']} read by the challenger alone, "
        f"{found['only_champion']} by the champion alone, of {found['n']}",
        (found["gain"], 0), (0, -24), textcoords="offset points", ha="center", color=MUTED,
        fontsize=8.5,
    )  # fmt: skip
    reach = 1.25 * max(abs(found["low"]), abs(found["high"]), 2 * limits["worse"], limits["margin"])
    axes.set(xlim=(-reach, reach), ylim=(-1, 1), yticks=[])
    style(
        axes, title, f"points of ExpRate against version {report['champion_before']['version']}", ""
    )
    axes.grid(visible=False)


def _occluded(axes: Axes, report: Mapping[str, Any]) -> None:
    mine = report["occluded"]
    before = report["champion_before"] or {}
    series = [(f"version {report['version']}", mine, SERIES[0])]
    if before.get("occluded"):
        series.append((f"champion, version {before['version']}", before["occluded"], SERIES[1]))
    for label, points, color in series:
        axes.plot([100 * x for x, _ in points], [y for _, y in points], "o-", color=color,
                  linewidth=1.8, markersize=4, label=label)  # fmt: skip
    style(axes, "With ink hidden", "ink hidden, %", "ExpRate, %")
    axes.set_ylim(bottom=0)
    if mine:
        legend(axes)
