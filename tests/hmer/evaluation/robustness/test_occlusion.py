"""Hidden ink."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hmer.evaluation.robustness.occlusion import hide_blocks


def drawing(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    image = np.zeros((40, 90), np.uint8)
    for _ in range(6):
        top, left = rng.integers(0, 36), rng.integers(0, 70)
        image[top : top + 3, left : left + 20] = 255
    return image


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 50), st.floats(0.0, 1.0), st.integers(1, 12))
def test_at_least_the_share_and_at_most_a_block_more(seed: int, share: float, block: int) -> None:
    image = drawing(seed)
    before = image.copy()
    hidden = hide_blocks(image, share, block, np.random.default_rng(seed))
    assert np.array_equal(image, before)
    total, left = int((before > 0).sum()), int((hidden.image > 0).sum())
    assert hidden.share == pytest.approx((total - left) / total)
    assert share <= hidden.share <= share + block * block / total
    changed = hidden.image != before
    assert not hidden.image[changed].any()


def test_levels_are_nested() -> None:
    image = drawing(1)
    levels = [hide_blocks(image, s, 5, np.random.default_rng(7)).image for s in (0.1, 0.3, 0.6)]
    assert np.all(levels[0] >= levels[1])
    assert np.all(levels[1] >= levels[2])


def test_hidden_places_are_blocks_centred_on_ink() -> None:
    image = np.zeros((30, 30), np.uint8)
    image[15, 15] = 255
    image[12, 15] = 100  # a faint fringe inside the block goes too
    image[25, 25] = 100
    hidden = hide_blocks(image, 1.0, 7, np.random.default_rng(0))
    assert hidden.share == 1.0
    assert np.argwhere(hidden.image).tolist() == [[25, 25]]


@pytest.mark.parametrize("seed", range(12))
def test_hidden_ink_starts_no_further_block(seed: int) -> None:
    image = np.zeros((20, 30), np.uint8)
    image[10, [10, 11, 25]] = 255
    image[10, 8] = image[10, 13] = 100  # each within reach of one of the two neighbours only
    hidden = hide_blocks(image, 1.0, 5, np.random.default_rng(seed))
    assert hidden.share == 1.0
    assert (hidden.image > 0).sum() == 1


def test_blank_paper_hides_nothing() -> None:
    assert hide_blocks(np.zeros((5, 5), np.uint8), 0.5, 3, np.random.default_rng(0)).share == 0.0


def test_refuses() -> None:
    for share, block in ((1.5, 3), (0.5, 0)):
        with pytest.raises(ValueError, match="expected"):
            hide_blocks(drawing(0), share, block, np.random.default_rng(0))
