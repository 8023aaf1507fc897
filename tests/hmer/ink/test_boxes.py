import numpy as np

from hmer.ink.boxes import SymbolBox, symbol_boxes
from hmer.ink.render import render
from hmer.ink.strokes import Ink, Symbol

INK = Ink(
    (
        np.array([[0, 0], [1, 1]], np.float32),
        np.array([[1, 0], [0, 1]], np.float32),
        np.array([[2, 0.5], [4, 0.5]], np.float32),
    ),
    (Symbol("x", (0, 1)), Symbol("-", (2,)), Symbol("?", ())),
)


def test_boxes_hold_points_and_pen() -> None:
    rendering = render(INK, unit=10, pen=0.2, margin=0.5)
    assert symbol_boxes(INK, rendering) == (
        SymbolBox("x", 4, 4, 16, 16),
        SymbolBox("-", 24, 9, 46, 11),
    )


def test_boxes_hold_the_ink_of_the_image() -> None:
    rendering = render(INK, unit=17.3, pen=0.1, margin=0.3)
    left = rendering.image.copy()
    for box in symbol_boxes(INK, rendering):
        left[int(box.top) : int(box.bottom) + 1, int(box.left) : int(box.right) + 1] = 0
    assert left.max() <= 128  # only the soft edge of the pen is outside


def test_boxes_are_cut_to_the_image() -> None:
    rendering = render(INK, unit=10, pen=0.8, margin=0)
    height, width = rendering.image.shape
    for box in symbol_boxes(INK, rendering):
        assert box.left >= 0 <= box.top
        assert box.right <= width
        assert box.bottom <= height
