"""Which expressions lose something, and what."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from hmer.data.dataset import Expressions
from hmer.data.schema import encode_png
from hmer.evaluation.robustness.config import OcclusionConfig
from hmer.evaluation.robustness.degraded import all_series
from hmer.ink.codec import pack
from hmer.ink.render import RenderConfig, render
from hmer.ink.strokes import Ink, Symbol

STYLE = RenderConfig(unit=10.0)


def ink(strokes: int, symbols: int) -> Ink:
    """Upright strokes side by side, the first ones a symbol each."""
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
        whole = row.degrade(0, 0.0)
        assert whole.share == 0.0
        assert np.array_equal(whole.image, found.image(0))


def test_pictures_of_what_is_left() -> None:
    found = expressions([ink(10, 10)])
    blocks, strokes, symbols = all_series(found, OcclusionConfig(), STYLE, seed=5)
    ink_pixels = int((found.image(0) >= 128).sum())
    half = blocks.degrade(0, 0.5)
    assert 0.5 <= half.share < 0.6
    assert int((half.image >= 128).sum()) == pytest.approx((1 - half.share) * ink_pixels)
    # Ten equal strokes that do not touch: the ink goes with the strokes.
    for row, level, gone in ((strokes, 0.3, 3), (symbols, 2, 2)):
        left = row.degrade(0, level)
        assert left.share == pytest.approx(gone / 10)
        assert (left.image >= 128).sum() == pytest.approx((1 - gone / 10) * ink_pixels)
        assert np.array_equal(left.image, row.degrade(0, level).image)
    other = all_series(found, OcclusionConfig(), STYLE, seed=6)
    assert not np.array_equal(other[0].degrade(0, 0.5).image, half.image)


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
