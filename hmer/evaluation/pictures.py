"""Pictures of ink for the report: decoded, tinted by attention, and as small PNG files."""

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

INK_LEVEL = 128
"""A pixel counts as ink from this grey level on; anti-aliased fringes do not."""

_COLOURS = 48  # of a tinted picture: a third of the bytes of full colour, and no visible loss
_SCALE = 2  # of pictures with marks


class Mark(NamedTuple):
    """A box drawn over a picture: left, top, right, bottom in pixels; round or not."""

    box: tuple[float, float, float, float]
    colour: str
    round: bool = False


def decode(image: bytes | Image) -> Image:
    """The picture (H, W) behind PNG bytes; an array is checked and handed through.

    Raises:
        ValueError: not a readable picture, or not a non-empty uint8 array of two dimensions.
    """
    if isinstance(image, bytes):
        try:
            with PillowImage.open(io.BytesIO(image), formats=("PNG",)) as opened:
                image = np.asarray(opened.convert("L"), dtype=np.uint8)
        except (OSError, SyntaxError, PillowImage.DecompressionBombError) as error:
            raise ValueError(f"not a readable PNG picture: {error}") from error
    if image.ndim != 2 or image.dtype != np.uint8 or not image.size:
        raise ValueError(f"a picture is uint8 (H, W), not {image.dtype} {image.shape}")
    return image


def ink_mask(image: Image) -> NDArray[np.bool_]:
    """Which pixels are ink, shape (H, W)."""
    return image >= INK_LEVEL


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
