"""Ink cells and the written area: which cells of a padded feature map hold ink.

Most of an image is paper. Attention costs the square (or at least the multiple) of the number of
cells, so all attention of Mask & Match runs over the gathered ink cells only.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from hmer.ink.canvas import INK_THRESHOLD
from hmer.models.common.layers import sinusoid

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
        """Position code of each cell: (B, M, channels); first half the column, second half the row.

        Positions are absolute cells, not shares of the image: renderings have one scale, so a
        script is as many cells away in a long expression as in a short one (our design; CoMER
        divides by the size).
        """
        width = self.grid[1]
        return torch.cat(
            [
                sinusoid(self.index % width, channels // 2, 1_000.0),
                sinusoid(self.index // width, channels // 2, 1_000.0),
            ],
            dim=-1,
        )


def written_area(images: Tensor, stride: int) -> Tensor:
    """The cells from the upper left corner to the last row and column with ink.

    Where the field carries a mask of the padding through its batches, this finds the expression
    in the image itself, so that what is read does not depend on the padding at all.

    Returns:
        bool (B, H / stride, W / stride) for images (B, 1, H, W): a rectangle; all if it is blank.
    """
    ink = functional.max_pool2d(images, stride).squeeze(1) > INK_THRESHOLD
    rows, columns = (_up_to_last(ink.any(dim=side)) for side in (2, 1))
    area = rows[:, :, None] & columns[:, None, :]
    return area | ~area.flatten(1).any(dim=1)[:, None, None]


def extents(valid: Tensor) -> list[tuple[int, int]]:
    """Rows and columns, each at least 1, that hold all valid cells of each image.

    Args:
        valid: bool (B, h, w).
    """
    sides = (_last(valid.any(dim=side)).clamp(min=1).tolist() for side in (2, 1))
    return list(zip(*sides, strict=True))


def _up_to_last(marked: Tensor) -> Tensor:
    """bool (B, n): True up to the last True of each row."""
    return _places(marked) <= _last(marked)[:, None]


def _last(marked: Tensor) -> Tensor:
    """int64 (B,): the place of the last True of each row of bool (B, n), from 1; 0 for none."""
    return (marked * _places(marked)).amax(dim=1)


def _places(marked: Tensor) -> Tensor:
    return torch.arange(1, marked.shape[1] + 1, device=marked.device)
