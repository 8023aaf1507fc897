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
    """A PNG for what `reports/registration.json` holds; the first version has no gain to show."""
    found, limits = report["comparison"] or {}, report["thresholds"]
    rows = {label: keys for label, keys in GAINS.items() if found.get(keys[0]) is not None}
    figure = new_figure(7.2, 1.6 + 0.7 * len(rows))
    axes = figure.subplots()
    color = COLORS[report["decision"]]
    for row, (mean, low, high, worse) in enumerate(rows.values()):
        axes.plot([found[low], found[high]], [row, row], color=color, linewidth=3)
        axes.plot([found[mean]], [row], "o", color=color, markersize=9, markeredgecolor="white")
        axes.plot([-limits[worse]] * 2, [row - 0.15, row + 0.15], color=WRONG, linewidth=1.4)
        told = f"{found[mean]:+.2f}  ({found[low]:+.2f} to {found[high]:+.2f})"
        axes.annotate(told, (found[mean], row), (0, 11), textcoords="offset points", ha="center",
                      color=TEXT, fontsize=9.5)  # fmt: skip
    axes.axvline(0, color=MUTED, linewidth=1.0)
    told = "no champion before it"
    if report["champion_before"]:
        told = f"points of ExpRate against version {report['champion_before']['version']}"
    if found:
        told += (
            f" (red: refused below)\n{found['only_challenger']} read by it alone, "
            f"{found['only_champion']} by the champion alone, of {found['n']}"
        )
    style(axes, f"Version {report['version']}: {report['decision']}", told, "")
    axes.set_yticks(range(len(rows)), list(rows))
    axes.set_ylim(len(rows) - 0.4, -0.8)
    axes.grid(visible=False)
    if not rows:
        axes.set_xticks([])
    figure.tight_layout()
    return to_png(figure)
