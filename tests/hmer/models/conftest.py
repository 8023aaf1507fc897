"""Small drawings with captions, for recognisers."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from hmer.data.collate import Batch, both_directions
from hmer.latex.vocabulary import Vocabulary

BatchMaker = Callable[..., Batch]


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
        return Batch(images, inputs, targets, torch.full((len(captions), 4, 6), -100))

    return make
