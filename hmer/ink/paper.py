"""Paper among the strokes of a drawing: ruled and squared lines, lattices of dots, a frame.

A fraction bar, a minus or an absolute bar is a straight line, too. Paper is several exactly
straight lines with common ends, at equal distances, between which all of the writing lies; or two
that cross and are far longer than what is written, as axes are.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from hmer.ink.scale import typical_size
from hmer.ink.strokes import Points

_Mask = NDArray[np.bool_]

_STRAIGHT = 0.005  # of a line's length, by which it may bend or be askew
_ENDS = 0.02  # of its length, by which its ends may be off
_OUT = 1.5  # distances between lines, by which writing may go beyond the outer ones
_LEAST = 4  # lines one way, or one less both ways
_MANY = 8  # or so many where the writing looks like them
_REGULAR = 0.1  # of the distance between lines, by which one may be off
_AXIS = 4  # times the writing's size, that an axis is long
_DOTS = 4  # rows and columns of a lattice
_FULL = 0.5  # of its places have a dot, of the lines have a next one


def on_paper(strokes: Sequence[Points], looks: Sequence[Hashable]) -> _Mask:
    """Which strokes are written (n,), and not the paper's; all where nothing else is left.

    Args:
        strokes: points of each (n, 2).
        looks: for each the pen or colour, by which what is drawn may differ from what is written.
    """
    boxes = np.array([[*line.min(axis=0), *line.max(axis=0)] for line in strokes], np.float64)
    printed = _lattice(boxes, looks)
    printed |= _rectangles(boxes, strokes, looks)
    printed |= _ruling(boxes, looks, printed)
    printed |= _axes(boxes, printed)
    return ~printed if not printed.all() else np.ones(len(boxes), bool)


def _ruling(boxes: NDArray[np.float64], looks: Sequence[Hashable], known: _Mask) -> _Mask:
    """Which of the boxes (left, top, right, bottom) are lines of the paper."""
    none = np.zeros(len(boxes), bool)
    ways = [_parallel(boxes, axis) for axis in (0, 1)]
    rest = ~(ways[0] | ways[1] | known)
    if not rest.any():
        return none
    written = np.concatenate([boxes[rest, :2].min(axis=0), boxes[rest, 2:].max(axis=0)])
    # Lines of one way that are none of the paper are written.
    ways = [found if _around(boxes[found], written, axis) else none
            for axis, found in enumerate(ways)]  # fmt: skip
    counts = [int(found.sum()) for found in ways]
    if max(counts) < _LEAST and min(counts) < _LEAST - 1:
        return none
    printed = ways[0] | ways[1]
    alike = {looks[i] for i in np.flatnonzero(printed).tolist()} & {
        looks[i] for i in np.flatnonzero(rest).tolist()
    }
    return none if alike and sum(counts) < _MANY else printed


def _axes(boxes: NDArray[np.float64], known: _Mask) -> _Mask:
    """Which of the boxes are a pair of axes: exactly straight, crossing, far larger than writing.

    The strokes of a large plus are a few times as long as the others, at most.
    """
    found = np.zeros(len(boxes), bool)
    ways = [_parallel(boxes, axis) & ~known for axis in (0, 1)]
    rest = ~(ways[0] | ways[1] | known)
    if [int(way.sum()) for way in ways] != [1, 1] or rest.sum() < 2:
        return found
    (x, y, right, _), (left, top, _, bottom) = (boxes[way][0] for way in ways)
    sizes = boxes[rest, 2:] - boxes[rest, :2]
    least = max(_AXIS * typical_size(sizes), sizes.max())
    slack = _ENDS * max(right - x, bottom - top)
    meet = x - slack <= left <= right + slack and top - slack <= y <= bottom + slack
    if meet and min(right - x, bottom - top) >= least:
        found = ways[0] | ways[1]
    return found


def _parallel(boxes: NDArray[np.float64], axis: int) -> _Mask:
    """Which boxes are the longest exactly straight lines along x (0) or y (1)."""
    sides = boxes[:, 2:] - boxes[:, :2]
    straight = sides[:, 1 - axis] <= _STRAIGHT * sides[:, axis]
    straight &= sides[:, axis] > 0
    if not straight.any():
        return straight
    return np.asarray(straight & (sides[:, axis] >= (1 - _ENDS) * sides[straight, axis].max()))


def _around(lines: NDArray[np.float64], written: NDArray[np.float64], axis: int) -> bool:
    """Whether lines (n, 4) have common ends and equal distances, and the writing between them."""
    if not len(lines):
        return False
    across = 1 - axis
    begin, end = lines[:, axis], lines[:, 2 + axis]
    slack = 2 * _ENDS * float((end - begin).max())
    places = _places(lines[:, [across, 2 + across]].mean(axis=1))
    gaps = np.diff(places)
    if max(np.ptp(begin), np.ptp(end)) > slack or (len(gaps) and not _regular(gaps)):
        return False
    room = _OUT * float(gaps.min()) if len(gaps) > 1 else np.inf  # or a margin
    return bool(
        written[axis] >= begin.min() - slack
        and written[2 + axis] <= end.max() + slack
        and written[across] >= places[0] - room
        and written[2 + across] <= places[-1] + room
    )


def _lattice(boxes: NDArray[np.float64], looks: Sequence[Hashable]) -> _Mask:
    """Which boxes are dots of dotted paper."""
    dots: _Mask = (boxes[:, 2:] == boxes[:, :2]).all(axis=1)
    found: _Mask = np.zeros_like(dots)
    for look in {looks[i] for i in np.flatnonzero(dots).tolist()}:
        alike = dots & np.array([one == look for one in looks])
        columns, rows = (_places(boxes[alike, axis]) for axis in (0, 1))
        regular = all(len(n) >= _DOTS and _regular(np.diff(n)) for n in (columns, rows))
        if regular and alike.sum() >= _FULL * len(columns) * len(rows):
            found |= alike
    return found


def _rectangles(
    boxes: NDArray[np.float64], strokes: Sequence[Points], looks: Sequence[Hashable]
) -> _Mask:
    """Which strokes are exact rectangles: one around all others, or many alike, a square each."""
    exact = np.zeros(len(boxes), bool)
    for number, line in enumerate(strokes):
        begin, end = boxes[number, :2], boxes[number, 2:]
        off = np.minimum(np.abs(line - begin), np.abs(line - end))
        exact[number] = len(line) > 3 and (off <= _STRAIGHT * (end - begin)).all()
    outer = np.concatenate([boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)])
    found: _Mask = exact & (boxes == outer).all(axis=1)
    sizes = boxes[:, 2:] - boxes[:, :2]
    kinds: dict[Hashable, list[int]] = {}
    for number in np.flatnonzero(exact).tolist():
        kinds.setdefault(looks[number], []).append(number)
    for alike in kinds.values():
        if len(alike) >= _MANY and np.ptp(sizes[alike], axis=0).max() <= _ENDS * sizes[alike].max():
            found[alike] = True
    return found


def _places(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where there are any: those that nearly coincide are one."""
    ordered = np.sort(values)
    apart = np.diff(ordered, prepend=-np.inf) > _STRAIGHT * max(float(np.ptp(ordered)), 1e-9)
    return np.asarray(ordered[apart])


def _regular(gaps: NDArray[np.float64]) -> bool:
    """Whether distances are multiples of the smallest one, as most are: lines may be missing."""
    steps = gaps / gaps.min()
    once = float((steps < 1 + _REGULAR).mean())
    return bool((np.abs(steps - np.rint(steps)) < _REGULAR).all()) and once >= _FULL
