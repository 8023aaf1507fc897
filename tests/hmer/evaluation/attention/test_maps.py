"""Attention measured on the picture."""

from __future__ import annotations

import numpy as np
import pytest

from hmer.evaluation.attention.maps import entropy, ink_lift, upsample


def slow_bilinear(grid: np.ndarray, height: int, width: int, step: float) -> np.ndarray:
    out: np.ndarray = np.zeros((height, width))
    for y in range(height):
        for x in range(width):
            v = min(max((y + 0.5) / step - 0.5, 0.0), grid.shape[0] - 1.0)
            u = min(max((x + 0.5) / step - 0.5, 0.0), grid.shape[1] - 1.0)
            i, j = int(v), int(u)
            below, right = min(i + 1, grid.shape[0] - 1), min(j + 1, grid.shape[1] - 1)
            fy, fx = v - i, u - j
            top = grid[i, j] * (1 - fx) + grid[i, right] * fx
            bottom = grid[below, j] * (1 - fx) + grid[below, right] * fx
            out[y, x] = top * (1 - fy) + bottom * fy
    total: np.ndarray = out / out.sum()
    return total


@pytest.mark.parametrize(("height", "width"), [(12, 16), (9, 13)])
def test_upsample_is_bilinear(height: int, width: int) -> None:
    grid = np.random.default_rng(0).random((3, 4))
    result = upsample(grid, (height, width), stride=4)
    assert result == pytest.approx(slow_bilinear(grid, height, width, 4.0))


def test_stretched_and_by_stride_agree_where_the_grid_fits() -> None:
    maps = np.random.default_rng(1).random((2, 3, 5)).astype(np.float32)
    stretched = upsample(maps, (24, 40))
    assert stretched.shape == (2, 24, 40)
    assert stretched == pytest.approx(upsample(maps, (24, 40), stride=8))
    assert stretched.sum(axis=(1, 2)) == pytest.approx([1.0, 1.0])
    # An exact enlargement keeps the mass of a cell where it was.
    assert stretched[0, :8].sum() > 0.0


def test_attention_on_padding_is_cut_off() -> None:
    grid = np.zeros((2, 6))
    grid[:, 5] = 1.0
    assert not upsample(grid, (16, 24), stride=8).any()


def test_upsample_refuses() -> None:
    with pytest.raises(ValueError, match="cover"):
        upsample(np.ones((2, 2)), (16, 64), stride=8)
    for bad in (-1.0, np.nan):
        with pytest.raises(ValueError, match="finite"):
            upsample(np.full((2, 2), bad), (4, 4))


def test_entropy() -> None:
    one = np.zeros((4, 4))
    one[1, 2] = 3.0
    maps = np.stack([np.full((4, 4), 0.1), one])
    assert entropy(maps) == pytest.approx([np.log(16.0), 0.0])
    half = np.array([[1.0, 1.0], [0.0, 0.0]])
    assert float(entropy(half)) == pytest.approx(np.log(2.0))
    with pytest.raises(ValueError, match="mass"):
        entropy(np.zeros((2, 2)))


def test_ink_lift() -> None:
    image = np.zeros((16, 16), np.uint8)
    image[:, :4] = 255
    blind = ink_lift(np.ones((16, 16)), image)
    assert (blind.attention, blind.area, blind.lift) == pytest.approx((0.25, 0.25, 1.0))
    sharp = ink_lift(image.astype(np.float32), image)
    assert sharp.lift == pytest.approx(4.0)
    away = ink_lift(255.0 - image, image)
    assert away.lift == pytest.approx(0.0)


def test_ink_lift_needs_ink() -> None:
    with pytest.raises(ValueError, match="ink"):
        ink_lift(np.ones((2, 2)), np.zeros((4, 4), np.uint8))
