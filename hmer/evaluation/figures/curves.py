"""Training curves: a panel per quantity, a line per phase."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import NotRequired, TypedDict

import numpy as np
from matplotlib.axes import Axes

from hmer.evaluation.figures.canvas import MUTED, SANS, SERIES, legend, new_figure, style, to_png
from hmer.evaluation.images import FloatArray

PANEL_WIDTH, PANEL_HEIGHT = 5.6, 3.3  # inches
DENSE = 80  # a line with more points than this is smoothed


class CurveRow(TypedDict):
    """One logged value; `name` is `phase/quantity` (train/loss), or the quantity alone."""

    step: int
    name: str
    value: float
    epoch: NotRequired[int]


def curves(rows: Iterable[CurveRow], title: str = "", x: str = "step") -> bytes:
    """A PNG with one panel per quantity and one line per phase; non-finite values leave gaps."""
    panels: dict[str, dict[str, list[tuple[int, float]]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        phase, _, quantity = row["name"].rpartition("/")
        panels[quantity][phase].append((row["step"], row["value"]))
    columns = min(2, max(1, len(panels)))
    lines = max(1, -(-len(panels) // columns))
    head = 0.5 if title else 0.05
    figure = new_figure(columns * PANEL_WIDTH, lines * PANEL_HEIGHT + head)
    figure.set_layout_engine("constrained", w_pad=0.15, h_pad=0.15)
    if title:
        figure.suptitle(title, x=0.03, ha="left", fontsize=12, fontweight="bold", fontfamily=SANS)
    if not panels:
        figure.text(0.05, 0.45, "nothing was logged", color=MUTED, fontfamily=SANS)
    phases = sorted({phase for panel in panels.values() for phase in panel})
    for index, quantity in enumerate(sorted(panels, key=lambda name: (name != "loss", name))):
        axes = figure.add_subplot(lines, columns, index + 1)
        for phase, points in panels[quantity].items():
            _line(axes, points, phase, SERIES[phases.index(phase) % len(SERIES)])
        style(axes, quantity, x, "")
        if any(panels[quantity]):  # a line without a phase needs no legend
            legend(axes)
    return to_png(figure)


def _line(axes: Axes, points: list[tuple[int, float]], label: str, color: str) -> None:
    points = sorted(points)
    steps = np.array([step for step, _ in points])
    values = np.array([value for _, value in points], dtype=np.float64)
    name = label or "_nolegend_"
    if len(points) > DENSE and _is_noisy(values):
        axes.plot(steps, values, color=color, linewidth=0.7, alpha=0.25)
        axes.plot(steps, _smoothed(values), color=color, linewidth=1.8, label=name)
        return
    marker = "o" if len(points) <= 25 else ""
    axes.plot(steps, values, color=color, linewidth=1.8, marker=marker, markersize=3.5, label=name)


def _is_noisy(values: FloatArray) -> bool:
    """Whether the line goes up and down by much more than it gets anywhere."""
    finite = values[np.isfinite(values)]
    return len(finite) > 1 and float(np.abs(np.diff(finite)).sum()) > 4.0 * float(np.ptp(finite))


def _smoothed(values: FloatArray) -> FloatArray:
    """Centred moving average over a twentieth of the points; non-finite values do not count."""
    width = max(3, len(values) // 20)
    window = np.ones(width)
    finite = np.isfinite(values)
    sums = np.convolve(np.where(finite, values, 0.0), window, mode="same")
    counts = np.convolve(finite.astype(np.float64), window, mode="same")
    means: FloatArray = np.full(len(values), np.nan)
    np.divide(sums, counts, out=means, where=counts > 0.0)
    return means
