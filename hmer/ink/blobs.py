"""How large writing is, and how thick its lines, from its pixels alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hmer.errors import InkError
from hmer.ink.components import component_boxes
from hmer.ink.scale import typical_size
from hmer.ink.wide import largest

_ROUND = 2.8  # of `pen_width`, half of a disc's width, up to which a blob is a dot
_PEN = 0.1  # symbol units across a usual pen
_HAIR = 3  # pixels of the window that closes gaps of one or two
_BLOB_TO_STROKE = 1.05  # blobs are whole symbols: median on CROHME, after the pen is taken off


def picture_unit(image: NDArray[np.uint8]) -> float:
    """Pixels per typical symbol, from the connected components of a bright-on-black image.

    The counterpart of `hmer.ink.scale.symbol_unit` where there are no strokes.

    Raises:
        InkError: there is no ink.
    """
    boxes = component_boxes(image > 127)
    if not len(boxes):
        raise InkError("a picture without ink has no size")
    sizes = (boxes[:, 2:4] - boxes[:, :2]).astype(np.float64)
    # Pieces of broken lines, if hairs of paper part most of them; else symbols may be so close.
    joined = component_boxes(largest(image, _HAIR) > 127)
    if 2 * len(joined) <= len(boxes):
        sizes = (joined[:, 2:4] - joined[:, :2]).astype(np.float64) - (_HAIR - 1)
    pen = pen_width(image)
    if sizes.max() <= _ROUND * pen:  # dots alone: their pen is all that tells the size
        return max(pen / _PEN, 1.0)
    # A stroke is as long as its blob without the pen; a blob that is all pen is a dot.
    path = np.maximum(sizes - pen, 0.25 * sizes)
    return max(typical_size(path) / _BLOB_TO_STROKE, 1.0)


def pen_width(image: NDArray[np.uint8]) -> float:
    """Pixels across a line of a bright-on-black image (H, W): twice its ink over its outline.

    0 where there is no ink.
    """
    mask = np.pad(image > 127, 1)
    steps = sum(int(np.count_nonzero(np.diff(mask, axis=axis))) for axis in (0, 1))
    # Of a line in no special direction, pixels' sides are 4 / pi times as long as its outline.
    outline = np.pi / 4 * steps
    return 2 * float(image.sum(dtype=np.float64)) / 255 / outline if steps else 0.0
