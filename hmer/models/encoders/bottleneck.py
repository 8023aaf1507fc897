"""What a dense block is made of."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

from hmer.models.dropout import Dropout


def convolution(inputs: int, outputs: int, side: int, dropout: float) -> nn.Sequential:
    """Convolution, batch norm, ReLU, dropout; the resolution stays."""
    return nn.Sequential(
        OrderedDict(
            conv=nn.Conv2d(inputs, outputs, side, padding=side // 2, bias=False),
            norm=nn.BatchNorm2d(outputs),
            relu=nn.ReLU(inplace=True),
            dropout=Dropout(dropout),
        )
    )


class Bottleneck(nn.Module):
    """1 x 1 to four times the growth, 3 x 3 to the growth; the result is joined to the input."""

    def __init__(self, inputs: int, growth: int, dropout: float) -> None:
        super().__init__()
        self.narrow = convolution(inputs, 4 * growth, 1, dropout)
        self.grow = convolution(4 * growth, growth, 3, dropout)

    def forward(self, x: Tensor, area: Tensor) -> Tensor:
        """(B, inputs, h, w) to (B, inputs + growth, h, w); `area` (B, 1, h, w) is 0 or 1."""
        return torch.cat([x, self.grow(self.narrow(x) * area)], dim=1)
