import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hmer.errors import InkError
from hmer.ink.render import MAX_PIXELS, RenderConfig, Rendering, render
from hmer.ink.strokes import Ink, Points


def reference(rendering: Rendering, ink: Ink) -> np.ndarray:
    """Distance of every pixel's centre to every segment, one at a time."""
    height, width = rendering.image.shape
    image = np.zeros((height, width))
    for stroke in ink.strokes:
        pixels = rendering.to_pixels(stroke).astype(float)
        for a, b in zip(pixels, pixels[1:] if len(pixels) > 1 else pixels, strict=False):
            for row in range(height):
                for column in range(width):
                    p = np.array([column + 0.5, row + 0.5])
                    square = float((b - a) @ (b - a))
                    t = min(max(float((p - a) @ (b - a)) / square, 0), 1) if square else 0.0
                    far = np.hypot(*(a + t * (b - a) - p))
                    cover = min(max(rendering.pen / 2 + 0.5 - far, 0), 1)
                    image[row, column] = max(image[row, column], cover)
    return image * 255


def line(*points: tuple[float, float]) -> Points:
    return np.array(points, np.float32)


@pytest.mark.parametrize("pen", [0.05, 0.1, 0.4])
def test_agrees_with_the_definition(pen: float) -> None:
    ink = Ink(
        (
            line((0, 0), (1.3, 0.2), (1.2, 1.1), (0.1, 0.9)),
            line((0.5, 0.4)),
            line((0.2, 0.6), (0.2, 0.6)),
            line((-0.3, 1.3), (2.1, -0.2)),
        )
    )
    rendering = render(ink, 14, pen, 0.2)
    assert np.abs(rendering.image - reference(rendering, ink)).max() <= 1.01


@given(
    st.lists(st.tuples(st.floats(0, 0.9), st.floats(0, 0.9)), min_size=1, max_size=5),
    st.floats(3, 14),
    st.floats(0, 0.5),
)
def test_any_stroke_agrees(points: list[tuple[float, float]], unit: float, margin: float) -> None:
    ink = Ink((line(*points),))
    rendering = render(ink, unit, 0.15, margin)
    assert np.abs(rendering.image - reference(rendering, ink)).max() <= 1.01


def test_size_margin_and_coordinates() -> None:
    rendering = render(Ink((line((2, 3), (5, 4)),)), unit=10, pen=0.1, margin=0.5)
    assert rendering.image.shape == (20, 40)
    np.testing.assert_allclose(
        rendering.to_pixels(line((2, 3), (5, 4), (3.5, 3.5))), [[5, 5], [35, 15], [20, 10]]
    )
    assert rendering.image.dtype == np.uint8
    assert rendering.image[:3].max() == 0


def test_dots_are_visible_and_strokes_not_joined() -> None:
    rendering = render(Ink((line((0, 0)), line((3, 0)))), unit=20)
    assert rendering.image[:, :20].sum() / 255 == pytest.approx(np.pi, rel=0.15)  # pen of 2 pixels
    assert rendering.image[:, 20:50].max() == 0


def test_order_of_strokes_plays_no_part() -> None:
    strokes = (line((0, 0), (2, 1)), line((0, 1), (2, 0)), line((1, 0), (1, 1)))
    one, other = render(Ink(strokes), 20), render(Ink(strokes[::-1]), 20)
    np.testing.assert_array_equal(one.image, other.image)


def test_too_large_is_refused() -> None:
    sparse = Ink((line((0, 0)), line((1e5, 1e5))))
    with pytest.raises(InkError, match=str(MAX_PIXELS)):
        render(sparse, 20)
    with pytest.raises(InkError):
        render(Ink((line((0, 0), (np.inf, 0)),)), 20)


def test_endless_scribbling_is_refused() -> None:
    back_and_forth = np.zeros((60_000, 2), np.float32)
    back_and_forth[::2] = 20
    with pytest.raises(InkError, match="no expression"):
        render(Ink((back_and_forth,)), 20)


def test_nothing_cannot_be_drawn() -> None:
    with pytest.raises(InkError):
        render(Ink(()), 20)
    for arguments in ((0, 0.1, 0.1), (20, 0, 0.1), (20, 0.1, -1)):
        with pytest.raises(ValueError, match="cannot draw"):
            render(Ink((line((0, 0)),)), *arguments)


def test_defaults_are_valid() -> None:
    assert RenderConfig().unit == 20
