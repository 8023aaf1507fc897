"""The picture of phase 2: what was hidden as the training went on, and where attention falls."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hmer.evaluation.figures.canvas import MUTED, Run, Sheet, to_png
from hmer.evaluation.figures.pictures import Colours, on_paper, place
from hmer.selfsup.exhibit import MOMENTS, Exhibited

HIDDEN_INK = np.array([0.84, 0.37, 0.0])
HIDDEN_PAPER = np.array([0.99, 0.93, 0.87])
COLUMN, ROW, GAP = 2.35, 0.78, 0.12  # inches
HEAD, EDGE = 0.95, 0.25


def mask_sheet(exhibited: Sequence[Exhibited], masking: str) -> bytes:
    """A PNG: an expression per row, a moment of the training per column, attention at the right.

    Ink that was hidden is orange. Attention is tinted from white to orange, the most attended
    cell of each picture the deepest.

    Args:
        exhibited: the expressions.
        masking: how ink was hidden, for the title.
    """
    columns = len(MOMENTS) + 1
    width = 2 * EDGE + columns * (COLUMN + GAP) - GAP
    sheet = Sheet(width, HEAD + len(exhibited) * (ROW + GAP) + EDGE)
    title = f"Progressive masking ({masking}): hidden ink in orange"
    sheet.text(EDGE, 0.36, Run(title, bold=True), 11.5)
    heads = [f"{moment} % of training" for moment in MOMENTS]
    for column, text in enumerate([*heads, "attention in the end"]):
        shares = [one.shares[column] for one in exhibited] if column < len(MOMENTS) else []
        mean = f": {100 * float(np.mean(shares)):.0f} % hidden" if shares else ""
        sheet.text(_left(column), 0.76, Run(text + mean, MUTED), 9)
    for row, one in enumerate(exhibited):
        top = HEAD + row * (ROW + GAP)
        for column, hidden in enumerate(one.hidden):
            place(sheet, masked_colours(one.image, hidden), _left(column), top, COLUMN, ROW)
        tint = one.attention / max(float(one.attention.max()), 1e-12)
        place(sheet, on_paper(one.image, tint), _left(len(MOMENTS)), top, COLUMN, ROW)
    return to_png(sheet.figure)


def masked_colours(image: NDArray[np.uint8], hidden: NDArray[np.bool_]) -> Colours:
    """Ink (H, W) in black on white; where `hidden`, orange on a pale ground: (H, W, 3)."""
    ink = (image / 255.0)[..., None]
    there = hidden[..., None]
    paper = np.where(there, HIDDEN_PAPER, 1.0)
    pen = np.where(there, HIDDEN_INK, 0.0)
    colours: Colours = paper * (1.0 - ink) + pen * ink
    return colours


def _left(column: int) -> float:
    return EDGE + column * (COLUMN + GAP)
