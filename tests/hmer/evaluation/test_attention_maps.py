"""Attention maps: on the picture, and from a recogniser."""

from __future__ import annotations

import numpy as np
import pytest

from hmer.data.batches import BatchConfig
from hmer.data.dataset import Expressions
from hmer.decoding.bidirectional import DecodingConfig
from hmer.evaluation.annotated import annotate, cell_grid
from hmer.evaluation.attention_maps import (
    attention_section,
    peaks,
    spatial_maps,
    teacher_forced_maps,
    upsample,
)
from hmer.evaluation.localisation import _inked
from hmer.evaluation.prediction import Prediction
from hmer.evaluation.reading import read_all
from hmer.ink.images import decode_png
from hmer.latex.vocabulary import Vocabulary
from hmer.recognizer import Recognizer


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


def test_attention_on_padding_is_cut_off() -> None:
    grid = np.zeros((2, 6))
    grid[:, 5] = 1.0
    assert not upsample(grid, (16, 24), stride=8).any()


def test_upsample_refuses() -> None:
    with pytest.raises(ValueError, match="cover"):
        upsample(np.ones((2, 2)), (16, 64), stride=8)
    for bad in (-1.0, np.nan):
        with pytest.raises(ValueError, match="finite"):
            upsample(np.full((2, 2), bad), (4, 4), stride=2)


def test_the_first_maximum_counts() -> None:
    maps = np.zeros((2, 3, 4))
    maps[0, 1, 2] = maps[0, 2, 0] = 1.0
    maps[1, 2, 3] = 0.5
    assert peaks(maps).tolist() == [[1, 2], [2, 3]]


def test_teacher_forced_maps(recognizer: Recognizer, expressions: Expressions) -> None:
    shown = annotate(expressions, [0, 2], recognizer.render)
    maps = teacher_forced_maps(recognizer.model, recognizer.vocabulary, shown)
    for one, found in zip(shown, maps, strict=True):
        assert found is not None
        assert found.shape == (len(one.tokens), *cell_grid(one.image, 8))
        assert found.sum(axis=(1, 2)) == pytest.approx(np.ones(len(one.tokens)), abs=1e-5)
    # A truth that the vocabulary cannot spell is not asked about; the others are.
    small = Vocabulary("small", [t for t in recognizer.vocabulary.tokens if t in shown[0].tokens])
    if small.unknown(shown[1].tokens):
        maps = teacher_forced_maps(recognizer.model, small, shown)
        assert [m is None for m in maps] == [False, True]


def test_the_map_may_fall_on_cells_with_ink_only(
    recognizer: Recognizer, expressions: Expressions
) -> None:
    shown = annotate(expressions, range(len(expressions)), recognizer.render)
    for one, cells in zip(shown, spatial_maps(recognizer.model, shown), strict=True):
        assert (_inked(one, 8) == (cells > 0.0)).all()


def test_a_few_expressions_are_shown_with_their_attention(
    recognizer: Recognizer, expressions: Expressions
) -> None:
    images = [expressions.image(index) for index in range(3)]
    decoding, batch = DecodingConfig(beam=2, max_length=8), BatchConfig(max_pixels=40_000)
    answers = read_all(recognizer, images, decoding, batch, lambda _: None)
    found = [
        Prediction(expressions.ids[n], expressions.tokens[n], answer.tokens, answer.confidence)
        for n, answer in enumerate(answers)
    ]
    (section,) = attention_section(recognizer, found, expressions, decoding, batch, 2)
    assert section.name == "attention"
    tokens, spatial = section.galleries
    assert len(tokens.rows) == len(spatial.rows[0][1]) == 2
    read = next(answer.tokens for answer in answers if answer.tokens)
    assert [picture.heading for picture in tokens.rows[0][1]] == list(read)
    assert decode_png(tokens.rows[0][1][0].png or b"").shape == images[0].shape
    assert attention_section(recognizer, found, expressions, decoding, batch, 0) == []
