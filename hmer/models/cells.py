"""Ink cells: the few cells of a feature map that hold ink, gathered into a sequence.

Most of an image is paper. Attention costs the square (or at least the multiple) of the number of
cells, so all attention here runs over the gathered ink cells only.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from hmer.ink.canvas import INK_THRESHOLD
from hmer.models.positions import sinusoid

_STEP = 32
"""Sequences are padded to a multiple of this, for few tensor shapes."""


def ink_cells(images: Tensor, stride: int) -> Tensor:
    """Which cells of the feature map hold ink: bool (B, H / stride, W / stride).

    A blank image has no such cell; all of its cells are returned, so that attention over "the
    ink" is always defined.
    """
    cells = functional.max_pool2d(images, stride).squeeze(1) > INK_THRESHOLD
    blank = ~cells.flatten(1).any(dim=1)
    return cells | blank[:, None, None]


@dataclass(frozen=True, slots=True)
class Cells:
    """M chosen cells of each of B feature maps."""

    index: Tensor
    """int64 (B, M): number of the cell in its map, row by row; 0 for padding."""
    valid: Tensor
    """bool (B, M): False for padding."""
    grid: tuple[int, int]
    """Cells (h, w) of the map."""

    @staticmethod
    def where(chosen: Tensor) -> Cells:
        """The cells where `chosen`, bool (B, h, w), is True, in reading order of the map."""
        height, width = chosen.shape[1:]
        flat = chosen.flatten(1)
        longest = max(int(flat.sum(dim=1).max()), 1)
        size = min(-(-longest // _STEP) * _STEP, height * width)
        # A stable sort brings the chosen cells to the front and keeps their order.
        index = (~flat).to(torch.uint8).argsort(dim=1, stable=True)[:, :size]
        valid = flat.gather(1, index)
        return Cells(index.masked_fill(~valid, 0), valid, (height, width))

    def gather(self, features: Tensor) -> Tensor:
        """Features (B, channels, h, w) of the cells: (B, M, channels)."""
        flat = features.flatten(2).transpose(1, 2)
        return flat.gather(1, self.index.unsqueeze(-1).expand(-1, -1, flat.shape[-1]))

    def scatter(self, values: Tensor) -> Tensor:
        """Values (B, ..., M) back on the map: (B, ..., h, w), 0 elsewhere."""
        height, width = self.grid
        shape = (len(values), *[1] * (values.dim() - 2), self.index.shape[1])
        index = self.index.view(shape).expand_as(values)
        valid = self.valid.view(shape)
        blank = values.new_zeros(*values.shape[:-1], height * width)
        # Filled, not multiplied by 0: padding may hold infinities.
        filled = blank.scatter_add(-1, index, values.masked_fill(~valid, 0.0))
        return filled.view(*values.shape[:-1], height, width)

    def code(self, channels: int) -> Tensor:
        """Position code of each cell: (B, M, channels).

        The first half of the channels encodes the column, the second the row. Positions are
        absolute cells, not shares of the image: renderings have one scale, so a script is as
        many cells away in a long expression as in a short one (our design; CoMER divides by
        the size).
        """
        width = self.grid[1]
        return torch.cat(
            [
                sinusoid(self.index % width, channels // 2, 1_000.0),
                sinusoid(self.index // width, channels // 2, 1_000.0),
            ],
            dim=-1,
        )
