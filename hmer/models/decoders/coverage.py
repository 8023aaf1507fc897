"""Coverage of ink cells: attention is lowered, or raised, by what has been read before.

After the attention refinement module of CoMER (Zhao and Gao, ECCV 2022, section 3.2). *Our
design* is what makes it cheap: the cells are a sequence here, not a map, so each cell is judged
by its own coverage alone, without a convolution, and without a normalisation over the batch.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

_SCALE = 4.0
"""A symbol of a few cells is read once: a cell's coverage by one head is well below 1."""


class CoverageRefinement(nn.Module):
    """From the attention that a cell has had so far to what its logits are lowered by.

    Args:
        heads: of the attention.
        channels: of the hidden layer.
    """

    def __init__(self, heads: int, channels: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(heads, channels)
        self.project = nn.Linear(channels, heads, bias=False)

    def forward(self, covered: Tensor) -> Tensor:
        """Sums of the attention before each step, and the refinement: (B, heads, T, N) both."""
        hidden = torch.relu(self.hidden(_SCALE * covered.permute(0, 2, 3, 1)))
        refined: Tensor = self.project(hidden)
        return refined.permute(0, 3, 1, 2)
