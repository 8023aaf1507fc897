"""What is still read when something is taken away: curves with intervals, and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hmer.evaluation.diff import mark
from hmer.evaluation.figures.canvas import (
    BLUE,
    MUTED,
    RIGHT,
    SERIES,
    TEXT,
    WRONG,
    Run,
    Sheet,
    advance,
    legend,
    new_figure,
    style,
)
from hmer.evaluation.figures.pictures import fitted, on_paper, place
from hmer.evaluation.figures.typeset import wrap
from hmer.evaluation.images import FloatArray, Image
from hmer.evaluation.robustness.curves import RobustnessPoint

CELL, GAP, MARGIN, LABEL = 3.0, 0.3, 0.35, 0.7  # inches
TALLEST = 0.9
SIZE, LEADING, LINES = 8.0, 0.155, 2


def robustness_plot(
    points: Sequence[RobustnessPoint], title: str, x: str, percent: bool = True
) -> Figure:
    """ExpRate and CER by level, and the points of ExpRate lost, with their intervals.

    Args:
        points: of one series, lightest level first.
        title: heading.
        x: what the level means.
        percent: levels are shares, drawn at the share that was really taken.
    """
    figure = new_figure(10.4, 4.0)
    figure.set_layout_engine("constrained", w_pad=0.15, h_pad=0.12)
    left, right = figure.subplots(1, 2)
    at = np.array([100.0 * p.share if percent else p.level for p in points])
    _band(left, at, np.array([p.exprate for p in points]), BLUE, "right")
    close = [p.scores.le1 for p in points]
    left.plot(at, close, color=BLUE, linewidth=1.0, linestyle=(0, (4, 3)), label="at most 1 edit")
    left.plot(at, [p.scores.cer for p in points], "s-", color=SERIES[1], markersize=3.5,
              linewidth=1.4, label="character errors")  # fmt: skip
    style(left, title, x, "%")
    left.set_ylim(bottom=0)
    legend(left)
    _band(right, at, np.array([p.loss for p in points]), WRONG, "")
    style(right, "Lost against the expression as it is", x, "points of ExpRate")
    right.set_ylim(bottom=min(0.0, right.get_ylim()[0]))
    for axes in (left, right):
        axes.set_xlim(left=0)
        if not percent:
            axes.set_xticks(at)
    return figure


def _band(axes: Axes, at: FloatArray, intervals: FloatArray, color: str, label: str) -> None:
    """A line through the means (column 0) in the band between columns 1 and 2."""
    mean, low, high = intervals.T
    axes.fill_between(at, low, high, color=color, alpha=0.15, linewidth=0)
    axes.plot(at, mean, "o-", color=color, markersize=4, linewidth=1.8, label=label or "_nolegend_")


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """One expression on the sheet: a picture and a reading per level."""

    truth: Sequence[str]
    images: Sequence[Image]
    readings: Sequence[Sequence[str] | None]


def robustness_sheet(shown: Sequence[Shown], labels: Sequence[str]) -> Figure:
    """A column per expression, a row per level: what was left, and what was read.

    Args:
        shown: each with as many pictures and readings as there are labels.
        labels: of the levels.
    """
    pictures = [[_padded(image, column.images) for image in column.images] for column in shown]
    tall = max(fitted(column[0].shape, CELL, TALLEST)[1] for column in pictures)
    row = tall + 0.1 + LINES * LEADING + 0.2
    head = MARGIN + 0.14 + LINES * LEADING + 0.12
    width = 2 * MARGIN + LABEL + len(shown) * (CELL + GAP) - GAP
    sheet = Sheet(width, head + len(labels) * row + MARGIN / 2)
    sheet.text(MARGIN, MARGIN + 0.12, Run("truth", MUTED), SIZE)
    for number, column in enumerate(shown):
        x = MARGIN + LABEL + number * (CELL + GAP)
        _lines(sheet, x, MARGIN, wrap(mark(column.truth, column.truth)[0], _characters(), LINES))
        for level, reading in enumerate(column.readings):
            top = head + level * row
            place(sheet, on_paper(pictures[number][level]), x, top, CELL, tall)
            _reading(sheet, x, top + tall + 0.08, column.truth, reading)
    for level, label in enumerate(labels):
        top = head + level * row
        sheet.rule(top - 0.07, MARGIN, width - MARGIN)
        sheet.text(MARGIN, top + 0.2, Run(label, TEXT, bold=True), 10.0)
    return sheet.figure


def _characters() -> int:
    return int((CELL - 0.2) / advance(SIZE))


def _reading(
    sheet: Sheet, x: float, top: float, truth: Sequence[str], read: Sequence[str] | None
) -> None:
    right = read is not None and list(read) == list(truth)
    sign = Run("✓", RIGHT, bold=True) if right else Run("✗", WRONG, bold=True)
    sheet.text(x, top + 0.12, sign, SIZE)
    if not read:
        sheet.text(x + 0.2, top + 0.12, Run("nothing", MUTED), SIZE)
        return
    _lines(sheet, x + 0.2, top, wrap(mark(truth, read)[1], _characters(), LINES))


def _lines(sheet: Sheet, x: float, top: float, lines: Sequence[Sequence[Run]]) -> None:
    for number, runs in enumerate(lines):
        sheet.line(x, top + 0.12 + number * LEADING, runs, SIZE)


def _padded(image: Image, others: Sequence[Image]) -> Image:
    """On paper as large as the largest of the others, so that all are shown at one scale."""
    height, width = (max(other.shape[side] for other in others) for side in (0, 1))
    paper = ((0, height - image.shape[0]), (0, width - image.shape[1]))
    padded: Image = np.pad(image, paper)
    return padded
