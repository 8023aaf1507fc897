"""Figures of what is still read."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure

from hmer.evaluation.figures.canvas import to_png
from hmer.evaluation.figures.robustness import Shown, robustness_plot, robustness_sheet
from hmer.evaluation.robustness.curves import RobustnessPoint, robustness_curve
from hmer.evaluation.robustness.trials import Trial

TRUTH = ["\\frac", "{", "$", "}", "{", "2", "}"]


def points(levels: tuple[float, ...]) -> list[RobustnessPoint]:
    trials = [
        Trial("s", level, level, f"{id}", ["x"], ["x"] if level * 10 < id else ["y"])
        for level in levels
        for id in range(6)
    ]
    return robustness_curve(trials, seed=0, resamples=50)


def shown(width: int, readings: list[list[str] | None]) -> Shown:
    images = [np.full((30, width - 7 * n), 255, np.uint8) for n in range(len(readings))]
    return Shown(TRUTH * 9, images, readings)


def text_of(figure: Figure) -> list[str]:
    return [found.get_text() for found in figure.texts]


def test_the_plot_shows_the_points() -> None:
    found = points((0.0, 0.2, 0.5))
    left, right = robustness_plot(found, "T", "x").axes
    line = next(line for line in left.lines if line.get_label() == "right")
    assert np.asarray(line.get_xdata()).tolist() == [0.0, 20.0, 50.0]
    assert np.asarray(line.get_ydata()).tolist() == [point.scores.exprate for point in found]
    assert np.asarray(right.lines[0].get_ydata()).tolist() == [point.loss.mean for point in found]
    counts = robustness_plot(points((0.0, 1.0, 2.0)), "T", "x", percent=False)
    assert counts.axes[0].get_xticks().tolist() == [0.0, 1.0, 2.0]


@pytest.mark.parametrize("width", [9, 40, 3000])
def test_the_sheet_has_a_cell_per_level(width: int) -> None:
    column = shown(width, [TRUTH * 9, None]) if width > 9 else shown(20, [["$"] * 200, []])
    figure = robustness_sheet([column, shown(50, [["x"], ["$", "y"]])], ["0 %", "10 %"])
    assert len(figure.axes) == 4
    words = text_of(figure)
    assert words.count("✓") == (1 if width > 9 else 0)
    assert words.count("✗") == 4 - words.count("✓")
    assert "0 %" in words and "10 %" in words and "nothing" in words
    png = to_png(figure)
    assert png == to_png(figure) and png.startswith(b"\x89PNG")
