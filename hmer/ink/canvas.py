"""Placing images of varying size on the canvas that a batch shares."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

INK_THRESHOLD = 0.1
"""Grey value (ink 1, paper 0) from which a pixel counts as ink."""

PAPER = 32
"""Pixels of blank paper to the right of and below an image, whatever the batch: as far as a cell
sees. With less, the reading would depend on what else is in the batch."""


def on_canvas(images: Sequence[NDArray[np.uint8]], height: int, width: int) -> NDArray[np.float32]:
    """Pad to one shape at the right and at the bottom: (B, 1, height, width), ink 1 on 0.

    Images that stick out (by a pixel or two, from rounding) are cut off.
    """
    canvas = np.zeros((len(images), 1, height, width), dtype=np.float32)
    for place, image in zip(canvas, images, strict=True):
        part = image[:height, :width]
        place[0, : part.shape[0], : part.shape[1]] = part
    return np.divide(canvas, np.float32(255), out=canvas)


def inked_cells(canvas: NDArray[np.float32], side: int) -> NDArray[np.int64]:
    """How many cells of so many pixels a side hold ink, in each image of (B, 1, H, W): (B,)."""
    batch, _, height, width = canvas.shape
    rows, columns = height // side, width // side
    cells = canvas[:, 0, : rows * side, : columns * side].reshape(batch, rows, side, columns, side)
    return np.asarray((cells.max(axis=(2, 4)) > INK_THRESHOLD).sum(axis=(1, 2)), np.int64)
