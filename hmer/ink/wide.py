"""What writing lies on: hard shadows, punch holes, a marker's strokes, all wider than its strokes.

A grey-scale opening (the minimum in a window, then the maximum) keeps what the window fits into
(Serra 1982, "Image analysis and mathematical morphology").
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

Grey = NDArray[np.uint8]
Mask = NDArray[np.bool_]

_WINDOW = 1 / 24  # of the longer side, in which ink is told from what lies around it
_NARROWEST = 15  # pixels of any window
_WIDE = 3.5  # of a stroke's width: crossings are two to three wide, a hole in a sheet ten


def largest(values: Grey, size: int) -> Grey:
    """The largest value (H, W) in the square of this odd size around each pixel."""
    for _ in range(2):
        values = np.pad(values, ((size // 2, size // 2), (0, 0)), mode="edge")
        reach = 1
        while reach < size:
            step = min(reach, size - reach)
            values = np.maximum(values[:-step], values[step:])
            reach += step
        values = values.T
    return values


def opened(values: Grey, width: float) -> Grey:
    """What is left of bright things (H, W) without all that is not wider than strokes so wide."""
    size = max(_NARROWEST, round(_WIDE * width)) | 1
    core = largest(~largest(~values, size), size)
    return np.minimum(values, largest(core, size // 2 | 1))  # its rim, if it is round


def stroke_width(strength: Grey, least: float) -> float:
    """Pixels across a usual stroke, whatever wide things there are; 0 where there is no stroke.

    Ink is what is above the middle of the values around it (Bernsen 1986); its width at a pixel
    is the shorter of the runs of ink along the row and the column.

    Args:
        strength: contrast of each pixel to the paper (H, W), 0 to 255.
        least: contrast between ink and what is around it.
    """
    size = max(_NARROWEST, round(max(strength.shape) * _WINDOW)) | 1
    high, low = largest(strength, size), ~largest(~strength, size)
    gap = high - low
    inked = (strength - low > gap // 2) & (gap > least)
    widths = np.minimum(_runs(inked), _runs(inked.T).T)[inked]
    return float(np.median(widths)) if len(widths) else 0.0


def without_strokes(grey: NDArray[np.float32], width: float, brighter: bool) -> NDArray[np.float32]:
    """The grey level (H, W) of what strokes so wide, brighter or darker than it, lie on."""
    # Noise would be taken for strokes: the least of many pixels is far below most.
    smooth = np.asarray(Image.fromarray(np.uint8(grey)).filter(ImageFilter.MedianFilter(3)))
    found = opened(smooth, width) if brighter else ~opened(~smooth, width)
    off = np.median((grey - found)[::4, ::4])
    return np.asarray(found + off, np.float32)


def _runs(mask: Mask) -> NDArray[np.int32]:
    """How long the run of pixels in the row is that each pixel (H, W) belongs to; 0 outside."""
    flat = np.pad(mask, ((0, 0), (1, 1))).ravel()
    edges = np.flatnonzero(flat[1:] != flat[:-1])
    lengths = edges[1::2] - edges[::2]
    found = np.zeros(mask.shape, np.int32)
    found[mask] = np.repeat(lengths, lengths)
    return found
