"""Where the model looks: bars per class of symbols, and maps over the ink."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle

from hmer.evaluation.annotated import Annotated
from hmer.evaluation.attention.glances import Looked
from hmer.evaluation.attention.maps import upsample
from hmer.evaluation.attention.pointing import peaks
from hmer.evaluation.attention.symbols import SymbolAttention
from hmer.evaluation.bootstrap import Interval
from hmer.evaluation.figures.canvas import (
    BLUE,
    MONO,
    MUTED,
    RIGHT,
    RULE,
    SANS,
    SERIES,
    TEXT,
    WRONG,
    Run,
    Sheet,
    new_figure,
    style,
)
from hmer.evaluation.figures.pictures import fitted, on_paper, place
from hmer.evaluation.images import FloatArray

WIDTH, MARGIN, GAP = 12.6, 0.35, 0.28  # inches
TALLEST = 1.1
STRIP_TALLEST, STRIP_WIDEST, STRIP_NARROWEST = 1.0, 3.8, 1.0
LONGEST = 90  # characters of a caption
MARKS, SHIFTS = ("D", "o"), (-0.16, 0.16)


def lift_bars(
    classes: Sequence[SymbolAttention], baselines: Mapping[str, Sequence[float]], title: str
) -> Figure:
    """A bar per class: its lift, the bootstrap interval, and a mark for every other map."""
    labels = [f"{one.kind}  (n = {one.symbols})" for one in classes]
    figure, axes = _bars(labels, [one.lift for one in classes], title, "lift")
    for number, (name, lifts) in enumerate(baselines.items()):
        _marks(axes, number, name, lifts)
    axes.axvline(1.0, color=TEXT, linewidth=1.0, linestyle=(0, (4, 3)), zorder=1)
    highest = max([one.lift.high for one in classes] + [max(x) for x in baselines.values()])
    axes.set_xlim(0.0, 1.08 * max(highest, 1.2))
    _key(axes, len(baselines))
    return figure


def hit_bars(rows: Sequence[Looked], title: str) -> Figure:
    """A bar per class: how often the right symbol is looked at, and the levels beside it."""
    labels = [f"{one.kind}  (n = {one.symbols})" for one in rows]
    hits = [Interval(*(100.0 * value for value in one.hit)) for one in rows]
    figure, axes = _bars(labels, hits, title, "written symbols, %")
    _marks(axes, 0, "a random cell with ink", [100.0 * one.chance for one in rows])
    _marks(axes, 1, "the very cell is the symbol's", [100.0 * one.strict for one in rows])
    axes.set_xlim(0.0, 103.0)
    _key(axes, 2)
    return figure


def _bars(
    labels: Sequence[str], values: Sequence[Interval], title: str, unit: str
) -> tuple[Figure, Axes]:
    """Horizontal bars with intervals, the first on top."""
    figure = new_figure(8.2, 1.5 + 0.34 * len(labels))
    figure.set_layout_engine("constrained", w_pad=0.12, h_pad=0.12)
    axes = figure.add_subplot()
    places = np.arange(len(labels))
    means = np.array([value.mean for value in values])
    ends = np.array([(value.mean - value.low, value.high - value.mean) for value in values])
    axes.barh(
        places, means, 0.62, color=BLUE, alpha=0.5, linewidth=0,
        xerr=ends.clip(min=0.0).T, error_kw={"ecolor": TEXT, "elinewidth": 1.1, "capsize": 2.5},
    )  # fmt: skip
    style(axes, title, unit, "")
    axes.grid(visible=False, axis="y")
    axes.grid(visible=True, axis="x", color=RULE, linewidth=0.7)
    axes.set_yticks(places, labels)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    return figure, axes


def _marks(axes: Axes, number: int, name: str, values: Sequence[float]) -> None:
    # Beside one another: levels are often the same.
    places = [place + SHIFTS[number] for place in range(len(values))]
    axes.plot(
        values, places, MARKS[number], label=name, color=SERIES[1 + number],
        markeredgecolor="white", markeredgewidth=0.8, markersize=6.5, clip_on=False, zorder=4,
    )  # fmt: skip


def _key(axes: Axes, columns: int) -> None:
    """The legend above the bars, where none of them can be hidden."""
    axes.legend(
        loc="lower right", bbox_to_anchor=(1.0, 1.0), borderaxespad=0.2,
        ncols=columns, frameon=False, prop={"family": SANS, "size": 8.5}, labelcolor=MUTED,
    )  # fmt: skip


def map_sheet(shown: Sequence[tuple[Annotated, FloatArray, FloatArray]], stride: int) -> Figure:
    """The ink, the trained map over it and an untrained one, an expression per row."""
    third = (WIDTH - 2 * MARGIN - 2 * GAP) / 3.0
    heights = [fitted(one.image.shape, third, TALLEST)[1] for one, _, _ in shown]
    head = MARGIN + 0.4
    sheet = Sheet(WIDTH, head + sum(heights) + len(heights) * (GAP + 0.24) + MARGIN)
    for column, title in enumerate(("ink", "trained map", "fresh weights")):
        x = MARGIN + column * (third + GAP)
        sheet.text(x, MARGIN + 0.12, Run(title, TEXT, True), 10.5)
    top = head
    for (one, trained, fresh), height in zip(shown, heights, strict=True):
        sheet.rule(top - 0.08, MARGIN, WIDTH - MARGIN)
        sheet.text(MARGIN, top + 0.1, Run(_caption(one), MUTED), 8.0, family=MONO)
        top += 0.24
        place(sheet, on_paper(one.image), MARGIN, top, third, height)
        for column, weights in enumerate((trained, fresh), start=1):
            x = MARGIN + column * (third + GAP)
            axes = place(sheet, _tinted(one, weights, stride), x, top, third, height)
            _ring(axes, weights, stride, BLUE)
        top += height + GAP
    return sheet.figure


def glance_sheet(
    shown: Sequence[tuple[Annotated, FloatArray]], stride: int, limit: int = 14
) -> Figure:
    """Cross-attention (T, h, w) while each written symbol is written; its box is outlined.

    Green where the maximum (ringed) lies in the grown box, else red.

    Args:
        shown: expressions, whose symbols know their places.
        stride: pixels per cell.
        limit: symbols of an expression, at most.
    """
    strips = [_strip(one, limit) for one, _ in shown]
    grids = [_grid(one, len(strip)) for (one, _), strip in zip(shown, strips, strict=True)]
    heights = [0.34 + -(-len(s) // g[0]) * (g[2] + 0.3) for s, g in zip(strips, grids, strict=True)]
    sheet = Sheet(WIDTH, MARGIN + sum(heights) + MARGIN)
    top = MARGIN
    for (one, cross), strip, grid, height in zip(shown, strips, grids, heights, strict=True):
        count = sum(symbol.place is not None for symbol in one.symbols)
        more = f"   (the first {len(strip)} of {count} symbols)" if len(strip) < count else ""
        sheet.text(MARGIN, top + 0.1, Run(_caption(one) + more, TEXT, True), 8.5, family=MONO)
        columns, step, tall = grid
        for number, symbol in enumerate(strip):
            x = MARGIN + number % columns * step
            y = top + 0.36 + number // columns * (tall + 0.3)
            _glance(sheet, one, symbol, cross, stride, (x, y, step - 0.12, tall))
        top += height
    return sheet.figure


def _strip(shown: Annotated, limit: int) -> list[int]:
    """The first symbols with a place, in the order of the caption."""
    known = [n for n, symbol in enumerate(shown.symbols) if symbol.place is not None]
    return sorted(known, key=lambda n: shown.symbols[n].place or 0)[:limit]


def _grid(shown: Annotated, count: int) -> tuple[int, float, float]:
    """Small pictures in a row, the step between them, and their height, in inches."""
    wide, tall = fitted(shown.image.shape, STRIP_WIDEST, STRIP_TALLEST)
    step = max(wide, STRIP_NARROWEST) + 0.12
    return max(1, int((WIDTH - 2 * MARGIN + 0.12) / step)), step, tall


def _glance(
    sheet: Sheet,
    shown: Annotated,
    symbol: int,
    cross: FloatArray,
    stride: int,
    at: tuple[float, float, float, float],
) -> None:
    """One small picture: a map with the right symbol's box."""
    found = shown.symbols[symbol]
    weights = cross[found.place or 0]
    box, grow = found.box, 0.5 * stride
    row, column = (peaks(weights[None])[0] + 0.5) * stride
    hit = (
        box.left - grow <= column <= box.right + grow and box.top - grow <= row <= box.bottom + grow
    )
    colour = RIGHT if hit else WRONG
    x, y, wide, tall = at
    sheet.text(x, y - 0.04, Run(found.token, colour, True), 8.5, family=MONO)
    axes = place(sheet, _tinted(shown, weights, stride), x, y, wide, tall)
    _ring(axes, weights, stride, colour)
    corner, size = (box.left - 0.5, box.top - 0.5), (box.right - box.left, box.bottom - box.top)
    axes.add_patch(Rectangle(corner, *size, fill=False, edgecolor=colour, linewidth=1.3))


def _ring(axes: Axes, weights: FloatArray, stride: int, colour: str) -> None:
    """A ring around the cell of the maximum."""
    row, column = (peaks(weights[None])[0] + 0.5) * stride - 0.5
    axes.add_patch(Circle((column, row), 0.5 * stride, fill=False, edgecolor=colour, linewidth=1.2))


def _tinted(shown: Annotated, weights: FloatArray, stride: int) -> FloatArray:
    spread = upsample(weights, (shown.image.shape[0], shown.image.shape[1]), stride)
    return on_paper(shown.image, spread / max(float(spread.max()), 1e-12))


def _caption(shown: Annotated) -> str:
    text = " ".join(shown.tokens)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
