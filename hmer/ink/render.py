"""Ink to image: anti-aliased strokes with round ends and joints, bright on black.

Every pixel's value is its distance to the pen's path, so the result is smooth at any size and
needs no supersampling; paths are cut into short pieces that are drawn all at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from hmer.errors import InkError
from hmer.ink.strokes import Ink, Points

MAX_PIXELS = 2**22
"""Images larger than this are refused: ink that sparse is a mistake, or an attack."""

_PIECE = 4.0  # pixels: short enough for small patches, long enough for few of them
_MAX_PIECES = 2**20  # a scribble of 4 million pixels
_BATCH = 2**14  # pieces drawn at once, bounding memory
_MAX_PEN = 64.0  # pixels


class RenderConfig(BaseModel):
    """How normalised ink is drawn."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    unit: float = Field(default=20.0, ge=4, le=128, description="pixels per symbol unit")
    pen: float = Field(default=0.1, gt=0, le=1, description="width of the line in symbol units")
    margin: float = Field(default=0.25, ge=0, le=4, description="blank border in symbol units")


@dataclass(frozen=True, slots=True)
class Rendering:
    """An image of ink, and where its points are.

    Attributes:
        image: uint8 (H, W), ink 255 on 0.
        origin: the ink coordinates of the image's left top corner.
        unit: pixels per ink unit.
        pen: the pen's width in pixels.
    """

    image: NDArray[np.uint8]
    origin: tuple[float, float]
    unit: float
    pen: float

    def to_pixels(self, points: Points) -> Points:
        """Ink coordinates (n, 2) to pixel coordinates (n, 2), x then y.

        Pixel (row, column) covers [column, column + 1) x [row, row + 1).
        """
        origin = np.array(self.origin, np.float32)
        return ((points - origin) * np.float32(self.unit)).astype(np.float32)


def render(ink: Ink, unit: float, pen: float = 0.1, margin: float = 0.25) -> Rendering:
    """Draw ink.

    Args:
        ink: strokes, in symbol units if `unit` is to mean pixels per symbol.
        unit: pixels per ink unit.
        pen: width of the line, in ink units.
        margin: blank border on every side, in ink units.

    Raises:
        InkError: no points, an image of more than `MAX_PIXELS`, or endless scribbling.
        ValueError: `unit` or `pen` is not positive, or `margin` is negative.
    """
    if not (unit > 0 and pen > 0 and margin >= 0):
        raise ValueError(f"cannot draw with unit {unit}, pen {pen}, margin {margin}")
    if not any(len(stroke) for stroke in ink.strokes):
        raise InkError("ink without points cannot be drawn")
    left, top, right, bottom = ink.bounds()
    origin = (left - margin, top - margin)
    width = max(1.0, np.ceil((right - left + 2 * margin) * unit))
    height = max(1.0, np.ceil((bottom - top + 2 * margin) * unit))
    if not width * height <= MAX_PIXELS:
        raise InkError(
            f"the ink is {width:.0f} x {height:.0f} pixels at {unit:g} pixels per symbol, "
            f"more than {MAX_PIXELS} pixels: stray strokes, or a unit that is too large"
        )
    pen_pixels = min(pen * unit, _MAX_PEN)
    rendering = Rendering(np.empty((0, 0), np.uint8), origin, unit, pen_pixels)
    starts, ends = _pieces(tuple(rendering.to_pixels(s) for s in ink.strokes if len(s)))
    image = _draw(starts, ends, pen_pixels / 2, int(width), int(height))
    return Rendering(image, origin, unit, pen_pixels)


def _pieces(strokes: tuple[Points, ...]) -> tuple[Points, Points]:
    """Starts and ends (m, 2) of straight pieces no longer than `_PIECE`; a dot is one of none."""
    points = np.concatenate(strokes)
    lengths = np.array([len(stroke) for stroke in strokes])
    last = np.cumsum(lengths) - 1
    joined = np.ones(len(points), bool)
    joined[last] = lengths == 1  # nothing leads from a stroke's last point, unless it is a dot
    index = np.flatnonzero(joined)
    following = index + 1
    dots = last[lengths == 1]
    following[np.searchsorted(index, dots)] = dots
    start, step = points[index], points[following] - points[index]
    count = np.maximum(np.ceil(np.hypot(step[:, 0], step[:, 1]) / _PIECE), 1).astype(np.int64)
    if count.sum() > _MAX_PIECES:
        raise InkError(f"strokes {count.sum() * _PIECE:.0f} pixels long in all are no expression")
    owner = np.repeat(np.arange(len(index)), count)
    number = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
    step = (step / count[:, None].astype(np.float32))[owner]
    begin = start[owner] + step * number[:, None].astype(np.float32)
    return begin, begin + step


def _draw(
    starts: Points, ends: Points, radius: float, width: int, height: int
) -> NDArray[np.uint8]:
    """Paint each piece on a square patch of pixels around it, keeping the brightest."""
    reach = int(np.ceil(_PIECE / 2 + radius + 1.0))
    stride = width + 2 * reach + 1
    canvas = np.zeros((height + 2 * reach + 1) * stride, np.uint8)
    offset = np.arange(-reach, reach + 1, dtype=np.int32)
    patch = (offset[:, None] * stride + offset[None, :]).reshape(1, -1)
    dx, dy = (grid.reshape(1, -1) for grid in np.meshgrid(offset, offset))
    dx, dy = dx.astype(np.float32), dy.astype(np.float32)
    for first in range(0, len(starts), _BATCH):
        start, end = starts[first : first + _BATCH], ends[first : first + _BATCH]
        middle = np.floor((start + end) / 2)
        chord = end - start
        square = np.maximum((chord * chord).sum(axis=1), np.float32(1e-9))
        chord_x, chord_y = chord[:, :1], chord[:, 1:]
        # Vector from the piece's start to each pixel's centre.
        to_x = dx + (middle[:, :1] + np.float32(0.5) - start[:, :1])
        to_y = dy + (middle[:, 1:] + np.float32(0.5) - start[:, 1:])
        along = np.clip((to_x * chord_x + to_y * chord_y) / square[:, None], 0, 1)
        to_x -= along * chord_x
        to_y -= along * chord_y
        cover = np.float32(radius + 0.5) - np.sqrt(to_x * to_x + to_y * to_y)
        cell = middle.astype(np.int32) + reach
        where = cell[:, 1:] * np.int32(stride) + cell[:, :1] + patch
        value = (np.clip(cover, 0, 1) * 255 + np.float32(0.5)).astype(np.uint8)
        inked = value > 0
        np.maximum.at(canvas, where[inked], value[inked])
    padded = canvas.reshape(-1, stride)
    return np.ascontiguousarray(padded[reach : reach + height, reach : reach + width])
