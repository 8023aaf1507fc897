"""The pointing game: does the maximum of a map fall on what it should show?

After Zhang et al., Top-down Neural Attention by Excitation Backprop (IJCV 2018): one point per map,
a hit if it lies on the object. Only the place of the maximum counts, not the strength of the map.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hmer.evaluation.attention.maps import Attention
from hmer.evaluation.images import BoolArray, FloatArray, Image, ink_mask
from hmer.ink.boxes import SymbolBox

Points = NDArray[np.int64]
"""Cells, shape (n, 2): row, column."""


def peaks(maps: Attention) -> Points:
    """The cell of the maximum of each map (n, h, w), the first of equals in reading order."""
    flat = maps.reshape(len(maps), -1).argmax(axis=1)
    return np.stack(np.divmod(flat, maps.shape[-1]), axis=1)


def ink_near_centre(image: Image, stride: int, grid: tuple[int, int]) -> BoolArray:
    """Whether there is ink within a quarter of a cell from each cell's centre: (h, w)."""
    height, width = grid
    padded: BoolArray = np.zeros((height * stride, width * stride), np.bool_)
    padded[: image.shape[0], : image.shape[1]] = ink_mask(image)
    cells = padded.reshape(height, stride, width, stride)
    quarter = stride // 4
    middle = slice(quarter, stride - quarter)
    return np.asarray(cells[:, middle, :, middle].any(axis=(1, 3)))


def cells_in_boxes(
    boxes: Sequence[SymbolBox], grid: tuple[int, int], stride: int, grow: float
) -> BoolArray:
    """Which cells have their centre in each box, grown by `grow` cells: (boxes, h, w)."""
    sides = _sides(boxes, grow * stride)
    rows, columns = ((np.arange(count) + 0.5) * stride for count in grid)
    tall = (sides[:, 1, None] <= rows) & (rows <= sides[:, 3, None])
    wide = (sides[:, 0, None] <= columns) & (columns <= sides[:, 2, None])
    return tall[:, :, None] & wide[:, None, :]


def cover_of_boxes(
    boxes: Sequence[SymbolBox], grid: tuple[int, int], stride: int, grow: float
) -> FloatArray:
    """The share of each cell that lies in each box, grown by `grow` cells: (boxes, h, w)."""
    sides = _sides(boxes, grow * stride)
    tall = _overlap(sides[:, 1], sides[:, 3], grid[0], stride)
    wide = _overlap(sides[:, 0], sides[:, 2], grid[1], stride)
    return tall[:, :, None] * wide[:, None, :]


def _overlap(low: FloatArray, high: FloatArray, cells: int, stride: int) -> FloatArray:
    """The share of each cell of a row of cells that lies between low and high: (n, cells)."""
    start = np.arange(cells) * float(stride)
    inside = np.minimum(high[:, None], start + stride) - np.maximum(low[:, None], start)
    share: FloatArray = inside.clip(min=0.0) / stride
    return share


def _sides(boxes: Sequence[SymbolBox], grow: float) -> FloatArray:
    """Left, top, right, bottom of the grown boxes: (n, 4)."""
    sides = np.array([(b.left, b.top, b.right, b.bottom) for b in boxes]).reshape(-1, 4)
    return sides + grow * np.array([-1.0, -1.0, 1.0, 1.0])
