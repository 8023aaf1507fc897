"""Real ink beside composed ink: contact sheets, and histograms of what hands do with space."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from hmer.evaluation.figures.canvas import MUTED, SANS, SERIES, TEXT, new_figure, to_png

_PAD, _HEAD = 10, 26
_BINS = 36
_SHOWN = (0.01, 0.99)  # quantiles of the real values between which histograms are drawn


def contact_sheet(
    columns: Sequence[tuple[str, Sequence[NDArray[np.uint8]]]], width: int = 420, height: int = 150
) -> bytes:
    """A PNG with one column of images (H, W; ink 255 on 0) per title; rows belong together.

    Larger images are cut to `width` and `height`.

    Raises:
        ValueError: columns of different lengths, or none.
    """
    count = {len(images) for _, images in columns}
    if len(count) != 1:
        raise ValueError("a contact sheet needs columns of equal length")
    rows = list(zip(*(images for _, images in columns), strict=True))
    heights = [min(max(image.shape[0] for image in row), height) + _PAD for row in rows]
    sheet = Image.new("L", (len(columns) * (width + _PAD) + _PAD, sum(heights) + _HEAD), 255)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(14)
    for number, (title, _) in enumerate(columns):
        draw.text((_PAD + number * (width + _PAD), 4), title, fill=90, font=font)
    y = _HEAD
    for row, tall in zip(rows, heights, strict=True):
        draw.line([(0, y), (sheet.width, y)], fill=225)
        for number, image in enumerate(row):
            part = Image.fromarray(255 - image[: tall - _PAD, :width])
            sheet.paste(part, (_PAD + number * (width + _PAD), y + _PAD // 2))
        y += tall
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG")
    return buffer.getvalue()


def habit_histograms(
    series: Mapping[str, Mapping[str, Sequence[float]]], names: Sequence[str], across: int = 4
) -> bytes:
    """A PNG with a panel per habit: the distribution of each series in it, on one scale.

    Args:
        series: title to habit name to values; the first series sets the range.
        names: the habits to show; those missing in the first series are left out.
        across: panels in a row.
    """
    first = next(iter(series.values()))
    shown = [name for name in names if len(first.get(name, ())) > 1]
    down = -(-len(shown) // across)
    figure = new_figure(3.0 * across, 1.9 * down + 0.5)
    figure.set_layout_engine("constrained", w_pad=0.06, h_pad=0.06)
    for number, name in enumerate(shown):
        axes = figure.add_subplot(down, across, number + 1)
        low, high = np.quantile(np.array(first[name]), _SHOWN).tolist()
        bins = np.linspace(low, max(high, low + 1e-3), _BINS + 1)
        for (title, habits), color in zip(series.items(), SERIES, strict=False):
            values = np.array(habits.get(name, ()))
            if not len(values):
                continue
            counts = np.histogram(values, bins)[0] / len(values)
            axes.stairs(counts, bins, color=color, label=title, linewidth=1.3)
        axes.set_title(name, fontsize=8.5, color=TEXT, fontfamily=SANS, loc="left")
        axes.set_yticks([])
        axes.tick_params(labelsize=7, colors=MUTED, length=2, labelfontfamily=SANS)
        for side in ("top", "right", "left"):
            axes.spines[side].set_visible(False)
        if number == 0:
            axes.legend(prop={"family": SANS, "size": 7}, labelcolor=MUTED, frameon=False)
    return to_png(figure)
