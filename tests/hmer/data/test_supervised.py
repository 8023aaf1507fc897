"""Supervised batches."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from hmer.data.batches import PlannedBatch
from hmer.data.collate import UNKNOWN, both_directions
from hmer.data.dataset import Expressions, load_expressions
from hmer.data.drawing import draw
from hmer.data.supervised import SupervisedMaker
from hmer.errors import LatexError
from hmer.ink.augment import AugmentConfig
from hmer.ink.codec import pack
from hmer.ink.render import RenderConfig
from hmer.ink.strokes import Ink, Symbol
from hmer.latex.vocabulary import vocabulary

WORDS = vocabulary("wap")
RENDER = RenderConfig(unit=16, pen=0.1, margin=0.25)


def one(ink: Ink, tokens: list[str]) -> Expressions:
    return Expressions(["a"], [tokens], [b""], [pack(ink)], np.array([[40, 80]]))


def plan(count: int, height: int, width: int) -> PlannedBatch:
    return PlannedBatch(np.arange(count), np.ones(count), height, width)


def test_cells_by_hand() -> None:
    r"""A cross of two strokes, a bar beside it, and a symbol that no vocabulary knows.

    Sixteen pixels per unit and a margin of four pixels: the point (x, y) lies in pixel
    (16 x + 4, 16 y + 4), and a cell is eight pixels.
    """
    strokes = (
        np.array([[0, 0], [0.75, 0.75]], np.float32),  # pixels (4, 4) and (16, 16)
        np.array([[0.75, 0], [0, 0.75]], np.float32),  # (16, 4) and (4, 16)
        np.array([[2, 0.5], [3, 0.5]], np.float32),  # (36, 12) and (52, 12)
        np.array([[4, 0]], np.float32),  # (68, 4)
    )
    symbols = (Symbol("x", (0, 1), 1), Symbol("-", (2,), 0), Symbol("\\unheard", (3,), 2))
    maker = SupervisedMaker(one(Ink(strokes, symbols), ["x", "-"]), WORDS, RENDER, None, 8)
    batch = maker(plan(1, 32, 80), np.random.default_rng(0))
    x, bar = WORDS.encode(["x", "-"])
    wanted = np.full((4, 10), UNKNOWN)
    wanted[[0, 2, 0, 2], [0, 2, 2, 0]] = x
    wanted[1, [4, 6]] = bar
    assert np.array_equal(batch.symbols[0].numpy(), wanted)
    places = np.where(wanted == x, 1, np.where(wanted == bar, 0, UNKNOWN))
    assert np.array_equal(batch.places[0].numpy(), places)


def test_a_batch(small_dataset: Path) -> None:
    expressions = load_expressions(small_dataset / "train.parquet")
    maker = SupervisedMaker(expressions, WORDS, RENDER, AugmentConfig(), 8)
    batch = maker(plan(4, 320, 1200), np.random.default_rng(3))
    inputs, targets = both_directions([WORDS.encode(expressions.tokens[n]) for n in range(4)])
    assert np.array_equal(batch.inputs, inputs)
    assert np.array_equal(batch.targets, targets)
    assert batch.images.shape == (4, 1, 320, 1200)
    assert batch.symbols.shape == (4, 40, 150)
    rng = np.random.default_rng(3)
    for n in range(4):
        drawn = draw(expressions.written(n), RENDER, AugmentConfig(), rng, 1.0, 320, 1200)
        height, width = drawn.image.shape
        assert np.array_equal(
            np.round(batch.images[n, 0, :height, :width].numpy() * 255), drawn.image
        )
        inked = batch.images[n, 0].unfold(0, 8, 8).unfold(1, 8, 8).amax(dim=(2, 3)) > 0
        marked = batch.symbols[n] != UNKNOWN
        assert marked.any()
        assert inked[marked].all()
        assert set(batch.symbols[n][marked].tolist()) <= set(WORDS.encode(expressions.tokens[n]))


def test_images_alone_have_no_symbols(picture_dataset: Path) -> None:
    expressions = load_expressions(picture_dataset / "train.parquet")
    maker = SupervisedMaker(expressions, WORDS, RENDER, AugmentConfig(), 8)
    batch = maker(plan(2, 104, 400), np.random.default_rng(0))
    assert (batch.symbols == UNKNOWN).all()
    assert batch.images.amax() > 0.5  # thin lines, distorted


def test_unknown_tokens_in_captions() -> None:
    ink = Ink((np.array([[0, 0], [1, 1]], np.float32),))
    maker = SupervisedMaker(one(ink, ["\\unheard"]), WORDS, RENDER, None, 8)
    with pytest.raises(LatexError, match="unheard"):
        maker(plan(1, 40, 80), np.random.default_rng(0))


def test_can_be_sent_to_loader_processes(small_dataset: Path) -> None:
    expressions = load_expressions(small_dataset / "val.parquet")
    maker = SupervisedMaker(expressions, WORDS, RENDER, AugmentConfig(), 8)
    sent = pickle.loads(pickle.dumps(maker))
    mine, theirs = (m(plan(2, 104, 400), np.random.default_rng(0)) for m in (maker, sent))
    assert np.array_equal(mine.images, theirs.images)
    assert np.array_equal(mine.symbols, theirs.symbols)
