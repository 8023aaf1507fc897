"""Small drawings with captions, for recognisers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import pytest
import torch
from torch import Tensor, nn

from hmer.data.collate import Batch, both_directions
from hmer.latex.vocabulary import Vocabulary
from hmer.models.common.encoders import CompactConfig

BatchMaker = Callable[..., Batch]
Module = TypeVar("Module", bound=nn.Module)
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


def trained(module: Module) -> Module:
    """Statistics and scales as training might leave them; fresh ones hide mistakes."""
    torch.manual_seed(0)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            assert part.running_mean is not None and part.running_var is not None
            part.running_mean.normal_(std=0.3)
            part.running_var.uniform_(0.5, 2.0)
            nn.init.normal_(part.weight, 1.0, 0.3)
            nn.init.normal_(part.bias, 0.0, 0.3)
    return module.eval()


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
