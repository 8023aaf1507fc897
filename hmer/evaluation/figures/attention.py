"""Attention on the picture: one small picture per output token, or one map per expression.

Paper is tinted by attention and ink stays black, so that both can be read at once. Every map is
scaled to its own maximum: colours compare places within a picture, not strengths between pictures.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hmer.evaluation.attention.maps import entropy, ink_lift, upsample
from hmer.evaluation.diff import Marked, mark
from hmer.evaluation.figures.canvas import (
    MONO,
    MUTED,
    RIGHT,
    TEXT,
    WRONG,
    Run,
    Sheet,
    advance,
    to_png,
)
from hmer.evaluation.figures.pictures import fitted, on_paper, place
from hmer.evaluation.figures.typeset import wrap
from hmer.evaluation.images import Image, decode, ink_mask
from hmer.evaluation.prediction import Prediction

WIDTH, MARGIN, GAP = 12.6, 0.35, 0.28  # inches
SIZE, LEADING, LABEL = 8.5, 0.165, 0.75
TALLEST, NARROWEST = 1.1, 1.35  # of a small picture
WIDEST_COLUMNS = 3  # small pictures that share a row however wide they are
SPATIAL = 1.3  # tallest picture of a spatial sheet
LONGEST_ID = 100


def token_sheet(prediction: Prediction, limit: int = 40) -> bytes:
    """A PNG with the picture once per output token, tinted by that token's attention.

    Args:
        prediction: with picture, tokens and attention (T, h, w).
        limit: tokens shown at most; the heading tells when there are more.

    Raises:
        ValueError: picture, tokens or attention are missing.
    """
    if prediction.image is None or prediction.attention is None or not prediction.tokens:
        raise ValueError(f"{prediction.id}: a token sheet needs picture, tokens and attention")
    image = decode(prediction.image)
    shown = min(limit, len(prediction.tokens))
    maps = upsample(prediction.attention[:shown], image.shape, prediction.stride)
    marked = mark(prediction.truth, prediction.tokens)[1][:shown]

    columns, picture = _grid(image, shown)
    rows = -(-shown // columns)
    lines = _heading_lines(prediction)
    head = MARGIN + 0.42 + sum(map(len, lines)) * LEADING + 0.3
    cell = picture[1] + 0.24 + GAP
    sheet = Sheet(WIDTH, head + rows * cell + MARGIN - GAP)
    more = f", first {shown} of {len(prediction.tokens)}" if shown < len(prediction.tokens) else ""
    _heading(sheet, prediction, lines, f"Attention per output token{more}")
    step = (WIDTH - 2 * MARGIN + GAP) / columns
    for index, (token, weights) in enumerate(zip(marked, maps, strict=True)):
        x, y = MARGIN + index % columns * step, head + index // columns * cell
        _token_title(sheet, x, y + 0.12, index, token)
        place(sheet, on_paper(image, _tint(weights)), x, y + 0.2, step - GAP, picture[1])
    return to_png(sheet.figure)


def _grid(image: Image, count: int) -> tuple[int, tuple[float, float]]:
    """How many small pictures share a row, and their size in inches."""
    room = WIDTH - 2 * MARGIN
    widest = (room + GAP) / WIDEST_COLUMNS - GAP
    wide = max(NARROWEST, fitted(image.shape, widest, TALLEST)[0])
    columns = min(count, int((room + GAP) / (wide + GAP) + 1e-6))
    return columns, fitted(image.shape, (room + GAP) / columns - GAP, TALLEST)


def _token_title(sheet: Sheet, x: float, baseline: float, index: int, token: Marked) -> None:
    number = f"{index + 1} "
    sheet.text(x, baseline, Run(number, MUTED), 7.0)
    run = Run(token.token[:20], TEXT if token.same else WRONG, True)
    sheet.text(x + 0.08 + len(number) * 0.06, baseline, run, 9.0, family=MONO)


def _heading_lines(prediction: Prediction) -> tuple[list[list[Run]], list[list[Run]]]:
    width = int((WIDTH - 2 * MARGIN - LABEL) / advance(SIZE))
    truth, read = mark(prediction.truth, prediction.tokens or ())
    return wrap(truth, width, 2), wrap(read, width, 2)


def _heading(
    sheet: Sheet, prediction: Prediction, lines: tuple[list[list[Run]], list[list[Run]]], title: str
) -> None:
    sheet.text(MARGIN, MARGIN + 0.12, Run(title, TEXT, True), 12.0)
    right = WIDTH - MARGIN
    sign = Run("✓ right", RIGHT, True) if prediction.correct else Run("✗ wrong", WRONG, True)
    sheet.text(right, MARGIN + 0.12, sign, 9.5, align="right")
    about = f"{prediction.id[:LONGEST_ID]}   confidence {100.0 * prediction.confidence:.0f} %"
    sheet.text(right - 0.75, MARGIN + 0.12, Run(about, MUTED), SIZE, align="right")
    y = MARGIN + 0.45
    for label, side in zip(("truth", "read"), lines, strict=True):
        sheet.text(MARGIN, y, Run(label, MUTED), SIZE)
        for line in side:
            sheet.line(MARGIN + LABEL, y, line, SIZE)
            y += LEADING


def spatial_sheet(predictions: Sequence[Prediction], title: str) -> bytes:
    """A PNG with the Mask & Match attention laid over each picture, beside the bare picture.

    Raises:
        ValueError: a picture or a map is missing.
    """
    half, text, head = (WIDTH - 2 * MARGIN - GAP) / 2.0, 0.3, MARGIN + 0.5
    pictures = [_pictured(prediction) for prediction in predictions]
    rows = [fitted(image.shape, half, SPATIAL)[1] for image, _ in pictures]
    sheet = Sheet(WIDTH, head + sum(rows) + len(rows) * (text + GAP) + MARGIN)
    sheet.text(MARGIN, MARGIN + 0.12, Run(title, TEXT, True), 12.0)
    _colour_key(sheet)
    top = head
    for prediction, (image, attention), row in zip(predictions, pictures, rows, strict=True):
        weights = upsample(attention, image.shape, prediction.stride)
        sheet.rule(top - 0.08, MARGIN, WIDTH - MARGIN)
        sheet.text(MARGIN, top + 0.14, Run(prediction.id[:60], TEXT), SIZE)
        about = Run(_measures(attention, image, prediction.stride), MUTED)
        sheet.text(WIDTH - MARGIN, top + 0.14, about, SIZE, align="right")
        place(sheet, on_paper(image), MARGIN, top + text, half, row)
        tinted = on_paper(image, _tint(weights))
        place(sheet, tinted, MARGIN + half + GAP, top + text, half, row)
        top += row + text + GAP
    return to_png(sheet.figure)


def _pictured(prediction: Prediction) -> tuple[Image, NDArray[np.floating]]:
    if prediction.image is None or prediction.spatial_attention is None:
        raise ValueError(f"{prediction.id}: a spatial sheet needs picture and attention")
    return decode(prediction.image), prediction.spatial_attention


def _measures(attention: NDArray[np.floating], image: Image, stride: float | None) -> str:
    if not ink_mask(image).any() or not attention.any():
        return "no ink" if attention.any() else "no attention"
    share = ink_lift(attention, image, stride)
    effective = float(np.exp(entropy(attention)))
    return (
        f"on ink {100.0 * share.attention:.0f} % of attention, {100.0 * share.area:.0f} % of area "
        f"(lift {share.lift:.1f}); as wide as {effective:.0f} of {attention.size} cells"
    )


def _colour_key(sheet: Sheet) -> None:
    ramp = np.tile(np.linspace(0.0, 1.0, 64), (4, 1))
    right, baseline = WIDTH - MARGIN, MARGIN + 0.12
    sheet.text(right - 2.7, baseline, Run("attention  0", MUTED), SIZE, align="right")
    axes = sheet.axes(right - 2.6, baseline - 0.12, 1.6, 0.14)
    axes.imshow(on_paper(np.zeros(ramp.shape, np.uint8), ramp), aspect="auto")
    axes.set_axis_off()
    sheet.text(right, baseline, Run("its maximum", MUTED), SIZE, align="right")


def _tint(weights: NDArray[np.floating]) -> NDArray[np.floating]:
    peak = float(weights.max())
    return weights / peak if peak > 0.0 else weights
