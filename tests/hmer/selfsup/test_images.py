"""Batches of phase 2."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from hmer.data.batches import PlannedBatch
from hmer.data.dataset import load_expressions
from hmer.ink.augment import AugmentConfig
from hmer.ink.render import RenderConfig
from hmer.masking.strokes import hide_strokes
from hmer.selfsup.images import ImageMaker

PLAN = PlannedBatch(np.arange(4), np.ones(4), 160, 640)


def test_stroke_maps_cover_the_ink(small_dataset: Path) -> None:
    expressions = load_expressions(small_dataset / "train.parquet")
    maker = ImageMaker(expressions, RenderConfig(unit=12), AugmentConfig(), strokes=True)
    batch = maker(PLAN, np.random.default_rng(0)).to(torch.device("cpu"))
    assert batch.images.shape == (4, 1, 160, 640)
    assert batch.strokes is not None
    assert batch.strokes.dtype == torch.int16
    assert not batch.images[:, 0][batch.strokes == 0].any()
    for row in range(4):
        ink = expressions.ink(row)
        assert ink is not None
        assert int(batch.strokes[row].max()) == len(ink.strokes)
    torch.manual_seed(0)
    masked, _ = hide_strokes(batch.images, batch.strokes, 0.5, 8)
    assert (masked != batch.images).flatten(1).any(dim=1).all()


def test_images_have_no_strokes(picture_dataset: Path, small_dataset: Path) -> None:
    pictures = load_expressions(picture_dataset / "train.parquet")
    bare = ImageMaker(pictures, RenderConfig(unit=10), AugmentConfig(), strokes=True)
    batch = bare(PLAN, np.random.default_rng(0))
    assert batch.strokes is not None
    assert not batch.strokes.any()
    expressions = load_expressions(small_dataset / "train.parquet")
    plain = ImageMaker(expressions, RenderConfig(unit=10), None)(PLAN, np.random.default_rng(0))
    assert plain.strokes is None
    assert plain.to(torch.device("cpu")).strokes is None
