import numpy as np
import pytest
from PIL import Image, ImageFilter

from hmer.ink.page import expression_boxes, expressions_in, expressions_on
from hmer.ink.render import RenderConfig, render
from hmer.ink.strokes import Ink, Points

UNIT = 20
STYLE = RenderConfig(unit=UNIT)


def line(*places: tuple[float, float]) -> Points:
    return np.array(places, np.float32)


def ring(x: float, y: float) -> Points:
    angle = np.linspace(0, 2 * np.pi, 20)
    return np.stack([x + 0.4 * np.cos(angle), y + 0.5 * np.sin(angle)], 1).astype(np.float32)


def word(y: float, count: int = 4, x: float = 0) -> list[Points]:
    return [ring(x + 1.1 * n, y) for n in range(count)]


def centres(*strokes: Points) -> list[tuple[float, float]]:
    """Of each expression, in symbol units from the first ring's centre."""
    boxes = expression_boxes(render(Ink(strokes), UNIT, 0.1, 0.25).image, UNIT)
    middle = ((np.array(boxes)[:, :2] + np.array(boxes)[:, 2:]) / 2 / UNIT).round(1)
    return [(x, y) for x, y in (middle - (0.65, 0.75)).tolist()]


PAGE = [*word(0), *word(0.3, x=9), *word(3, 6), *word(6), *word(7.5, 3, x=9), *word(5, 3, x=9)]
WHERE = [(1.7, 0), (10.7, 0.3), (2.8, 3), (1.7, 6), (10.1, 5), (10.1, 7.5)]


def test_expressions_are_found_in_reading_order() -> None:
    """Rows, columns in a row, and rows in a column beside one that stands alone."""
    assert np.array(centres(*PAGE)) == pytest.approx(np.array(WHERE), abs=0.15)


@pytest.mark.parametrize(
    "strokes",
    [
        word(0),
        [*word(0), line((-0.6, 1.2), (4, 1.4)), *word(2.6)],  # a fraction, its bar near above
        [*word(0), line((-0.6, 1.7), (4, 1.9)), *word(2.6)],  # and below
        [*word(0, 8), ring(0, 1.9), ring(1.1, 1.9)],  # a limit, an index
        [line((0, 0), (3, 0)), line((0, 1), (3, 1))],  # a large equals sign
        [*word(0), *word(0, x=6)],  # written wide
        [*word(0), ring(9, 0)],  # one symbol far to the right
        [ring(0, 0)],
    ],
)
def test_parts_of_one_expression_are_not_torn_apart(strokes: list[Points]) -> None:
    assert len(centres(*strokes)) == 1
    ink = Ink(tuple(strokes))
    assert expressions_in(ink, STYLE) == [ink]


def test_blank_paper_has_none() -> None:
    assert expression_boxes(np.zeros((30, 40), np.uint8), UNIT) == []


def test_ink_is_split_by_its_strokes() -> None:
    device = Ink(tuple(PAGE)).mapped(lambda points: points * 50 + 1000)
    found = expressions_in(device, STYLE)
    boxes = np.array([part.bounds() for part in found])
    middle = ((boxes[:, :2] + boxes[:, 2:]) / 2 - 1000) / 50
    assert middle == pytest.approx(np.array(WHERE), abs=0.1)
    assert np.array_equal(np.concatenate(found[2].strokes), np.concatenate(device.strokes[8:14]))


@pytest.mark.parametrize("angle", [0, 4])
@pytest.mark.parametrize("unit", [12, 45])
def test_pictures_are_split_at_any_scale_and_askew(unit: int, angle: float) -> None:
    strokes = [*word(0, 12), *word(0.3, 8, x=20), *word(3, 25), *word(6, 22)]
    page = render(Ink(tuple(strokes)), unit, 0.1, 1).image
    turned = Image.fromarray(page).rotate(angle, Image.Resampling.BICUBIC, expand=True)
    whole = np.asarray(turned)
    found = expressions_on(whole, STYLE)
    assert len(found) == 4
    # Every box holds its expression and no other: all ink of the page is in one of the boxes.
    left = whole.copy()
    for image, (x, y, right, bottom), back in found:
        rows, columns = np.nonzero(image > image.max() / 2)
        across, down, _ = back @ np.stack([columns + 0.5, rows + 0.5, np.ones(len(rows))])
        near = np.asarray(turned.filter(ImageFilter.MaxFilter(5))) > 127
        assert near[down.astype(int), across.astype(int)].mean() > 0.97
        inside = left[round(y) : round(bottom), round(x) : round(right)]
        assert (inside > 127).any()
        if not angle:
            inside[:] = 0
    assert angle or not (left > 127).any()
    tops = [box[1] for _, box, _ in found]
    assert tops[2] < tops[3] and found[0][1][2] < found[1][1][0]


def test_a_picture_of_one_expression_is_itself() -> None:
    image = render(Ink(tuple(word(0))), 30, 0.1, 0).image
    ((_, box, _),) = expressions_on(image, STYLE)
    assert box == (0, 0, image.shape[1], image.shape[0])
