import numpy as np
import pytest

from hmer.ink.render import render
from hmer.ink.rows import expression_rows
from hmer.ink.strokes import Ink, Points

UNIT = 20


def line(*places: tuple[float, float]) -> Points:
    return np.array(places, np.float32)


def ring(x: float, y: float) -> Points:
    angle = np.linspace(0, 2 * np.pi, 20)
    return np.stack([x + 0.4 * np.cos(angle), y + 0.5 * np.sin(angle)], 1).astype(np.float32)


def rows(*strokes: Points) -> list[tuple[int, int]]:
    return expression_rows(render(Ink(strokes), UNIT, 0.1, 0.25).image, UNIT)


def word(y: float, count: int = 4) -> list[Points]:
    return [ring(1.1 * n, y) for n in range(count)]


def test_expressions_one_above_the_other_are_told_apart() -> None:
    found = rows(*word(0), *word(2.5), *word(5, 6))
    assert len(found) == 3
    for (top, bottom), y in zip(found, (0, 2.5, 5), strict=True):
        assert (top + bottom) / 2 == pytest.approx((y + 0.75) * UNIT, abs=3)


@pytest.mark.parametrize(
    "strokes",
    [
        word(0),
        [*word(0), line((-0.6, 1.2), (4, 1.4)), *word(2.6)],  # a fraction, its bar near above
        [*word(0), line((-0.6, 1.7), (4, 1.9)), *word(2.6)],  # and below
        [*word(0, 8), ring(0, 1.9), ring(1.1, 1.9)],  # a limit, an index
        [line((0, 0), (3, 0)), line((0, 1), (3, 1))],  # a large equals sign
        [ring(0, 0)],
    ],
)
def test_parts_of_one_expression_are_not(strokes: list[Points]) -> None:
    assert len(rows(*strokes)) == 1


def test_blank_paper_has_none() -> None:
    assert expression_rows(np.zeros((30, 40), np.uint8), UNIT) == []
