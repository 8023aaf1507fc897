"""Giving ink to tokens, on attention made by hand."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from hmer.ink.affine import moved
from hmer.ink.strokes import Ink
from hmer.recognition_symbols import along, matched, owners, symbols_of_ink, symbols_of_picture

STRIDE = 8


def attention(*cells: tuple[int, int]) -> np.ndarray:
    """A map per token, all of it in one of 4 x 6 cells."""
    found = np.zeros((len(cells), 4, 6), np.float32)
    for number, (row, column) in enumerate(cells):
        found[number, row, column] = 1.0
    return found


def at(row: int, column: int) -> np.ndarray:
    """A short stroke in the middle of a cell."""
    x, y = (column + 0.5) * STRIDE, (row + 0.5) * STRIDE
    return np.array([[x - 1, y], [x + 1, y]], np.float32)


@pytest.mark.parametrize("shape", [(1, 1), (2, 5), (5, 3), (4, 4)])
def test_the_match_is_the_best_of_all(shape: tuple[int, int]) -> None:
    random = np.random.default_rng(sum(shape))
    for _ in range(20):
        score = random.normal(size=shape)
        rows, columns = matched(score)
        assert len({*rows}) == len({*columns}) == min(shape)
        wide = score if shape[0] <= shape[1] else score.T
        best = max(
            sum(wide[row, column] for row, column in enumerate(order))
            for order in permutations(range(wide.shape[1]), len(wide))
        )
        assert score[rows, columns].sum() == pytest.approx(best)


def test_strokes_go_to_the_token_that_looks_at_them() -> None:
    maps = attention((1, 1), (2, 4))
    found = owners(maps, [at(2, 4), at(1, 1), at(1, 2), at(1, 1)], STRIDE)
    assert found.tolist() == [1, 0, 0, 0]


def test_a_token_that_looks_at_its_neighbour_still_gets_ink() -> None:
    # Both look at the first stroke, the second a little at the other one, too.
    maps = attention((1, 1), (1, 1))
    maps[1, 1, 1], maps[1, 1, 3] = 0.9, 0.1
    assert owners(maps, [at(1, 1), at(1, 3)], STRIDE).tolist() == [0, 1]


def test_what_no_token_looks_at_is_given_away_too_and_a_token_without_ink_left_out() -> None:
    ink = Ink((at(0, 0), at(3, 5)))
    found = symbols_of_ink(["x"], [0], attention((0, 0)), STRIDE, ink, ink.strokes)
    assert [(one.token, one.strokes, one.box) for one in found] == [("x", (0, 1), ink.bounds())]
    ink = Ink((at(0, 0),))
    found = symbols_of_ink(list("abc"), [0, 1, 2], attention((3, 3), (0, 0), (1, 1)), STRIDE, ink,
                           ink.strokes)  # fmt: skip
    assert [(one.token, one.place, one.strokes) for one in found] == [("b", 1, (0,))]


def test_touching_symbols_have_the_ink_that_they_look_at() -> None:
    image = np.zeros((4 * STRIDE, 6 * STRIDE), np.uint8)
    image[10:14, 2:46] = 255
    image[28:30, 2:6] = 255
    found = symbols_of_picture(
        ["a", "b", "c"], [0, 1, 2], attention((1, 0), (1, 5), (3, 0)), STRIDE, image, moved(100, 7)
    )
    boxes: dict[str, object] = {one.token: one.box for one in found}
    assert boxes["c"] == (102, 35, 106, 37)
    whole, left, right = (102, 17, 146, 21), (102, 17, 108, 21), (140, 17, 146, 21)
    assert {boxes["a"], boxes["b"]} in ({left, whole}, {whole, right})


def test_points_along_a_stroke_are_a_pixel_apart() -> None:
    found = along(np.array([[0, 0], [3, 4], [3, 9.5]], np.float32))
    steps = np.hypot(*np.diff(found, axis=0).T)
    assert steps.max() <= 1.0 and found[0].tolist() == [0, 0] and found[-1].tolist() == [3, 9.5]
    assert (along(np.array([[2, 5]], np.float32)) == [2, 5]).all()
