"""DenseNet-B as BTTR and its descendants have it.

Huang et al. (2017) with bottlenecks and compression, but each convolution is followed, not
preceded, by its normalisation (the order of the WAP line of recognisers). 3.157 million weights
together with the recognisers' projection to 256 channels.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Literal, cast

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from hmer.models.encoders.base import Encoder

_BLOCKS = 3


class DenseNetConfig(BaseModel):
    """Size of the dense encoder; the defaults are the field's."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Literal["densenet"] = "densenet"
    growth: int = Field(24, ge=4, le=64, description="channels that a layer adds")
    layers: int = Field(16, ge=1, le=32, description="bottleneck layers per block")
    dropout: float = Field(0.2, ge=0, lt=1)


def _convolution(inputs: int, outputs: int, side: int, dropout: float) -> nn.Sequential:
    """Convolution, batch norm, ReLU, dropout; the resolution stays."""
    return nn.Sequential(
        OrderedDict(
            conv=nn.Conv2d(inputs, outputs, side, padding=side // 2, bias=False),
            norm=nn.BatchNorm2d(outputs),
            relu=nn.ReLU(inplace=True),
            dropout=nn.Dropout(dropout),
        )
    )


class Bottleneck(nn.Module):
    """1 x 1 to four times the growth, 3 x 3 to the growth; the result is joined to the input."""

    def __init__(self, inputs: int, growth: int, dropout: float) -> None:
        super().__init__()
        self.narrow = _convolution(inputs, 4 * growth, 1, dropout)
        self.grow = _convolution(4 * growth, growth, 3, dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, h, w) to (B, inputs + growth, h, w)."""
        return torch.cat([x, self.grow(self.narrow(x))], dim=1)


class DenseNet(Encoder):
    """Stride 16 and, at the field's size, 684 channels. See `Encoder`."""

    stride = 16

    def __init__(self, config: DenseNetConfig) -> None:
        super().__init__()
        channels = 2 * config.growth
        self.stem = nn.Sequential(
            nn.Conv2d(1, channels, 7, 2, 3, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2, ceil_mode=True),
        )
        parts: list[nn.Module] = []
        for block in range(_BLOCKS):
            for _ in range(config.layers):
                parts.append(Bottleneck(channels, config.growth, config.dropout))
                channels += config.growth
            if block < _BLOCKS - 1:
                parts.append(_convolution(channels, channels // 2, 1, config.dropout))
                parts.append(nn.AvgPool2d(2, ceil_mode=True))
                channels //= 2
        self.blocks = nn.Sequential(*parts)
        self.norm = nn.BatchNorm2d(channels)
        self.channels = channels

    def forward(self, images: Tensor) -> Tensor:
        """See `Encoder`."""
        return cast(Tensor, self.norm(self.blocks(self.stem(images))))
