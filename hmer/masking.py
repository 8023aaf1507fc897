"""Spatial, progressive masking: a growing share of the ink is hidden, in blocks of a grid.

*From the abstract* (arXiv 2508.06107): masking is spatial. *Our design*: blocks on a grid with a
random origin, and that ink is counted, not area (hiding paper teaches nothing).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.nn import functional


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


def hide_ink(images: Tensor, share: float | Tensor, block: int) -> tuple[Tensor, Tensor]:
    """Hide blocks until at least `share` of each image's ink is gone.

    Only blocks that hold ink are hidden, in random order; the last block with ink always stays.
    Vectorised over the batch; random numbers come from torch's global generator.

    Args:
        images: float (B, 1, H, W), ink 1 on 0.
        share: of the summed grey value, in [0, 1]; one for all, or of each image, (B, 1).
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


def choose(mass: Tensor, share: float | Tensor, keys: Tensor) -> Tensor:
    """Hide as many pieces of each expression as its share needs, and never its last one.

    *Our design.* Vectorised over the batch: no step depends on what an expression holds.

    Args:
        mass: (B, U) ink of each piece, 0 where there is none: such a piece is never hidden.
        share: of each row's sum that the hidden pieces have at least, in [0, 1], one or (B, 1);
            less only where the last piece with ink would have to go.
        keys: (B, U) finite; pieces are hidden in growing order of these.

    Returns:
        bool (B, U): hidden.

    Raises:
        ValueError: the share is no share.
    """
    least, most = (share, share) if isinstance(share, float | int) else share.aminmax()
    if not (least >= 0 and most <= 1):
        raise ValueError(f"the hidden share must lie in [0, 1], not {share}")
    inked = mass > 0
    order = keys.masked_fill(~inked, torch.inf).argsort(dim=1)
    ordered = mass.gather(1, order)
    before = ordered.cumsum(dim=1) - ordered
    wanted = share * mass.sum(dim=1, keepdim=True)
    # Within rounding of the share is enough.
    chosen = (before < wanted - 1e-6 * wanted) & (ordered > 0)
    rank = torch.arange(mass.shape[1], device=mass.device)
    chosen &= rank < inked.sum(dim=1, keepdim=True) - 1
    return torch.zeros_like(inked).scatter(1, order, chosen)


def hidden_share(images: Tensor, hidden: Tensor) -> Tensor:
    """Share of each image's ink, (B, 1, H, W), that lies under hidden pixels (same shape): (B,).

    0 for a blank image.
    """
    total = images.flatten(1).sum(dim=1)
    gone = (images * hidden).flatten(1).sum(dim=1)
    return gone / total.clamp(min=1e-6)


Shape = Literal["linear", "fixed", "none"]

MOST = 0.9
"""Largest share that may be hidden: something has to be left to match from."""


class Curriculum(BaseModel):
    """Hidden share of the ink as a function of progress.

    *From the abstract* (arXiv 2508.06107): masking is progressive. *Our design*: the shapes and
    numbers.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    start: float = Field(0.1, ge=0, le=MOST, description="share hidden at the beginning")
    end: float = Field(0.5, ge=0, le=MOST, description="share hidden at the end")
    shape: Shape = Field(
        "linear",
        description="linear: grows from start to end; fixed: the end share from the beginning; "
        "none: nothing is ever hidden",
    )

    def share(self, progress: float) -> float:
        """Share of the ink to hide at `progress` (0 at the beginning, 1 at the end)."""
        if self.shape == "none":
            return 0.0
        grown = 1.0 if self.shape == "fixed" else min(1.0, max(0.0, progress))
        return self.start + (self.end - self.start) * grown
