"""Small drawings with captions, for recognisers."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from hmer.data.collate import Batch, both_directions
from hmer.latex.vocabulary import Vocabulary
from hmer.models.common.encoders import CompactConfig

BatchMaker = Callable[..., Batch]
CAPTIONS = ("a ^ { 1 }", "b", "1 _ { a }", "a b")
ENCODER = CompactConfig(width=8, blocks=(1, 1, 1))


def surprise(logits: Tensor, targets: Tensor) -> float:
    """Mean of -log p of the targets (R, T) that are no padding, one by one; logits (R, T, n)."""
    found = [
        -float(logits[row, place].log_softmax(0)[target])
        for row, line in enumerate(targets.tolist())
        for place, target in enumerate(line)
        if target != 0
    ]
    return sum(found) / len(found)


@pytest.fixture
def toy_words() -> Vocabulary:
    """Numbers 3 to 9."""
    return Vocabulary("toy", ["a", "b", "1", "^", "_", "{", "}"])


@pytest.fixture
def draw_batch(toy_words: Vocabulary) -> BatchMaker:
    """Makes a batch of random strokes on 32 x 48 pixels: `draw_batch("a ^ { 1 }", "b")`."""

    def make(*captions: str) -> Batch:
        generator = torch.Generator().manual_seed(3)
        images = torch.zeros(len(captions), 1, 32, 48)
        for image in images:
            for _ in range(4):
                top, left = (int(torch.randint(n, (), generator=generator)) for n in (30, 40))
                image[:, top : top + 2, left : left + 8] = 1.0
        inputs, targets = both_directions([toy_words.encode(c.split()) for c in captions])
        cells = torch.full((len(captions), 4, 6), -100)
        return Batch(images, inputs, targets, cells, cells)

    return make
