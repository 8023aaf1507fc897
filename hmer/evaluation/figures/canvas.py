"""The look that all figures share, and their way to PNG bytes."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

DPI = 120
SANS = "DejaVu Sans"  # both fonts come with matplotlib: the same everywhere
MONO = "DejaVu Sans Mono"
MONO_ADVANCE = 1233 / 2048  # width of every glyph of MONO, in font sizes

TEXT = "#1f2328"
MUTED = "#6e7781"
RULE = "#d8dee4"
# Blue and vermilion stay apart for every common colour vision; signs carry the meaning as well.
BLUE = "#0072b2"
RIGHT = "#00795a"
WRONG = "#c0392b"
SERIES = (BLUE, "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")


def new_figure(width: float, height: float) -> Figure:
    """An empty white figure of the given inches, drawn by Agg."""
    figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
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


def legend(axes: Axes) -> None:
    """A legend that keeps its distance from lines by a white ground."""
    axes.legend(
        prop={"family": SANS, "size": 8.5},
        labelcolor=MUTED,
        facecolor="white",
        edgecolor="none",
        framealpha=0.9,
    )


class Run(NamedTuple):
    """A piece of text and its look."""

    text: str
    color: str = TEXT
    bold: bool = False


class Sheet:
    """A page measured in inches from its left-top corner, for text and pictures."""

    def __init__(self, width: float, height: float) -> None:
        self.width, self.height = width, height
        self.figure = new_figure(width, height)

    def text(
        self,
        x: float,
        baseline: float,
        run: Run,
        size: float = 9.0,
        *,
        family: str = SANS,
        align: str = "left",
        mathtext: bool = False,
    ) -> None:
        """One line of text; `$` and backslashes stand for themselves unless `mathtext`."""
        self.figure.text(
            x / self.width,
            1.0 - baseline / self.height,
            run.text,
            fontsize=size,
            fontfamily=family,
            fontweight="bold" if run.bold else "normal",
            color=run.color,
            ha=align,
            va="baseline",
            parse_math=mathtext,
        )

    def line(self, x: float, baseline: float, runs: Sequence[Run], size: float) -> None:
        """Runs of monospaced text, one after the other."""
        for run in runs:
            self.text(x, baseline, run, size, family=MONO)
            x += len(run.text) * advance(size)

    def axes(self, x: float, top: float, width: float, height: float) -> Axes:
        """Axes over a rectangle of the page."""
        return self.figure.add_axes(
            (
                x / self.width,
                1.0 - (top + height) / self.height,
                width / self.width,
                height / self.height,
            )
        )

    def rule(self, top: float, left: float, right: float) -> None:
        """A thin horizontal line."""
        height = 1.0 - top / self.height
        ends = (left / self.width, right / self.width)
        self.figure.add_artist(Line2D(ends, (height, height), color=RULE, linewidth=0.8))


def advance(size: float) -> float:
    """Width of one monospaced character in inches, at `size` points."""
    return MONO_ADVANCE * size / 72.0
