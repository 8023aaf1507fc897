"""The pointing game."""

from __future__ import annotations

import numpy as np
import pytest

from hmer.evaluation.attention.pointing import (
    cells_in_boxes,
    cover_of_boxes,
    ink_near_centre,
    peaks,
)
from hmer.ink.boxes import SymbolBox

BOXES = [SymbolBox("x", 3.0, 2.0, 13.0, 9.0), SymbolBox("-", 20.0, 4.0, 30.0, 5.0)]


def test_the_first_maximum_counts() -> None:
    maps = np.zeros((2, 3, 4))
    maps[0, 1, 2] = maps[0, 2, 0] = 1.0
    maps[1, 2, 3] = 0.5
    assert peaks(maps).tolist() == [[1, 2], [2, 3]]


@pytest.mark.parametrize("grow", [0.0, 0.5])
def test_cover_is_counted_pixel_by_pixel(grow: float) -> None:
    stride, grid = 4, (4, 9)
    fine = 4  # parts of a pixel
    cover = cover_of_boxes(BOXES, grid, stride, grow)
    middles = (np.arange(grid[0] * stride * fine) + 0.5) / fine
    across = (np.arange(grid[1] * stride * fine) + 0.5) / fine
    for box, found in zip(BOXES, cover, strict=True):
        more = grow * stride
        tall = (middles > box.top - more) & (middles < box.bottom + more)
        wide = (across > box.left - more) & (across < box.right + more)
        side = stride * fine
        slow = (tall[:, None] & wide).reshape(grid[0], side, grid[1], side).mean(axis=(1, 3))
        assert found == pytest.approx(slow)


def test_cells_in_boxes_go_by_their_centres() -> None:
    inside = cells_in_boxes(BOXES, (4, 9), 4, 0.0)
    # Centres at 2, 6, 10, ...: the first box holds columns 6 and 10, and rows 2 and 6.
    assert np.argwhere(inside[0]).tolist() == [[0, 1], [0, 2], [1, 1], [1, 2]]
    assert not inside[1].any()
    grown = cells_in_boxes(BOXES, (4, 9), 4, 0.5)[1]
    assert np.argwhere(grown).tolist() == [[r, c] for r in (0, 1) for c in (4, 5, 6, 7)]


def test_ink_near_the_centre_of_a_cell() -> None:
    image = np.zeros((10, 16), np.uint8)
    image[1, 4] = 255  # in the margin of its cell
    image[5, 13] = 255  # in the middle of the second
    image[9, 3] = 255  # the third is cut by the picture's end
    near = ink_near_centre(image, 8, (2, 2))
    assert near.tolist() == [[False, True], [False, False]]
