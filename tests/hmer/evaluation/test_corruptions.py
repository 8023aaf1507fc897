"""Corruptions: which expressions lose something, and what."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from hmer.data.dataset import Expressions
from hmer.evaluation.corruptions import (
    OcclusionConfig,
    all_series,
    hide_blocks,
    without_strokes,
    without_symbols,
)
from hmer.ink.codec import pack
from hmer.ink.images import encode_png
from hmer.ink.render import RenderConfig, render
from hmer.ink.strokes import Ink, Symbol

STYLE = RenderConfig(unit=10.0)


def ink(strokes: int, symbols: int = 0) -> Ink:
    """Stroke i goes through (i, 0) and (i, 1); the first ones are a symbol each."""
    lines = tuple(np.array([[i, 0.0], [i, 1.0]], np.float32) for i in range(strokes))
    return Ink(lines, tuple(Symbol("1", (i,)) for i in range(symbols)))


def expressions(inks: list[Ink | None]) -> Expressions:
    images = [
        render(found or ink(3, 0), STYLE.unit, STYLE.pen, STYLE.margin).image for found in inks
    ]
    return Expressions(
        [f"e{number}" for number in range(len(inks))],
        [["1"]] * len(inks),
        [encode_png(image) for image in images],
        [None if found is None else pack(found) for found in inks],
        np.array([image.shape for image in images], dtype=np.int64),
    )


def test_who_takes_part_and_why_others_do_not() -> None:
    found = expressions([ink(6, 4), None, ink(1, 1), ink(4, 3), ink(5, 0)])
    blocks, strokes, symbols = all_series(found, OcclusionConfig(), STYLE, seed=0)
    assert (blocks.name, blocks.members, blocks.left_out) == ("occlusion", [0, 1, 2, 3, 4], {})
    assert (strokes.name, strokes.members) == ("strokes", [0, 3, 4])
    assert strokes.left_out == {"images without strokes": 1, "with fewer than 2 strokes": 1}
    assert (symbols.name, symbols.members, symbols.levels) == ("symbols", [0], (1, 2, 3))
    assert symbols.left_out == {
        "images without strokes": 1,
        "with fewer than 4 known symbols": 3,
    }


def test_limits_and_empty_levels() -> None:
    found = expressions([ink(4, 4)] * 6)
    config = OcclusionConfig(limit=3, missing_limit=2)
    assert [row.members for row in all_series(found, config, STYLE, 0)] == [
        [0, 2, 4],
        [0, 3],
        [0, 3],
    ]
    config = OcclusionConfig(limit=1, missing_limit=2, levels=(), symbols=())
    (only,) = all_series(found, config, STYLE, 0)
    assert (only.name, only.members) == ("strokes", [0])
    assert all(not row.members for row in all_series(found, OcclusionConfig(limit=0), STYLE, 0))


def test_level_0_is_the_expression_as_it_is() -> None:
    found = expressions([ink(6, 6)])
    for row in all_series(found, OcclusionConfig(), STYLE, seed=0):
        whole = row.corrupt(0, 0.0)
        assert whole.share == 0.0
        assert np.array_equal(whole.image, found.image(0))


def test_pictures_of_what_is_left() -> None:
    found = expressions([ink(10, 10)])
    blocks, strokes, symbols = all_series(found, OcclusionConfig(), STYLE, seed=5)
    ink_pixels = int((found.image(0) >= 128).sum())
    half = blocks.corrupt(0, 0.5)
    assert 0.5 <= half.share < 0.6
    assert int((half.image >= 128).sum()) == pytest.approx((1 - half.share) * ink_pixels)
    # Ten equal strokes that do not touch: the ink goes with the strokes.
    for row, level, gone in ((strokes, 0.3, 3), (symbols, 2, 2)):
        left = row.corrupt(0, level)
        assert left.share == pytest.approx(gone / 10)
        assert (left.image >= 128).sum() == pytest.approx((1 - gone / 10) * ink_pixels)
        assert np.array_equal(left.image, row.corrupt(0, level).image)
    other = all_series(found, OcclusionConfig(), STYLE, seed=6)
    assert not np.array_equal(other[0].corrupt(0, 0.5).image, half.image)


def test_config_refuses() -> None:
    for wrong in (
        {"levels": (0.0,)},
        {"levels": (0.3, 0.3)},
        {"levels": (0.301, 0.302)},
        {"strokes": (1.0,)},
        {"symbols": (2, 1)},
        {"symbols": (0,)},
        {"level": (0.1,)},
    ):
        with pytest.raises(ValidationError):
            OcclusionConfig.model_validate(wrong)


def left(found: Ink) -> set[int]:
    return {int(stroke[0, 0]) for stroke in found.strokes}


@given(st.integers(1, 30), st.floats(0.0, 1.0), st.integers(0, 100))
def test_the_share_is_met_within_a_stroke(count: int, share: float, seed: int) -> None:
    found, lost = without_strokes(ink(count), share, np.random.default_rng(seed))
    gone = count - len(found.strokes)
    assert lost == pytest.approx(gone / count)
    assert 1 <= len(found.strokes) <= count
    assert abs(gone - share * count) < 1.0 or gone == count - 1


def test_the_share_is_exact_on_average() -> None:
    taken = [without_strokes(ink(4), 0.1, np.random.default_rng(s))[1] for s in range(2000)]
    assert set(taken) == {0.0, 0.25}
    # 0.4 strokes of 4: one in 40 of 100; the standard error of the mean is 0.0027.
    assert np.mean(taken) == pytest.approx(0.1, abs=0.01)


def test_levels_are_nested_and_the_order_is_kept() -> None:
    for seed in range(20):
        levels = [
            without_strokes(ink(9), share, np.random.default_rng(seed))[0]
            for share in (0.0, 0.1, 0.3, 0.5, 1.0)
        ]
        kept = [left(found) for found in levels]
        assert kept[0] == set(range(9)) and len(kept[-1]) == 1
        assert all(more >= fewer for more, fewer in pairwise(kept))
        for found in levels:
            order = [int(stroke[0, 0]) for stroke in found.strokes]
            assert order == sorted(order)


def test_symbols_go_with_all_their_strokes() -> None:
    symbols = (Symbol("x", (0, 3)), Symbol("+", (1, 2)), Symbol(r"\frac", ()), Symbol("y", (4,)))
    whole = Ink(ink(6).strokes, symbols)  # stroke 5 belongs to no symbol
    seen = set()
    for seed in range(30):
        one, share = without_symbols(whole, 1, np.random.default_rng(seed))
        two, _ = without_symbols(whole, 2, np.random.default_rng(seed))
        assert left(one) > left(two) >= {5}
        assert share == pytest.approx((6 - len(left(one))) / 6)
        seen.add(frozenset(left(one)))
    assert seen == {frozenset({1, 2, 4, 5}), frozenset({0, 3, 4, 5}), frozenset({0, 1, 2, 3, 5})}
    assert left(without_symbols(whole, 0, np.random.default_rng(0))[0]) == set(range(6))


def test_refuses() -> None:
    rng = np.random.default_rng(0)
    for share in (-0.1, 1.1):
        with pytest.raises(ValueError, match="share"):
            without_strokes(ink(3), share, rng)
    with pytest.raises(ValueError, match="share"):
        without_strokes(ink(0), 0.5, rng)
    whole = Ink(ink(2).strokes, (Symbol("x", (0,)), Symbol("y", (1,))))
    for count in (-1, 2):
        with pytest.raises(ValueError, match="of 2 symbols"):
            without_symbols(whole, count, rng)


def drawing(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    image = np.zeros((40, 90), np.uint8)
    for _ in range(6):
        top, left = rng.integers(0, 36), rng.integers(0, 70)
        image[top : top + 3, left : left + 20] = 255
    return image


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


def test_hiding_refuses() -> None:
    for share, block in ((1.5, 3), (0.5, 0)):
        with pytest.raises(ValueError, match="expected"):
            hide_blocks(drawing(0), share, block, np.random.default_rng(0))
