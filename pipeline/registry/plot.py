"""A picture of the gate's decision: the gains that decide, with their intervals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hmer.plots import BLUE, MUTED, RIGHT, TEXT, WRONG, new_figure, style, to_png

COLORS = {"champion": RIGHT, "challenger": BLUE, "refused": WRONG}
GAINS = {
    "as written": ("gain", "low", "high", "worse"),
    "with ink hidden": ("occluded_gain", "occluded_low", "occluded_high", "worse_occluded"),
}
"""What is compared: mean and ends of the interval, and the loss that is refused."""


def registration_plot(report: Mapping[str, Any]) -> bytes:
    """A PNG for what `reports/registration.json` holds; of the first version its own ExpRate."""
    found, limits = report["comparison"] or {}, report["thresholds"]
    bars = [
        (label, "+", found[mean], found[low], found[high], -limits[worse])
        for label, (mean, low, high, worse) in GAINS.items()
        if found.get(mean) is not None
    ]
    gains = bool(bars)
    if not bars and report["interval"]:
        bars = [("ExpRate", "", report["exprate"], *report["interval"], None)]
    figure = new_figure(7.2, 1.6 + 0.7 * len(bars))
    axes = figure.subplots()
    color = COLORS[report["decision"]]
    for row, (_, sign, mean, low, high, worse) in enumerate(bars):
        axes.plot([low, high], [row, row], color=color, linewidth=3)
        axes.plot([mean], [row], "o", color=color, markersize=9, markeredgecolor="white")
        if worse is not None:
            axes.plot([worse] * 2, [row - 0.15, row + 0.15], color=WRONG, linewidth=1.4)
        told = f"{mean:{sign}.2f}  ({low:{sign}.2f} to {high:{sign}.2f})"
        axes.annotate(told, (mean, row), (0, 11), textcoords="offset points", ha="center",
                      color=TEXT, fontsize=9.5)  # fmt: skip
    if gains:
        axes.axvline(0, color=MUTED, linewidth=1.0)
    told = f"ExpRate on {report['split']} in %; no champion before it"
    if report["champion_before"]:
        told = f"points of ExpRate against version {report['champion_before']['version']}"
    if found:
        told += (
            f" (red: refused below)\n{found['only_challenger']} read by it alone, "
            f"{found['only_champion']} by the champion alone, of {found['n']}"
        )
    style(axes, f"Version {report['version']}: {report['decision']}", told, "")
    axes.set_yticks(range(len(bars)), [label for label, *_ in bars])
    axes.set_ylim(len(bars) - 0.4, -0.8)
    axes.grid(visible=False)
    if not bars:
        axes.set_xticks([])
    figure.tight_layout()
    return to_png(figure)
