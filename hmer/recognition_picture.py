"""A sheet of pictures that shows where the decoder looked for each token."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from hmer.errors import HmerError
from hmer.recognition import Recognition

_TINT = np.array([230, 94, 0], np.float32)
_WIDTH = 1400  # pixels of the sheet, as far as more than one picture stands in a row
_LINE = 22
_GAP = 8
_LARGEST = 32_000_000  # pixels of all pictures


def attention_sheet(found: Recognition, stride: int) -> bytes:
    """PNG with a picture for each token and the stop, each tinted up to its own maximum.

    Args:
        found: read with `attention=True`.
        stride: pixels per cell.

    Raises:
        HmerError: there is no attention, or the sheet would be too large.
    """
    if found.attention is None:
        raise HmerError("attention: nothing was read, so there is none to show")
    height, width = found.image.shape
    if height * width * len(found.attention) > _LARGEST:
        raise HmerError("attention: the expression is too long for a sheet; cut it into parts")
    columns = max(1, _WIDTH // (width + _GAP))
    rows = -(-len(found.attention) // columns)
    tall, wide = height + _LINE + _GAP, width + _GAP
    sheet = Image.new("RGB", (columns * wide + _GAP, rows * tall + _GAP), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(14)
    for number, weights in enumerate(found.attention):
        left, top = _GAP + number % columns * wide, _GAP + number // columns * tall
        sheet.paste(Image.fromarray(_tinted(found.image, weights, stride)), (left, top))
        label = found.tokens[number] if number < len(found.tokens) else "(stop)"
        draw.text((left, top + height + 2), label, fill="black", font=font)
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG")
    return buffer.getvalue()


def _tinted(
    image: NDArray[np.uint8], weights: NDArray[np.float32], stride: int
) -> NDArray[np.uint8]:
    """Black ink on paper that is orange where the attention (h, w) is."""
    size = (weights.shape[1] * stride, weights.shape[0] * stride)
    spread = Image.fromarray(weights / max(float(weights.max()), 1e-12)).resize(
        size, Image.Resampling.BILINEAR
    )
    share = np.asarray(spread)[: image.shape[0], : image.shape[1], None]
    paper = 255 - share * (255 - _TINT)
    ink = image[..., None] / np.float32(255)
    return np.asarray(np.clip(paper * (1 - ink), 0, 255), np.uint8)
