"""A sheet of expressions: picture, truth, what was read, and how sure the reader was."""

from __future__ import annotations

from collections.abc import Sequence

from hmer.evaluation.diff import mark
from hmer.evaluation.figures.canvas import MUTED, RIGHT, TEXT, WRONG, Run, Sheet, advance, to_png
from hmer.evaluation.figures.pictures import fitted, on_paper, place
from hmer.evaluation.figures.typeset import mathtext, mathtext_size, wrap
from hmer.evaluation.images import decode
from hmer.evaluation.prediction import Prediction

COLUMNS = 2
CARD, GAP, MARGIN = 6.0, 0.35, 0.35  # inches
TALLEST, TYPESET = 1.15, 0.62
LABEL = 0.75
SIZE, LEADING = 8.5, 0.165
LINES = 3


def sample_sheet(predictions: Sequence[Prediction], title: str, *, typeset: bool = True) -> bytes:
    """A PNG with one card per prediction; those without a picture show none.

    Args:
        predictions: in the order they are to appear, row by row.
        title: heading of the sheet.
        typeset: also set the reading as mathematics, where mathtext can.
    """
    cards = [_Card(prediction, typeset) for prediction in predictions]
    rows = [cards[start : start + COLUMNS] for start in range(0, len(cards), COLUMNS)]
    pictures = [max(card.picture for card in row) for row in rows]
    texts = [max(card.text for card in row) for row in rows]
    heights = [picture + text for picture, text in zip(pictures, texts, strict=True)]
    width = 2 * MARGIN + COLUMNS * CARD + (COLUMNS - 1) * GAP
    head = MARGIN + 0.42
    sheet = Sheet(width, head + sum(heights) + GAP * max(0, len(rows) - 1) + MARGIN)
    sheet.text(MARGIN, MARGIN + 0.12, Run(title, TEXT, bold=True), 13.0)
    if not cards:
        sheet.text(MARGIN, head, Run("none", MUTED), 10.0)
    top = head
    for row, height, picture in zip(rows, heights, pictures, strict=True):
        for index, card in enumerate(row):
            left = MARGIN + index * (CARD + GAP)
            sheet.rule(top - 0.05, left, left + CARD)
            card.draw(sheet, left, top, picture)
        top += height + GAP
    return to_png(sheet.figure)


class _Card:
    """One expression, already measured: heights of its `picture` and of its `text`, in inches."""

    def __init__(self, prediction: Prediction, typeset: bool) -> None:
        self._prediction = prediction
        truth, read = mark(prediction.truth, prediction.tokens or ())
        width = int((CARD - LABEL) / advance(SIZE))
        self._truth = wrap(truth, width, LINES)
        if prediction.tokens is None:
            self._read = [[Run("could not be read", WRONG)]]
        else:
            self._read = wrap(read, width, LINES)
        self._math = mathtext(prediction.tokens or ()) if typeset else None
        lines = len(self._truth) + len(self._read)
        self._image = None if prediction.image is None else on_paper(decode(prediction.image))
        self.picture = 0.0
        if self._image is not None:
            self.picture = fitted(self._image.shape, CARD, TALLEST)[1] + 0.14
        self.text = 0.3 + lines * LEADING + 0.08 + (TYPESET if self._math else 0.0)

    def draw(self, sheet: Sheet, left: float, top: float, picture: float) -> None:
        """Draw downwards from `top`; the picture gets the height that its row has for it."""
        shown = self._prediction
        sign = Run("✓ right", RIGHT, True) if shown.correct else Run("✗ wrong", WRONG, True)
        sheet.text(left, top + 0.16, sign, 9.5)
        sheet.text(left + LABEL + 0.12, top + 0.16, Run(_short(shown.id, 56), MUTED), 8.5)
        sure = Run(f"confidence {100.0 * shown.confidence:.0f} %", MUTED)
        sheet.text(left + CARD, top + 0.16, sure, 8.5, align="right")
        y = top + 0.3
        if self._image is not None:
            place(sheet, self._image, left, y, CARD, picture - 0.14)
        y += picture
        for label, lines in (("truth", self._truth), ("read", self._read)):
            sheet.text(left, y + 0.12, Run(label, MUTED), SIZE)
            for line in lines:
                sheet.line(left + LABEL, y + 0.12, line, SIZE)
                y += LEADING
            y += 0.04
        if self._math:
            self._set_mathematics(sheet, self._math, left, y)

    def _set_mathematics(self, sheet: Sheet, text: str, left: float, top: float) -> None:
        size = 13.0
        width, above, below = mathtext_size(text, size)
        size *= min(1.0, (CARD - LABEL) / width, (TYPESET - 0.06) / (above + below))
        _, above, below = mathtext_size(text, size)
        baseline = top + (TYPESET - above - below) / 2.0 + above
        sheet.text(left, baseline, Run("typeset", MUTED), SIZE)
        sheet.text(left + LABEL, baseline, Run(text), size, mathtext=True)


def _short(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"
