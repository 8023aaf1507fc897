import numpy as np
import pytest
from PIL import Image

from hmer.errors import InkError
from hmer.ink.deskew import MAX_ANGLE, skew, straighten
from hmer.ink.render import render
from hmer.ink.strokes import Ink


def written(count: int, *, bar: bool = True) -> np.ndarray:
    """A row of rings, over a bar."""
    angle = np.linspace(0, 2 * np.pi, 30)
    ring = np.stack([0.4 * np.cos(angle), 0.5 * np.sin(angle)], 1)
    strokes = [np.add(ring, [1.4 * n, 0]).astype(np.float32) for n in range(count)]
    if bar:
        strokes.append(np.array([[-0.4, 0.9], [1.4 * count - 1, 0.9]], np.float32))
    return render(Ink(tuple(strokes)), 24, pen=0.1, margin=0.2).image


def turned(image: np.ndarray, angle: float) -> np.ndarray:
    """Falling to the right by `angle` degrees."""
    return np.asarray(Image.fromarray(image).rotate(-angle, Image.Resampling.BICUBIC, expand=True))


@pytest.mark.parametrize("angle", [-12, -5, -2, 2, 5, 12])
@pytest.mark.parametrize("bar", [True, False])
def test_known_angles_are_found_and_undone(angle: float, bar: bool) -> None:
    image = turned(written(8, bar=bar), angle)
    assert skew(image) == pytest.approx(angle, abs=1)
    level, _ = straighten(image)
    assert skew(level) == 0
    assert level.dtype == np.uint8
    assert level[0].max() and level[-1].max() and level[:, 0].max()  # cut to its ink


def test_level_and_compact_writing_is_left_alone() -> None:
    image = written(8)
    found, back = straighten(image)
    assert found is image and np.array_equal(back, np.eye(3))
    for angle in (0.5, 1.0):
        assert skew(turned(image, angle)) == 0
    assert skew(turned(written(1), 8)) == 0


def test_steep_writing_is_not_turned_further_than_that() -> None:
    assert abs(skew(turned(written(10), 40))) <= MAX_ANGLE


def test_no_ink_is_told() -> None:
    with pytest.raises(InkError):
        skew(np.zeros((20, 90), np.uint8))
