import numpy as np
import pytest
from PIL import Image, ImageDraw

from hmer.ink.wide import largest, opened, stroke_width, without_strokes


@pytest.mark.parametrize("size", [1, 3, 5, 15, 31])
def test_largest_is_the_largest_of_the_window(size: int) -> None:
    values = np.random.default_rng(0).integers(0, 256, (23, 17), np.uint8)
    half = size // 2
    expected = [
        [values[max(y - half, 0) : y + half + 1, max(x - half, 0) : x + half + 1].max()
         for x in range(17)] for y in range(23)
    ]  # fmt: skip
    np.testing.assert_array_equal(largest(values, size), expected)


def page(pen: int) -> np.ndarray:
    """Lines and a ring of this width, and a disc and a bar ten times as wide."""
    picture = Image.new("L", (600, 400))
    draw = ImageDraw.Draw(picture)
    for y in range(20, 200, 20):
        draw.line((20, y, 420, y + 10), 200, pen)
    draw.ellipse((30, 220, 200, 390), outline=200, width=pen)
    draw.ellipse((440, 60, 440 + 10 * pen, 60 + 10 * pen), 230)
    draw.rectangle((300, 250, 600, 250 + 10 * pen), fill=230)
    return np.asarray(picture)


@pytest.mark.parametrize("pen", [3, 5, 8])
def test_strokes_are_told_from_what_is_wider(pen: int) -> None:
    values = page(pen)
    width = stroke_width(values, 30)
    assert pen - 1 <= width <= 2 * pen
    wide = opened(values, width)
    assert (wide[values == 200] == 0).all()
    assert (wide[values == 230] == 230).mean() > 0.99
    for grey in (values, 255 - values):
        ground = without_strokes(grey.astype(np.float32), width, brighter=grey is values)
        expected = np.where(values == 200, grey[0, 0], grey)
        assert (np.abs(ground - expected) < 1).mean() > 0.99


def test_nothing_has_no_strokes() -> None:
    assert stroke_width(np.zeros((20, 30), np.uint8), 30) == 0
