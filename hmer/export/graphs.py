"""The two graphs of a recogniser: an image to its memory, and one token further.

What a graph computes is what the recogniser computes; only what depends on the number of ink cells
is said in another way, because ONNX has no stable sort.
"""

from __future__ import annotations

from abc import ABC

import torch
from torch import Tensor, nn

from hmer.models.cells import Cells
from hmer.models.interface import Recogniser


class Graphs(nn.Module, ABC):
    """A recogniser as functions of plain tensors."""

    def __init__(self, model: Recogniser) -> None:
        super().__init__()
        self.model = model


def ink_first(chosen: Tensor) -> Cells:
    """`Cells.where` without a sort, and without rounding the number of cells up.

    Args:
        chosen: bool (B, h, w).

    Returns:
        The chosen cells in the same order, filled up to the longest sequence of the batch.
    """
    height, width = chosen.shape[1:]
    flat = chosen.flatten(1)
    count = flat.sum(dim=1).max().clamp(min=2).item()
    torch._check(count >= 2)
    torch._check(count <= flat.shape[1])
    # All keys differ: chosen cells have positive ones, the first cell the largest.
    rank = torch.arange(flat.shape[1], 0, -1)
    index = torch.where(flat, rank, -rank).topk(count, dim=1).indices
    valid = flat.gather(1, index)
    return Cells(index.masked_fill(~valid, 0), valid, (height, width))
