"""What features know: scores beside their levels, and symbols with their nearest neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hmer.evaluation.annotated import Annotated
from hmer.evaluation.figures.canvas import (
    BLUE,
    MONO,
    MUTED,
    RIGHT,
    RULE,
    SANS,
    TEXT,
    WRONG,
    Run,
    Sheet,
    new_figure,
    style,
)
from hmer.evaluation.figures.pictures import on_paper
from hmer.evaluation.retrieval.features import symbol_crop

WIDTH, MARGIN = 12.6, 0.35  # inches
COLUMNS = 2
SIDE, GAP, TITLE = 0.78, 0.12, 0.2  # of a crop, between crops, and above each for its token
AROUND = 0.35  # of the symbol's larger side, shown about it
COLOURS = (BLUE, "#e69f00", "#56b4e9", MUTED)


class Neighbours(NamedTuple):
    """A symbol (an expression, and its number there) and the symbols nearest to it."""

    query: tuple[Annotated, int]
    found: Sequence[tuple[Annotated, int]]


def score_bars(
    rows: Sequence[tuple[str, Sequence[float | None]]], sources: Sequence[str], title: str
) -> Figure:
    """A group of bars per question, a bar per source, in percent."""
    figure = new_figure(max(7.0, 1.2 + 1.75 * len(rows)), 4.2)
    figure.set_layout_engine("constrained", w_pad=0.12, h_pad=0.12)
    axes = figure.add_subplot()
    width = 0.8 / len(sources)
    for number, (source, colour) in enumerate(zip(sources, COLOURS, strict=True)):
        shift = (number - (len(sources) - 1) / 2.0) * width
        places = [row + shift for row in range(len(rows))]
        values = [values[number] or 0.0 for _, values in rows]
        axes.bar(places, values, 0.92 * width, color=colour, linewidth=0, label=source)
        for place, value in zip(places, values, strict=True):
            axes.text(
                place, value + 1.2, f"{value:.0f}", ha="center", va="bottom", fontsize=8,
                fontfamily=SANS, color=TEXT if number == 0 else MUTED,
            )  # fmt: skip
    style(axes, title, "", "right, %")
    axes.set_xticks(range(len(rows)), [name.replace(", ", ",\n") for name, _ in rows])
    axes.set(ylim=(0, 108))
    axes.set_yticks(range(0, 101, 20))
    axes.legend(
        loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=len(sources), frameon=False,
        prop={"family": SANS, "size": 8.5}, labelcolor=MUTED, handlelength=1.2, columnspacing=1.2,
    )  # fmt: skip
    return figure


def neighbour_sheet(rows: Sequence[Neighbours]) -> Figure:
    """Each query and its neighbours side by side, nearest first; frames tell right from wrong."""
    lines = -(-len(rows) // COLUMNS)
    step = SIDE + TITLE + GAP
    sheet = Sheet(WIDTH, 2 * MARGIN + 0.2 + lines * step)
    block = (WIDTH - 2 * MARGIN) / COLUMNS
    for column in range(min(COLUMNS, len(rows))):
        x = MARGIN + column * block
        sheet.text(x, MARGIN, Run("symbol", TEXT, True), 9.5)
        sheet.text(x + SIDE + 3 * GAP, MARGIN, Run("nearest in other expressions", TEXT, True), 9.5)
    for number, row in enumerate(rows):
        x = MARGIN + number // lines * block
        top = MARGIN + 0.2 + number % lines * step
        token = _token(row.query)
        _crop(sheet, row.query, x, top, RULE)
        x += SIDE + 3 * GAP
        for other in row.found:
            _crop(sheet, other, x, top, RIGHT if _token(other) == token else WRONG)
            x += SIDE + GAP
    return sheet.figure


def _token(symbol: tuple[Annotated, int]) -> str:
    return symbol[0].symbols[symbol[1]].token


def _crop(sheet: Sheet, symbol: tuple[Annotated, int], x: float, top: float, colour: str) -> None:
    """The symbol with some of what is around it, in a square."""
    shown, number = symbol
    box = shown.symbols[number].box
    around = AROUND * max(box.right - box.left, box.bottom - box.top)
    crop = symbol_crop(shown, number, around)
    ink = TEXT if colour == RULE else colour
    sheet.text(x, top + 0.12, Run(_token(symbol), ink, True), 8.5, family=MONO)
    scale = SIDE / max(crop.shape)
    high, wide = scale * crop.shape[0], scale * crop.shape[1]
    left, down = x + (SIDE - wide) / 2.0, top + TITLE + (SIDE - high) / 2.0
    axes = sheet.axes(left, down, wide, high)
    axes.imshow(on_paper(crop), interpolation="antialiased", aspect="auto")
    _frame(axes, colour)


def _frame(axes: Axes, colour: str) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_color(colour)
        spine.set_linewidth(1.4 if colour != RULE else 0.8)
