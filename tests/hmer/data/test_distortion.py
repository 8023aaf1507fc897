"""Distorted images, and where their ink went."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from hmer.data.distortion import distort, ink_points, pen_width
from hmer.ink.augment import AugmentConfig

NO_CHANGE = AugmentConfig(rotation=0, shear=0, aspect=1, pen=1)
Grey = NDArray[np.uint8]


def dots(seed: int) -> Grey:
    """Lone pixels, at least seven apart."""
    rng = np.random.default_rng(seed)
    image = np.zeros((50, 120), np.uint8)
    for row in range(4, 47, 8):
        for column in range(4, 117, 8):
            if rng.random() < 0.5:
                image[row, column] = 255
    image[4, 4] = 255
    return image


def line(width: int) -> Grey:
    image = np.zeros((30, 80), np.uint8)
    image[10 : 10 + width, 5:70] = 255
    return image


def test_points_are_the_middles_of_inked_pixels() -> None:
    image = np.zeros((3, 4), np.uint8)
    image[1, 2], image[2, 0], image[0, 3] = 255, 128, 127
    assert ink_points(image).tolist() == [[2.5, 1.5], [0.5, 2.5]]


def test_no_change_changes_nothing() -> None:
    image = dots(1)
    same, points = distort(image, NO_CHANGE, np.random.default_rng(0))
    assert np.array_equal(same, image)
    np.testing.assert_allclose(points, ink_points(image), atol=1e-4)


@given(
    seed=st.integers(0, 999),
    rotation=st.floats(0, 30),
    shear=st.floats(0, 0.5),
    aspect=st.floats(1, 1.5),
)
def test_points_are_where_the_ink_went(
    seed: int, rotation: float, shear: float, aspect: float
) -> None:
    config = AugmentConfig(rotation=rotation, shear=shear, aspect=aspect, pen=1)
    image = dots(seed)
    moved, points = distort(image, config, np.random.default_rng(seed))
    assert len(points) == (image > 0).sum()
    rows, columns = np.nonzero(moved)
    weight = moved[rows, columns].astype(float)
    for x, y in points:
        near = np.hypot(columns + 0.5 - x, rows + 0.5 - y) < 2.5
        assert near.any()
        centre = [np.average(a[near] + 0.5, weights=weight[near]) for a in (columns, rows)]
        assert np.hypot(centre[0] - x, centre[1] - y) < 0.5


def test_the_map_is_what_the_parameters_say() -> None:
    """The four dots of a square tell the angle and the slant."""
    image = np.zeros((60, 60), np.uint8)
    image[[10, 10, 50, 50], [10, 50, 10, 50]] = 255
    turned = [
        distort(
            image, AugmentConfig(rotation=20, shear=0, aspect=1, pen=1), np.random.default_rng(s)
        )
        for s in range(40)
    ]
    angles = []
    for _, points in turned:
        across, down = points[1] - points[0], points[2] - points[0]
        assert np.hypot(*across) == pytest.approx(40, rel=0.03)
        assert across @ down == pytest.approx(0, abs=40)
        angles.append(np.degrees(np.arctan2(across[1], across[0])))
    assert max(np.abs(angles)) <= 21
    assert min(angles) < -10
    assert max(angles) > 10
    slants = []
    for seed in range(40):
        config = AugmentConfig(rotation=0, shear=0.5, aspect=1, pen=1)
        _, points = distort(image, config, np.random.default_rng(seed))
        down = points[2] - points[0]
        assert down[1] == pytest.approx(40, abs=1)
        slants.append(down[0] / 40)
    assert max(np.abs(slants)) <= 0.52
    assert min(slants) < -0.3
    assert max(slants) > 0.3


@pytest.mark.parametrize("seed", range(5))
def test_paper_around_the_ink_stays_as_wide(seed: int) -> None:
    image = np.pad(dots(seed), ((3, 5), (7, 2)))
    config = AugmentConfig(rotation=10, shear=0.3, aspect=1.2, pen=1.2)
    moved, _ = distort(image, config, np.random.default_rng(seed))
    for before, after in zip(paper(image), paper(moved), strict=True):
        assert before == after


def paper(image: Grey) -> list[int]:
    """Blank columns and rows at the left, right, top and bottom."""
    inked = image > 12
    columns, rows = (np.asarray(inked.any(axis=axis), dtype=bool) for axis in (0, 1))
    return [int(side.argmax()) for side in (columns, columns[::-1], rows, rows[::-1])]


@pytest.mark.parametrize(("width", "factor"), [(4, 1.3), (3, 1.5), (4, 0.75), (5, 0.8), (3, 1.0)])
def test_pens(width: int, factor: float) -> None:
    image = torch.from_numpy(line(width))[None]
    found = pen_width(image, factor)
    assert found.shape == image.shape
    assert found.dtype == torch.uint8
    ratio = float(found.float().sum() / image.float().sum())
    assert ratio == pytest.approx(factor, abs=0.01)
    # By one pixel at most, and no line is lost.
    assert not found[0, :9].any()
    assert (found[0, 11 : 10 + width - 1, 8:66] > 100).all()


def test_hair_lines_stay() -> None:
    found = pen_width(torch.from_numpy(line(1))[None], 0.25)
    assert (found[0, 10, 5:70] >= 100).all()


def test_blank_paper() -> None:
    blank = np.zeros((20, 30), np.uint8)
    moved, points = distort(blank, AugmentConfig(), np.random.default_rng(0))
    assert np.array_equal(moved, blank)
    assert points.shape == (0, 2)


def test_the_generator_decides() -> None:
    image = dots(3)
    one, same, other = (
        distort(image, AugmentConfig(), np.random.default_rng(seed)) for seed in (0, 0, 1)
    )
    assert np.array_equal(one[0], same[0])
    assert np.array_equal(one[1], same[1])
    assert one[0].shape != other[0].shape or not np.array_equal(one[0], other[0])
