import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hmer.ink.components import component_boxes, components


def flooded(mask: np.ndarray) -> list[tuple[int, ...]]:
    """The same by flood fill, pixel by pixel."""
    left = {(int(r), int(c)) for r, c in zip(*np.nonzero(mask), strict=True)}
    boxes = []
    while left:
        stack, found = [left.pop()], []
        while stack:
            row, column = stack.pop()
            found.append((row, column))
            for dr in (-1, 0, 1):
                for dc in (-1, 0, 1):
                    if (row + dr, column + dc) in left:
                        left.remove((row + dr, column + dc))
                        stack.append((row + dr, column + dc))
        rows, columns = zip(*found, strict=True)
        boxes.append((min(columns), min(rows), max(columns) + 1, max(rows) + 1, len(found)))
    return sorted(boxes)


@given(arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12))))
def test_agrees_with_flood_fill(mask: np.ndarray) -> None:
    assert sorted(map(tuple, component_boxes(mask).tolist())) == flooded(mask)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_agrees_on_a_larger_image(share: float) -> None:
    mask = np.random.default_rng(3).random((60, 90)) < share
    assert sorted(map(tuple, component_boxes(mask).tolist())) == flooded(mask)


def test_nothing_has_no_components() -> None:
    assert component_boxes(np.zeros((4, 5), bool)).shape == (0, 5)


def test_each_component_alone() -> None:
    rng = np.random.default_rng(3)
    mask = rng.random((30, 40)) < 0.3
    values = rng.random(mask.shape).astype(np.float32)
    found = components(mask)
    total = np.zeros(mask.shape, int)
    for number, peak in enumerate(found.peaks(values)):
        one = found.mask(np.arange(len(found.boxes)) == number)
        assert component_boxes(one).tolist() == [found.boxes[number].tolist()]
        assert values[one].max() == peak
        total += one
    assert np.array_equal(total, mask)
