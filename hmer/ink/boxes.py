"""Where each symbol stands in an image of its ink."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hmer.ink.render import Rendering
from hmer.ink.strokes import Ink


@dataclass(frozen=True, slots=True)
class SymbolBox:
    """A symbol's token and the rectangle its ink fills, in pixels; right and bottom exclusive."""

    token: str
    left: float
    top: float
    right: float
    bottom: float


def symbol_boxes(ink: Ink, rendering: Rendering) -> tuple[SymbolBox, ...]:
    """The box of every symbol of `ink`, in `rendering`, which is an image of it.

    A box includes the width of the pen and is cut to the image. Symbols without strokes have none.
    """
    height, width = rendering.image.shape
    boxes = []
    for symbol in ink.symbols:
        if not symbol.strokes:
            continue
        points = rendering.to_pixels(np.concatenate([ink.strokes[i] for i in symbol.strokes]))
        left, top = (points.min(axis=0) - rendering.pen / 2).tolist()
        right, bottom = (points.max(axis=0) + rendering.pen / 2).tolist()
        boxes.append(
            SymbolBox(
                symbol.token, max(left, 0.0), max(top, 0.0), min(right, width), min(bottom, height)
            )
        )
    return tuple(boxes)
