"""The pen of a picture: how wide its lines are, and lines made wider or narrower."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.uint8]

_SAME_PEN = 0.15  # of its width, by which the pen may differ from the one wanted


def pen_width(image: Grey) -> float:
    """Pixels across a line of a bright-on-black image (H, W): twice its ink over its outline.

    0 where there is no ink.
    """
    mask = np.pad(image > 127, 1)
    steps = sum(int(np.count_nonzero(np.diff(mask, axis=axis))) for axis in (0, 1))
    # Of a line in no special direction, pixels' sides are 4 / pi times as long as its outline.
    outline = np.pi / 4 * steps
    return 2 * float(image.sum(dtype=np.float64)) / 255 / outline if steps else 0.0


def with_pen(image: Grey, width: float, wanted: float) -> Grey:
    """A bright-on-black image (H, W) with its lines, of this width, made as wide as wanted.

    Both in pixels.
    """
    if abs(width - wanted) < _SAME_PEN * wanted:
        return image
    reach = abs(wanted - width) / 2
    change = np.maximum if wanted > width else np.minimum
    before = image
    for number in range(int(np.ceil(reach))):
        before, image = image, _spread(image, change, square=number % 2 == 1)
    share = reach - np.floor(reach) or 1.0
    mixed = before * np.float32(1 - share) + image * np.float32(share)
    return np.asarray(np.rint(mixed), np.uint8)


def _spread(image: Grey, change: np.ufunc, *, square: bool) -> Grey:
    """Each pixel, or the largest or smallest of it and its neighbours (4, or 8 of a square)."""
    found = image.copy()
    change(found[1:], image[:-1], out=found[1:])
    change(found[:-1], image[1:], out=found[:-1])
    rows = found.copy() if square else image
    change(found[:, 1:], rows[:, :-1], out=found[:, 1:])
    change(found[:, :-1], rows[:, 1:], out=found[:, :-1])
    return found
