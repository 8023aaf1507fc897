"""Figures: what is drawn where."""

from __future__ import annotations

import io

import numpy as np
import pytest
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from hmer import plots
from hmer.plots import TINT, interval_bars, on_paper, picture_grid, stacked_bars


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that are turned into PNG."""
    figures: list[Figure] = []
    real = plots.to_png

    def spy(figure: Figure) -> bytes:
        figures.append(figure)
        return real(figure)

    monkeypatch.setattr(plots, "to_png", spy)
    return figures


def test_stacked_bars(drawn: list[Figure]) -> None:
    layers = {"exact": [50.0, 5.0], "1 edit": [70.0, 5.0]}
    pngs = {stacked_bars(["short", "long"], layers, "Title", "length", "%") for _ in range(2)}
    assert len(pngs) == 1  # the same bytes each time
    axes = drawn[0].axes[0]
    bars = [(bar.get_y(), bar.get_height()) for bar in axes.patches if isinstance(bar, Rectangle)]
    assert bars == [(0, 50), (0, 5), (50, 20), (5, 0)]
    assert [text.get_text() for text in axes.texts] == ["50", "5"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["short", "long"]


def test_interval_bars(drawn: list[Figure]) -> None:
    rows = {"a": (2.0, 1.0, 4.0), "b": (0.5, 0.25, 0.75)}
    interval_bars(rows, {"chance": [0.1, 8.0]}, "Title", "lift", line=1.0)
    axes = drawn[0].axes[0]
    widths = [bar.get_width() for bar in axes.patches if isinstance(bar, Rectangle)]
    assert widths == [2.0, 0.5]
    (lines,) = axes.collections
    assert isinstance(lines, LineCollection)
    ends = [np.asarray(segment)[:, 0].tolist() for segment in lines.get_segments()]
    assert ends == [[1.0, 4.0], [0.25, 0.75]]
    assert axes.get_ylim()[0] > axes.get_ylim()[1]  # the first on top
    assert axes.get_xlim()[1] > 8.0  # marks are within


def test_ink_on_tinted_paper() -> None:
    image = np.array([[0, 255, 51]], np.uint8)
    assert on_paper(image)[0].tolist() == [[1.0] * 3, [0.0] * 3, [0.8] * 3]
    tinted = on_paper(image, np.array([[3.0, 3.0, 0.0]]))
    np.testing.assert_allclose(tinted[0], np.array([TINT, [0.0] * 3, [0.8] * 3]))


def test_pictures_stand_in_rows_and_columns() -> None:
    red, grey = np.full((40, 60, 3), (1.0, 0.0, 0.0)), np.full((80, 60), 0.5)
    with Image.open(io.BytesIO(picture_grid([[red, grey]], ["one", "two"], "Title"))) as opened:
        colours = np.asarray(opened.convert("RGB")).astype(int)
    left, right = np.split(colours, 2, axis=1)
    assert (abs(left - [255, 0, 0]).max(axis=2) < 5).sum() > 40 * 60
    assert (abs(right - [128, 128, 128]).max(axis=2) < 5).sum() > 80 * 60
    assert not (abs(right - [255, 0, 0]).max(axis=2) < 5).any()
