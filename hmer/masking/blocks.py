"""Spatial masking: hide a share of the ink, in square blocks.

*From the abstract* (arXiv 2508.06107): masking is spatial. *Our design*: blocks on a grid with a
random origin, and that ink is counted, not area (hiding paper teaches nothing).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from hmer.masking.units import choose


@dataclass(frozen=True, slots=True)
class BlockGrid:
    """Square blocks that cover images of height x width; one of their corners lies outside."""

    block: int
    """Side in pixels."""
    top: int
    """Pixels of the first row of blocks that lie outside, fewer than `block`."""
    left: int
    """The same for columns."""
    height: int
    width: int

    @staticmethod
    def random(height: int, width: int, block: int) -> BlockGrid:
        """A grid with a random origin, from torch's global generator."""
        top, left = (int(x) for x in torch.randint(block, (2,)))
        return BlockGrid(block, top, left, height, width)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of blocks."""
        return -(-(self.height + self.top) // self.block), -(
            -(self.width + self.left) // self.block
        )

    def mean(self, values: Tensor) -> Tensor:
        """Of values (B, 1, H, W) in each block, what lies outside counting as 0: (B, U)."""
        bottom = -(self.height + self.top) % self.block
        right = -(self.width + self.left) % self.block
        padded = functional.pad(values, (self.left, right, self.top, bottom))
        return functional.avg_pool2d(padded, self.block).flatten(1)

    def pixels(self, blocks: Tensor) -> Tensor:
        """Blocks (B, U) spread over their pixels: (B, 1, H, W)."""
        whole = blocks.view(len(blocks), 1, *self.shape)
        whole = whole.repeat_interleave(self.block, dim=2).repeat_interleave(self.block, dim=3)
        rows = slice(self.top, self.top + self.height)
        return whole[:, :, rows, self.left : self.left + self.width]


def hide_ink(images: Tensor, share: float, block: int) -> tuple[Tensor, Tensor]:
    """Hide blocks until at least `share` of each image's ink is gone.

    Only blocks that hold ink are hidden, in random order; the last block with ink always stays.
    Vectorised over the batch; random numbers come from torch's global generator.

    Args:
        images: float (B, 1, H, W), ink 1 on 0.
        share: of the summed grey value, in [0, 1].
        block: side of a block in pixels.

    Returns:
        The images with the blocks blanked, and the hidden pixels, bool (B, 1, H, W).

    Raises:
        ValueError: the share is no share.
    """
    height, width = images.shape[-2:]
    grid = BlockGrid.random(height, width, block)
    mass = grid.mean(images)
    keys = torch.rand(mass.shape, device=images.device)
    pixels = grid.pixels(choose(mass, share, keys))
    return images.masked_fill(pixels, 0.0), pixels
