"""Finding the expressions on a page: recursive cuts along blank rows and columns (XY-cut).

Nagy and Seth 1984, "Hierarchical representation of optically scanned documents"; blank rows
beside a fraction bar, or between a sum and its limits, are not cut.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hmer.ink.affine import Affine, mapped, moved
from hmer.ink.blobs import picture_unit
from hmer.ink.components import component_boxes
from hmer.ink.deskew import straighten
from hmer.ink.fit import fit_picture, fitted
from hmer.ink.picture import Grey, trimmed
from hmer.ink.render import MAX_PIXELS, RenderConfig, render
from hmer.ink.scale import normalise
from hmer.ink.strokes import Ink

Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""

_Boxes = NDArray[np.int64]

# In symbol units. How often they err is in reports/experiments.md.
_GAP = 0.9  # of blank paper between two expressions
_WIDE_GAP = 1.2  # above which what is much narrower than its neighbour is no limit or index of it
_SIDE_GAP = 3.0  # between two expressions side by side
_WIDE_SIDE_GAP = 6.0  # even if there is a bar beside it: a relation, or a minus
_HEIGHT, _WIDTH = 0.7, 2.0  # of an expression; what is smaller is an index, a limit, a mark
_NARROW = 0.35
_BAR = 0.5  # of the narrower neighbour's width, from which a smooth edge of ink is a fraction bar
_RIM = 0.2  # of paper around an expression that is cut out
_ROOM = 0.7  # of the pixels that an image may have, without its border


def expressions_on(image: Grey, style: RenderConfig) -> list[tuple[Grey, Box, Affine]]:
    """Each expression on a page in reading order, at scale, with its box on the page.

    The map leads from its pixels to those of the page.

    Args:
        image: ink on nothing, as `hmer.ink.picture.load_picture` gives it.
        style: the scale, see `hmer.ink.fit.fit_picture`.

    Raises:
        InkError: there is no ink, or too much of it on one expression.
    """
    height, width = image.shape
    level, back = straighten(image)
    unit = picture_unit(level)
    scale = _scale(level.size / unit**2, style)
    whole = fit_picture(level, scale, deskew=False)
    border = round(scale.margin * scale.unit)
    boxes = np.array(expression_boxes(whole, scale.unit))
    if len(boxes) < 2:
        whole, shrunk = fitted(level, style, deskew=False)
        return [(whole, (0.0, 0.0, float(width), float(height)), back @ shrunk)]
    rim = np.array([-1, -1, 1, 1]) * _RIM * unit
    found: list[tuple[Grey, Box, Affine]] = []
    for box in (boxes - border) * unit / scale.unit + rim:
        left, top, right, bottom = np.rint(box).astype(int).clip(0)
        x, y, right_end, bottom_end = mapped((left, top, right, bottom), back)
        place = (max(x, 0), max(y, 0), min(right_end, width), min(bottom_end, height))
        part, inner = trimmed(level[top:bottom, left:right])
        at_scale, shrunk = fitted(part, style)
        found.append((at_scale, place, back @ moved(left, top) @ inner @ shrunk))
    return found


def expressions_in(ink: Ink, style: RenderConfig) -> list[Ink]:
    """Each expression of an ink in reading order, in the ink's units.

    Raises:
        InkError: there are no points, or too many, or too far apart.
    """
    level = normalise(ink)
    left, top, right, bottom = level.bounds()
    scale = _scale((right - left + 1) * (bottom - top + 1), style)
    drawn = render(level, scale.unit, scale.pen, scale.margin)
    boxes = np.array(expression_boxes(drawn.image, scale.unit))
    if len(boxes) < 2:
        return [ink]
    spots = [drawn.to_pixels(stroke) for stroke in level.strokes]
    middle = np.array([(spot.min(axis=0) + spot.max(axis=0)) / 2 for spot in spots])
    away = np.maximum(boxes[:, None, :2] - middle, middle - boxes[:, None, 2:]).max(axis=2)
    belongs = away.argmin(axis=0)
    parts = (
        Ink(tuple(ink.strokes[i] for i in np.flatnonzero(belongs == number)))
        for number in range(len(boxes))
    )
    return [part for part in parts if part.strokes]


def _scale(area: float, style: RenderConfig) -> RenderConfig:
    """The scale at which a page of so many square units is looked at: as wanted, if it has room."""
    unit = float((_ROOM * MAX_PIXELS / area) ** 0.5)
    return style if unit >= style.unit else style.model_copy(update={"unit": max(4.0, unit)})


def expression_boxes(image: Grey, unit: float) -> list[tuple[int, int, int, int]]:
    """The expressions on an image in reading order: left, top, and right, bottom (exclusive).

    One for an ordinary picture: fractions, and sums with their limits, are not torn apart.

    Args:
        image: (H, W), ink 255 on 0.
        unit: pixels per symbol.
    """
    ink = image > 127
    boxes = component_boxes(ink)[:, :4]
    return [_union(part) for part in _cut(ink, boxes, unit)] if len(boxes) else []


def _cut(ink: NDArray[np.bool_], boxes: _Boxes, unit: float) -> list[_Boxes]:
    """The boxes (n, 4) of each expression: rows, in them columns, in them rows, ..."""
    for groups in (_rows(ink, boxes, unit), _columns(boxes, unit)):
        if len(groups) > 1:
            return [part for group in groups for part in _cut(ink, group, unit)]
    return [boxes]


def _rows(ink: NDArray[np.bool_], boxes: _Boxes, unit: float) -> list[_Boxes]:
    rows: list[_Boxes] = []
    for group in _apart(boxes, 1, _GAP * unit):
        if rows and _belong(ink, _union(rows[-1]), _union(group), unit):
            rows[-1] = np.concatenate([rows[-1], group])
        else:
            rows.append(group)
    return rows


def _columns(boxes: _Boxes, unit: float) -> list[_Boxes]:
    columns: list[_Boxes] = []
    for group in _apart(boxes, 0, _SIDE_GAP * unit):
        if columns and _continued(columns[-1], group, unit):
            columns[-1] = np.concatenate([columns[-1], group])
        else:
            columns.append(group)
    return columns


def _continued(left: _Boxes, right: _Boxes, unit: float) -> bool:
    """Whether two groups of boxes, one beside the other, are parts of one expression."""
    if _small(_union(left), unit) or _small(_union(right), unit):
        return True
    if _union(right)[0] - _union(left)[2] >= _WIDE_SIDE_GAP * unit:
        return False
    last, first = left[left[:, 2].argmax()], right[right[:, 0].argmin()]
    return any(box[2] - box[0] > 2 * (box[3] - box[1]) for box in (last, first))


def _apart(boxes: _Boxes, axis: int, gap: float) -> list[_Boxes]:
    """Groups between which there are so many blank pixels, along x (0) or y (1)."""
    ordered = boxes[boxes[:, axis].argsort(kind="stable")]
    reached = np.maximum.accumulate(ordered[:, axis + 2])
    return np.split(ordered, np.flatnonzero(ordered[1:, axis] - reached[:-1] >= gap) + 1)


def _union(boxes: _Boxes) -> tuple[int, int, int, int]:
    (left, top), (right, bottom) = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
    return int(left), int(top), int(right), int(bottom)


def _small(box: tuple[int, int, int, int], unit: float) -> bool:
    """Whether this is less than an expression: an index, a limit, a mark."""
    return box[2] - box[0] < _WIDTH * unit or box[3] - box[1] < _HEIGHT * unit


def _belong(
    ink: NDArray[np.bool_],
    upper: tuple[int, int, int, int],
    lower: tuple[int, int, int, int],
    unit: float,
) -> bool:
    """Whether two groups of ink, one above the other, are parts of one expression."""
    if _small(upper, unit) or _small(lower, unit):
        return True
    widths = [box[2] - box[0] for box in (upper, lower)]
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
