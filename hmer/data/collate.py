"""Collation: images padded to the size of a batch, captions in both reading directions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hmer.ink.canvas import on_canvas
from hmer.latex.vocabulary import Vocabulary

UNKNOWN = -100
"""Label of a cell or token that no loss counts (the default `ignore_index` of PyTorch's)."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Images with their captions, padded to one shape.

    Both reading directions are rows of the same batch: rows 0 to B - 1 read from left to right,
    rows B to 2B - 1 from right to left.
    """

    images: Tensor
    """float (B, 1, H, W): ink 1, paper and padding 0."""
    inputs: Tensor
    """int64 (2B, T): start token, then the caption; 0 is padding."""
    targets: Tensor
    """int64 (2B, T): the caption, then the stop token; 0 is padding."""
    symbols: Tensor
    """int64 (B, h, w): token id of the symbol written in each cell, or `UNKNOWN`."""
    places: Tensor
    """int64 (B, h, w): which token of the caption, counted from 0, is written in each cell, or
    `UNKNOWN`."""

    def to(self, device: torch.device) -> Batch:
        """The same batch on another device."""
        return Batch(
            self.images.to(device),
            self.inputs.to(device),
            self.targets.to(device),
            self.symbols.to(device),
            self.places.to(device),
        )


def stack(images: Sequence[NDArray[np.uint8]], height: int, width: int) -> Tensor:
    """A float tensor (B, 1, height, width), ink 1 on 0; see `on_canvas`."""
    return torch.from_numpy(on_canvas(images, height, width))


LENGTH_STEP = 8
"""Captions are padded to multiples of this, for few tensor shapes."""


def both_directions(captions: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Decoder inputs and targets, int64 (2B, T).

    Rows 0 to B - 1: start token, caption / caption, stop token. Rows B to 2B - 1: the caption
    reversed, with the stop token as start and the start token as stop (BTTR, section 3.3).
    """
    longest = max(len(caption) for caption in captions) + 1
    length = -(-longest // LENGTH_STEP) * LENGTH_STEP
    start, stop = Vocabulary.sos, Vocabulary.eos
    inputs = np.full((2 * len(captions), length), Vocabulary.pad, dtype=np.int64)
    targets = np.full_like(inputs, Vocabulary.pad)
    for row, caption in enumerate(captions):
        n = len(caption)
        forth, back = row, row + len(captions)
        inputs[forth, : n + 1] = [start, *caption]
        targets[forth, : n + 1] = [*caption, stop]
        inputs[back, : n + 1] = [stop, *reversed(caption)]
        targets[back, : n + 1] = [*reversed(caption), start]
    return torch.from_numpy(inputs), torch.from_numpy(targets)
