"""What is decoded and trained on: synthetic expressions at two scales, and fresh recognisers."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.comer_reference import ComerReference
from hmer.data.collate import Batch, both_directions, stack
from hmer.ingest.sources.base import SourceItem
from hmer.ingest.sources.synthetic import Synthetic
from hmer.ink.render import render
from hmer.ink.scale import normalise
from hmer.latex.vocabulary import Vocabulary, vocabulary
from hmer.models.base import Recogniser
from hmer.models.common.ink_cells import written_area
from hmer.models.registry import recogniser_entry

FIELD_UNIT, OUR_UNIT = 34.0, 16.0
"""Pixels per symbol: at the first, images are as large as those of CROHME's published bitmaps."""

COUNT = 64
Grey = NDArray[np.uint8]


@cache
def expressions(unit: float) -> tuple[tuple[Grey, tuple[str, ...]], ...]:
    """Drawn synthetic expressions of 10 to 24 tokens with their captions."""
    found = []
    for task in Synthetic(train=4 * COUNT, val=0, test=0).items(0):
        item = task()
        if isinstance(item, SourceItem) and item.ink and 10 <= len(item.tokens or ()) <= 24:
            image = render(normalise(item.ink), unit, 0.1, 0.25).image
            found.append((image, item.tokens or ()))
    return tuple(found[:COUNT])


def fresh(name: str, **changes: Any) -> tuple[Recogniser, Vocabulary]:
    """A recogniser at the field's size (Mask & Match: as its defaults are), untrained."""
    torch.manual_seed(0)
    entry = recogniser_entry(name)
    words = vocabulary(entry.dialect)
    return entry.build(entry.config.model_validate(changes), words), words


def field_reference() -> ComerReference:
    """The published recogniser, untrained."""
    torch.manual_seed(0)
    return ComerReference(len(vocabulary(recogniser_entry("comer").dialect)))


def field_padding(images: Tensor) -> Tensor:
    """Its mask of the cells that are padding, bool (B, h, w)."""
    return ~written_area(images, 16)


def canvas(images: list[Grey], stride: int) -> Tensor:
    """Images on one canvas, (B, 1, H, W)."""
    height, width = (-(-max(i.shape[d] for i in images) // stride) * stride for d in (0, 1))
    return stack(images, height, width)


def batch(chosen: list[tuple[Grey, tuple[str, ...]]], words: Vocabulary, stride: int) -> Batch:
    """A training batch; tokens that the dialect lacks are left out."""
    images = canvas([image for image, _ in chosen], stride)
    captions = [words.encode(t for t in tokens if t in words) for _, tokens in chosen]
    inputs, targets = both_directions(captions)
    sides = (len(images), images.shape[2] // stride, images.shape[3] // stride)
    cells = torch.full(sides, -100)
    return Batch(images, inputs, targets, cells, cells)
