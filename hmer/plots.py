"""Matplotlib figures with one look: bars, intervals, bands, reliability diagrams, picture grids.

Figures are PNG bytes, the same for the same input: no pyplot state, no dates, fonts of matplotlib.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

DPI = 120
SANS = "DejaVu Sans"  # both fonts come with matplotlib: the same everywhere
MONO = "DejaVu Sans Mono"

TEXT = "#1f2328"
MUTED = "#6e7781"
RULE = "#d8dee4"
# Blue and vermilion stay apart for every common colour vision; signs carry the meaning as well.
BLUE = "#0072b2"
RIGHT = "#00795a"
WRONG = "#c0392b"
SERIES = (BLUE, "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
DASHED = (0, (4, 3))

TINT = np.array([0.90, 0.37, 0.0])

Interval = tuple[float, float, float]
"""A value and the ends of its interval."""


def new_figure(width: float, height: float, *, layout: bool = False) -> Figure:
    """An empty white figure of the given inches, drawn by Agg; `layout`: axes keep clear."""
    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    if layout:
        figure.set_layout_engine("constrained", w_pad=0.15, h_pad=0.12)
    return figure


def to_png(figure: Figure) -> bytes:
    """The figure as PNG, without the dates and versions that would change its bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    return buffer.getvalue()


def style(axes: Axes, title: str, x: str, y: str) -> None:
    """Quiet frame, light horizontal grid, title on the left."""
    axes.set_title(title, loc="left", fontsize=10.5, color=TEXT, fontweight="bold", pad=9)
    axes.title.set_fontfamily(SANS)
    axes.set_xlabel(x, fontsize=9, color=MUTED, fontfamily=SANS)
    axes.set_ylabel(y, fontsize=9, color=MUTED, fontfamily=SANS)
    axes.tick_params(labelsize=8.5, colors=MUTED, length=0, labelfontfamily=SANS)
    axes.grid(visible=True, axis="y", color=RULE, linewidth=0.7)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(RULE)


def legend(axes: Axes, columns: int | None = None) -> None:
    """A legend on a white ground inside the axes; with `columns` above them, beside the title."""
    font = {"family": SANS, "size": 8.5}
    if columns is None:
        axes.legend(
            prop=font, labelcolor=MUTED, facecolor="white", edgecolor="none", framealpha=0.9
        )
        return
    axes.legend(
        loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=columns, frameon=False, prop=font,
        labelcolor=MUTED, handlelength=1.2, columnspacing=1.2,
    )  # fmt: skip


def stacked_bars(
    names: Sequence[str], layers: Mapping[str, Sequence[float]], title: str, x: str, y: str
) -> bytes:
    """A PNG with a bar per name, in percent, of layers that include one another, smallest first."""
    figure = new_figure(max(6.8, 1.1 + 0.95 * len(names)), 3.9, layout=True)
    axes = figure.add_subplot()
    places = range(len(names))
    below = [0.0] * len(names)
    for (label, upto), alpha in zip(layers.items(), (1.0, 0.55, 0.33, 0.17), strict=False):
        heights = [high - low for high, low in zip(upto, below, strict=True)]
        axes.bar(places, heights, 0.68, below, color=BLUE, alpha=alpha, label=label, linewidth=0)
        below = list(upto)
    for place, value in enumerate(next(iter(layers.values()))):
        inside = value >= 12.0
        axes.text(
            place, value + (-2.0 if inside else 2.0), f"{value:.0f}", ha="center",
            va="top" if inside else "bottom", fontsize=9, fontfamily=SANS, fontweight="bold",
            color="white" if inside else TEXT,
        )  # fmt: skip
    style(axes, title, x, y)
    axes.set_xticks(places, names)
    axes.set(xlim=(-0.6, max(4, len(names)) - 0.4), ylim=(0, 108))
    axes.set_yticks(range(0, 101, 20))
    legend(axes, len(layers))
    return to_png(figure)


def interval_bars(
    rows: Mapping[str, Interval], marks: Mapping[str, Sequence[float]], title: str, x: str,
    line: float | None = None,
) -> bytes:  # fmt: skip
    """A PNG with a horizontal bar and its interval per row, the first on top.

    Args:
        rows: value and interval by label.
        marks: further values, one per row, by what they mean; two at most.
        title: heading.
        x: what the values are.
        line: a value to be compared with.
    """
    figure = new_figure(8.2, 1.5 + 0.34 * len(rows), layout=True)
    axes = figure.add_subplot()
    places = np.arange(len(rows))
    values = np.array([*rows.values()])
    ends = np.abs(values[:, 1:] - values[:, :1]).T
    axes.barh(
        places, values[:, 0], 0.62, color=BLUE, alpha=0.5, linewidth=0, xerr=ends,
        error_kw={"ecolor": TEXT, "elinewidth": 1.1, "capsize": 2.5},
    )  # fmt: skip
    for number, (name, others) in enumerate(marks.items()):
        # Beside one another: they are often the same.
        axes.plot(
            others, places + (-0.16, 0.16)[number], "Do"[number], label=name, zorder=4,
            color=SERIES[1 + number], markeredgecolor="white", markeredgewidth=0.8, markersize=6.5,
            clip_on=False,
        )  # fmt: skip
    style(axes, title, x, "")
    axes.grid(visible=False, axis="y")
    axes.grid(visible=True, axis="x", color=RULE, linewidth=0.7)
    axes.set_yticks(places, list(rows))
    axes.set(ylim=(len(rows) - 0.4, -0.6))
    highest = max([float(values.max()), *(max(others) for others in marks.values()), line or 0.0])
    axes.set_xlim(0.0, 1.06 * max(highest, 1e-6))
    if line is not None:
        axes.axvline(line, color=TEXT, linewidth=1.0, linestyle=DASHED, zorder=1)
    if marks:
        legend(axes, len(marks))
    return to_png(figure)


def band(
    axes: Axes, at: ArrayLike, values: Sequence[Interval], color: str, label: str = ""
) -> None:
    """A line through values over `at`, in the band of their intervals."""
    mean, low, high = np.array(values).T
    axes.fill_between(at, low, high, color=color, alpha=0.15, linewidth=0)
    axes.plot(at, mean, "o-", color=color, markersize=4, linewidth=1.8, label=label or "_nolegend_")


def on_paper(
    image: NDArray[np.uint8], tint: NDArray[np.floating] | None = None
) -> NDArray[np.float64]:
    """Black ink on white paper, colours (H, W, 3) in [0, 1].

    Args:
        image: (H, W), ink 255 on 0.
        tint: (H, W), not negative: colours the paper, deepest at its maximum.
    """
    paper = np.ones((*image.shape, 3))
    if tint is not None:
        share = tint / max(float(tint.max()), 1e-12)
        paper -= share[..., None] * (1.0 - TINT)
    colours: NDArray[np.float64] = paper * (1.0 - image[..., None] / 255.0)
    return colours


def picture_grid(
    rows: Sequence[Sequence[NDArray[np.floating]]],
    columns: Sequence[str],
    title: str = "",
    cell: tuple[float, float] = (2.35, 0.78),
) -> bytes:
    """A PNG with pictures in rows under column headings, each as large as its cell allows.

    Args:
        rows: pictures, grey (H, W) or colours (H, W, 3) in [0, 1]; as many as there are columns.
        columns: headings.
        title: heading of all.
        cell: width and height in inches.
    """
    wide, high = cell
    figure = new_figure(len(columns) * (wide + 0.12) + 0.5, len(rows) * (high + 0.12) + 1.0)
    width, height = figure.get_size_inches()
    figure.text(0.25 / width, 1 - 0.36 / height, title, fontsize=11.5, fontweight="bold",
                fontfamily=SANS, color=TEXT)  # fmt: skip
    for column, heading in enumerate(columns):
        left = 0.25 + column * (wide + 0.12)
        figure.text(left / width, 1 - 0.76 / height, heading, fontsize=9, color=MUTED,
                    fontfamily=SANS)  # fmt: skip
        for number, row in enumerate(rows):
            picture = row[column]
            # Small pictures are enlarged at most by 1.6.
            scale = min(wide / picture.shape[1], high / picture.shape[0], 1.6 / DPI)
            w, h = picture.shape[1] * scale, picture.shape[0] * scale
            top = 0.9 + number * (high + 0.12) + (high - h) / 2
            axes = figure.add_axes(
                (left / width, 1 - (top + h) / height, w / width, h / height), xticks=[], yticks=[]
            )
            axes.imshow(picture, cmap="gray", vmin=0, vmax=1, aspect="auto")
            for spine in axes.spines.values():
                spine.set(color=RULE, linewidth=0.6)
    return to_png(figure)
