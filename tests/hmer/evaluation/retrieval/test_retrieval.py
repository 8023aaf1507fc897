"""Retrieval from end to end."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from hmer.data.dataset import Expressions, load_expressions
from hmer.evaluation.annotated import annotate
from hmer.evaluation.figures.canvas import to_png
from hmer.evaluation.retrieval.expressions import (
    caption_groups,
    pairs,
    same_caption,
    same_caption_chance,
)
from hmer.evaluation.retrieval.features import encode, encode_whole, pixels
from hmer.evaluation.retrieval.retrieval import retrieve, retrieve_by
from hmer.evaluation.retrieval.scores import RetrievalConfig
from hmer.evaluation.section import Section
from hmer.ink.augment import AugmentConfig
from hmer.ink.render import RenderConfig
from hmer.models.common.encoders import CompactConfig, CompactEncoder
from hmer.models.common.ink_cells import ink_cells
from hmer.recognizer import Recognizer

STYLE = RenderConfig(unit=10)
CONFIG = RetrievalConfig(limit=12, folds=2, pictures=3, resamples=100)


@pytest.fixture(scope="module")
def expressions(small_dataset: Path) -> Expressions:
    """24 expressions, of which the second half repeats the first."""
    found = load_expressions(small_dataset / "train.parquet")
    twice = found.take([*range(12), *range(12)])
    return replace(twice, ids=[f"{n}" for n in range(24)])


@pytest.fixture(scope="module")
def encoder() -> CompactEncoder:
    torch.manual_seed(0)
    return CompactEncoder(CompactConfig(width=8, blocks=(1, 1, 1))).eval()


def test_retrieve(model_folder: Path, expressions: Expressions) -> None:
    section = retrieve(Recognizer.load(model_folder), expressions, CONFIG, 0)
    assert section.name == "retrieval"
    for name in ("same_symbol", "same_expression", "same_caption", "probe"):
        for suffix in ("", "_untrained", "_pixels", "_chance"):
            assert 0.0 <= section.numbers[name + suffix] <= 100.0
    assert section.numbers["same_symbol_low"] <= section.numbers["same_symbol"]
    # Ink of equal captions is even the same ink here.
    assert section.numbers["same_caption"] == section.numbers["same_caption_pixels"] == 100.0
    assert [figure.name for figure in section.figures] == ["scores", "neighbours"]
    assert all(len(to_png(figure.draw())) > 5000 for figure in section.figures)


def test_a_bare_encoder_and_the_same_every_time(
    encoder: CompactEncoder, expressions: Expressions
) -> None:
    weights = {name: value.clone() for name, value in encoder.state_dict().items()}
    first, second = (retrieve_by(encoder, STYLE, expressions, CONFIG, 1) for _ in range(2))
    assert first.numbers == second.numbers
    assert first.tables[0].rows == second.tables[0].rows
    assert all(torch.equal(weights[k], v) for k, v in encoder.state_dict().items())


def test_pictures_only(encoder: CompactEncoder, picture_dataset: Path) -> None:
    bare = load_expressions(picture_dataset / "val.parquet")
    section = retrieve_by(encoder, STYLE, bare, CONFIG, 0)
    assert "same_expression" in section.numbers
    assert "same_symbol" not in section.numbers
    assert [figure.name for figure in section.figures] == ["scores"]


def test_too_little(encoder: CompactEncoder, expressions: Expressions) -> None:
    section: Section = retrieve_by(encoder, STYLE, expressions.head(1), CONFIG, 0)
    assert not section.numbers
    none = CONFIG.model_copy(update={"limit": 0})
    assert not retrieve_by(encoder, STYLE, expressions, none, 0).numbers


def test_features_are_means_over_cells(encoder: CompactEncoder, expressions: Expressions) -> None:
    shown = annotate(expressions, [0, 5, 7], STYLE)
    found = encode(encoder, shown)
    assert found.whole == pytest.approx(encode_whole(encoder, [one.image for one in shown]))
    row = 0
    for number, one in enumerate(shown):
        # By itself, with the same paper around it: a cell sees at most so far.
        height, width = (-(-side // 8) * 8 + 32 for side in one.image.shape)
        canvas = torch.zeros(1, 1, height, width)
        canvas[0, 0, : one.image.shape[0], : one.image.shape[1]] = torch.from_numpy(one.image / 255)
        with torch.inference_mode():
            maps = encoder(canvas)[0]
            inked = ink_cells(canvas, 8)[0]
        assert found.whole[number] == pytest.approx(
            maps[:, inked].mean(dim=1).numpy(), abs=1e-4, rel=1e-3
        )
        for symbol, ink in enumerate(one.cell_ink(8)):
            if not ink.sum():
                continue
            slow = np.zeros(maps.shape[0])
            for y, x in np.argwhere(ink):
                slow += ink[y, x] * maps[:, y, x].numpy()
            assert found.symbols[row] == pytest.approx(slow / ink.sum(), abs=1e-4, rel=1e-3)
            assert (found.expression[row], found.symbol[row]) == (number, symbol)
            assert found.tokens[row] == one.symbols[symbol].token
            row += 1
    assert row == len(found.symbols)
    assert pixels(shown).tokens.tolist() == found.tokens.tolist()


def test_views_differ_and_depend_on_the_row_alone(expressions: Expressions) -> None:
    few = pairs(expressions, [3], STYLE, AugmentConfig(), 0)
    many = pairs(expressions, [1, 3], STYLE, AugmentConfig(), 0)
    assert np.array_equal(few[0][0], many[1][0])
    first, second = few[0]
    assert first.shape != second.shape or not np.array_equal(first, second)


def test_captions() -> None:
    tokens = [["a"], ["b"], ["a"], ["c"], ["b"], ["d"]]
    assert caption_groups(tokens, 60) == [0, 1, 2, 4]
    assert caption_groups(tokens, 2) == [0, 2]
    assert caption_groups(tokens[3:], 60) == []
    captions = np.array([0, 0, 1, 1, 2])
    vectors = np.array([[1, 0], [0.9, 0.1], [-1, 0.2], [0.8, -0.5], [-1, 0.3]], np.float32)
    assert same_caption(vectors, captions).tolist() == [True, True, False, False]
    assert same_caption_chance(captions) == pytest.approx(25.0)
    assert same_caption_chance(np.arange(4)) is None
