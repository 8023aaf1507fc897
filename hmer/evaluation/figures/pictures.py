"""Pictures on a sheet: black ink on white paper, fitted and tinted."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from hmer.evaluation.figures.canvas import DPI, RULE, Sheet
from hmer.evaluation.images import Image

Colours = NDArray[np.float64]
"""Colours in [0, 1], shape (H, W, 3)."""

TINT = np.array([0.90, 0.37, 0.0])
ENLARGE = 1.6  # small pictures are enlarged at most so much


def on_paper(image: Image, tint: NDArray[np.floating] | None = None) -> Colours:
    """Black ink on white paper; `tint` in [0, 1], shape (H, W), colours the paper below the ink."""
    paper = np.ones((*image.shape, 3))
    if tint is not None:
        paper -= np.clip(tint, 0.0, 1.0)[..., None] * (1.0 - TINT)
    colours: Colours = paper * (1.0 - image[..., None] / 255.0)
    return colours


def fitted(shape: tuple[int, ...], width: float, height: float) -> tuple[float, float]:
    """The largest size in inches that fits, keeping proportions and `ENLARGE`."""
    rows, columns = shape[0], shape[1]
    scale = min(width / columns, height / rows, ENLARGE / DPI)
    return columns * scale, rows * scale


def place(
    sheet: Sheet,
    colours: Colours,
    x: float,
    top: float,
    width: float,
    height: float,
    *,
    frame: bool = True,
) -> Axes:
    """Show a picture in the rectangle: at the left, centred vertically."""
    wide, high = fitted(colours.shape, width, height)
    axes = sheet.axes(x, top + (height - high) / 2.0, wide, high)
    axes.imshow(colours, interpolation="antialiased", aspect="auto")
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(frame)
        spine.set_color(RULE)
        spine.set_linewidth(0.6)
    return axes
