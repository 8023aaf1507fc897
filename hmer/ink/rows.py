"""Whether a picture holds several expressions, one above the other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hmer.ink.components import component_boxes
from hmer.ink.picture import Grey

# In symbol units. How often they err is in reports/experiments.md.
_GAP = 0.9  # of blank paper between two expressions
_WIDE_GAP = 1.2  # above which what is much narrower than its neighbour is no limit or index of it
_HEIGHT, _WIDTH = 0.7, 2.0  # of an expression; what is smaller is an index, a limit, a mark
_NARROW = 0.35
_BAR = 0.5  # of the narrower neighbour's width, from which a smooth edge of ink is a fraction bar


def expression_rows(image: Grey, unit: float) -> list[tuple[int, int]]:
    """First row, and the one after the last, of each expression on an image, from top to bottom.

    One for an ordinary picture: fractions, and sums with their limits, are not torn apart.

    Args:
        image: (H, W), ink 255 on 0.
        unit: pixels per symbol.
    """
    boxes = component_boxes(image > 127)[:, :4]
    groups: list[tuple[int, int, int, int]] = []
    for box in boxes[boxes[:, 1].argsort()].tolist():
        if groups and (box[1] - groups[-1][3] < _GAP * unit):
            groups[-1] = _union(groups[-1], box)
        else:
            groups.append(box)
    rows = groups[:1]
    for group in groups[1:]:
        if _belong(image > 127, rows[-1], group, unit):
            rows[-1] = _union(rows[-1], group)
        else:
            rows.append(group)
    return [(top, bottom) for _, top, _, bottom in rows]


def _union(one: tuple[int, ...], other: tuple[int, ...]) -> tuple[int, int, int, int]:
    return (
        min(one[0], other[0]),
        min(one[1], other[1]),
        max(one[2], other[2]),
        max(one[3], other[3]),
    )


def _belong(
    ink: NDArray[np.bool_], upper: tuple[int, ...], lower: tuple[int, ...], unit: float
) -> bool:
    """Whether two groups of ink, one above the other, are parts of one expression."""
    widths = [box[2] - box[0] for box in (upper, lower)]
    heights = [box[3] - box[1] for box in (upper, lower)]
    if min(widths) < _WIDTH * unit or min(heights) < _HEIGHT * unit:
        return True
    if lower[1] - upper[3] < _WIDE_GAP * unit and min(widths) < _NARROW * max(widths):
        return True
    edges = (
        ink[upper[1] : upper[3], upper[0] : upper[2]][::-1],
        ink[lower[1] : lower[3], lower[0] : lower[2]],
    )
    return max(map(_bar, edges)) > _BAR * min(widths)


def _bar(ink: NDArray[np.bool_]) -> int:
    """Columns of the longest smooth and flat stretch of the upper edge of ink (H, W)."""
    edge = np.where(ink.any(axis=0), ink.argmax(axis=0), -1)
    edge[edge > len(ink) / 2] = -1
    steps = np.abs(np.diff(edge)) > 2
    stretches = np.split(edge, np.flatnonzero(steps) + 1)
    flat = (len(one) for one in stretches if one[0] >= 0 and np.ptp(one) <= 0.35 * len(one))
    return max(flat, default=0)
