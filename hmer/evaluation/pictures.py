"""Pictures of ink for the report: black on white, tinted by attention, as small PNG files."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import ImageDraw

from hmer.plots import on_paper

Image = NDArray[np.uint8]
"""A picture, shape (H, W), ink 255 on 0."""

_COLOURS = 48  # of a tinted picture: a third of the bytes of full colour, and no visible loss
_SCALE = 2  # of pictures with marks


class Mark(NamedTuple):
    """A box drawn over a picture: left, top, right, bottom in pixels; round or not."""

    box: tuple[float, float, float, float]
    colour: str
    round: bool = False


def to_png(
    image: Image, tint: NDArray[np.floating] | None = None, marks: Sequence[Mark] = ()
) -> bytes:
    """Black ink on white paper as PNG, with `tint` as in `on_paper` and marks drawn over it."""
    if tint is None and not marks:
        shown = PillowImage.fromarray(255 - image)
    else:
        colours = np.round(255.0 * on_paper(image, tint)).astype(np.uint8)
        shown = PillowImage.fromarray(colours)
        if marks:
            size = (_SCALE * shown.width, _SCALE * shown.height)
            shown = shown.resize(size, PillowImage.Resampling.BILINEAR)
            draw = ImageDraw.Draw(shown)
            for mark in marks:
                left, top, right, bottom = (_SCALE * side for side in mark.box)
                corners = (left, top, max(right - 1, left), max(bottom - 1, top))
                shape = draw.ellipse if mark.round else draw.rectangle
                shape(corners, outline=mark.colour, width=2)
        shown = shown.quantize(_COLOURS)
    buffer = io.BytesIO()
    shown.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
