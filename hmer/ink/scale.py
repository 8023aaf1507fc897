"""The size of handwriting, from the strokes alone, and ink measured in it.

Tablets report coordinates in units that differ by three orders of magnitude, and people write
large or small. The symbol unit is what is left to compare: about the height of a lower-case x
or of a digit. It is estimated without labels, so that it works on ink nobody has annotated.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hmer.errors import InkError
from hmer.ink.strokes import Ink, Points

TOLERANCE = 0.02
"""Largest distance, in symbol units, between a stroke as written and as simplified."""

MAX_GAP = 0.5
"""Largest distance, in symbol units, between neighbouring points: lets long bars bend."""

MAX_EXTENT = 2000.0
"""Symbol units that ink may span; the widest of 2700 from CROHME spans 73."""

_FLAT = 0.4  # a stroke lower than this share of its width is a bar, not a letter
_SMALL = 0.3  # a stroke below this share of the median extent is a dot, a comma or a tick
_WIDTH_WEIGHT = 0.3  # the width steadies the height: descenders and brackets are tall and narrow
_FLAT_TO_UNIT = 0.75  # a minus sign alone is about 1.3 units wide
_FEW, _DOT = 3, 0.4  # so few strokes, each below this share of the gaps between them, are dots
_GAP_TO_UNIT = 1.25  # dots of an ellipsis are 0.8 units apart (median of 212 of CROHME train)
_SLIP = 4  # steps of a tablet that a pen slips in a dot: 84 % of dots of 2013, 2 % of commas
_DOT_SIZE = 0.1  # symbol units across a dot: the usual pen
_LARGEST_DOT = 0.25  # symbol units; of CROHME train some nine in ten dots, and few commas


def symbol_unit(ink: Ink) -> float:
    """Device units per typical symbol: the height of a lower-case x or of a digit.

    The geometric mean of the sizes of upright strokes. Bars (minus, fraction lines) and dots do not
    count, a long radical or bracket is one among many; only where nothing else is there do they
    set the unit. Ink without any extent (dots) has unit 1; of a dot alone, which spans a few of a
    tablet's steps, how far the pen slipped says nothing.

    Raises:
        InkError: there is no point.
    """
    if not any(len(stroke) for stroke in ink.strokes):
        raise InkError("ink without points has no size")
    if len(ink.strokes) == 1:
        points = ink.strokes[0]
        extent = float(np.ptp(points, axis=0).max())
        if 0 < extent <= _SLIP and np.array_equal(points, np.rint(points)):
            return extent / _DOT_SIZE
    return unit_of_boxes(stroke_boxes(ink))


def stroke_boxes(ink: Ink) -> NDArray[np.float64]:
    """Left, top, right, bottom of every stroke that has a point, shape (n, 4)."""
    strokes = [stroke for stroke in ink.strokes if len(stroke)]
    return np.array([(*s.min(axis=0), *s.max(axis=0)) for s in strokes], np.float64)


def unit_of_boxes(boxes: NDArray[np.float64]) -> float:
    """The symbol unit behind strokes with these corners (n, 4): left, top, right, bottom.

    Of an ellipsis or a colon alone the gaps tell it: how far a pen slips in a dot does not.
    """
    sizes = boxes[:, 2:] - boxes[:, :2]
    if 1 < len(boxes) <= _FEW:
        middles = (boxes[:, :2] + boxes[:, 2:]) / 2
        between = np.hypot(*(middles[:, None] - middles).transpose(2, 0, 1))
        gap = float(np.median((between + np.diag(np.full(len(boxes), np.inf))).min(axis=1)))
        if np.hypot(*sizes.T).max() < _DOT * gap:
            return _GAP_TO_UNIT * gap
    return typical_size(sizes)


def own_unit(boxes: NDArray[np.float64]) -> float:
    """`unit_of_boxes` of strokes in symbol units, as if nothing else had been written.

    1 for a dot, which nobody would take for larger writing.
    """
    if len(boxes) == 1 and (boxes[0, 2:] - boxes[0, :2]).max() <= _LARGEST_DOT:
        return 1.0
    return unit_of_boxes(boxes)


def typical_size(sizes: NDArray[np.float64]) -> float:
    """The symbol unit behind the widths and heights (n, 2) of strokes, or of inked blobs."""
    width, height = sizes[:, 0], sizes[:, 1]
    extent = np.hypot(width, height)
    if not extent.any():
        return 1.0
    median = float(np.median(extent[extent > 0]))
    upright = (height > _FLAT * width) & (height > _SMALL * median)
    if not upright.any():
        return _FLAT_TO_UNIT * median
    width, height = width[upright], height[upright]
    size = height ** (1 - _WIDTH_WEIGHT) * np.maximum(width, height / 2) ** _WIDTH_WEIGHT
    # Closer to the height of x and digits than the median where tall strokes are many: standard
    # deviation of the log ratio 0.21 against 0.22 (CROHME train), 0.23 against 0.26 (2013).
    return float(np.exp(np.log(size).mean()))


def normalise(ink: Ink, unit: float | None = None) -> Ink:
    """The ink in symbol units, its left top at (0, 0), with no more points than it needs.

    Strokes keep their number and order; each keeps its first and last point, and follows the
    original within `TOLERANCE`. A stroke smaller than that becomes a single point.

    Args:
        ink: strokes in any unit.
        unit: device units per symbol unit; `symbol_unit(ink)` if not given.

    Raises:
        InkError: there is no point, a stroke is empty, or the ink spans over `MAX_EXTENT`.
        ValueError: the unit is not positive.
    """
    unit = symbol_unit(ink) if unit is None else unit
    if not unit > 0:
        raise ValueError(f"a symbol unit is positive, not {unit}")
    if not all(len(stroke) for stroke in ink.strokes):
        raise InkError("a stroke has no points")
    points = np.concatenate(ink.strokes).astype(np.float64)
    points = (points - points.min(axis=0)) / unit  # first, while digits are plentiful
    if not points.max() <= MAX_EXTENT:
        raise InkError(
            f"the ink spans {points.max():.0f} symbols, more than {MAX_EXTENT:.0f}: "
            "remove stray points"
        )
    lengths = np.array([len(stroke) for stroke in ink.strokes])
    keep = _simplified(points, lengths, TOLERANCE)
    strokes = tuple(
        _spaced(stroke[kept])
        for stroke, kept in zip(
            np.split(points, np.cumsum(lengths)[:-1]),
            np.split(keep, np.cumsum(lengths)[:-1]),
            strict=True,
        )
    )
    corner = np.concatenate(strokes).min(axis=0)  # the outermost point may have been dropped
    return Ink(tuple(stroke - corner for stroke in strokes), ink.symbols)


def _simplified(
    points: NDArray[np.float64], lengths: NDArray[np.int64], tolerance: float
) -> NDArray[np.bool_]:
    """Which points to keep (n,): Douglas and Peucker's algorithm on all strokes at once.

    Breadth first: every pass adds, to each stretch between kept points that strays further than
    the tolerance from its chord, its farthest point.
    """
    ends = np.cumsum(lengths) - 1
    keep = np.zeros(len(points), bool)
    keep[ends] = keep[ends - lengths + 1] = True
    while True:
        anchors = np.flatnonzero(keep)
        stretch = np.cumsum(keep) - 1
        start = points[anchors[stretch]]
        chord = points[anchors[np.minimum(stretch + 1, len(anchors) - 1)]] - start
        offset = points - start
        square = np.maximum((chord * chord).sum(axis=1), 1e-12)
        along = np.clip((offset * chord).sum(axis=1) / square, 0.0, 1.0)
        away = np.hypot(*(offset - along[:, None] * chord).T)
        away[keep] = 0.0
        farthest = np.maximum.reduceat(away, anchors)[stretch]
        found = (away > tolerance) & (away == farthest)
        if not found.any():
            return keep
        keep |= found


def _spaced(points: NDArray[np.float64]) -> Points:
    """The stroke with points added on long straight stretches; a dot shrinks to one point."""
    if np.hypot(*np.ptp(points, axis=0)) < TOLERANCE:
        return np.asarray(points.mean(axis=0, keepdims=True), np.float32)
    gaps = np.hypot(*np.diff(points, axis=0).T)
    pieces = np.maximum(np.ceil(gaps / MAX_GAP), 1).astype(np.int64)
    position = np.concatenate([[0.0], np.cumsum(pieces)])
    at = np.arange(int(position[-1]) + 1)
    spaced = [np.interp(at, position, points[:, axis]) for axis in (0, 1)]
    return np.asarray(np.stack(spaced, axis=1), np.float32)
