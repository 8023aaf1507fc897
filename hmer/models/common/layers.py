"""Building blocks: dropout that is cheap on a CPU, heads, position codes, decoder size."""

from __future__ import annotations

import math
from typing import Self

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

_LEVELS = 1 << 8


class Dropout(nn.Dropout):
    """`nn.Dropout` that makes eight decisions of each random number (CPU, in training).

    A fifth of the cost of PyTorch's. The rate is rounded to a 256th; what is kept is scaled by
    exactly what that asks for. Draws from PyTorch's global generator, as `nn.Dropout` does.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Any shape, to the same."""
        if not self.training or self.p == 0.0:
            return input
        dropped = round(self.p * _LEVELS)
        if input.device.type != "cpu" or not 0 < dropped < _LEVELS:
            return functional.dropout(input, self.p)
        # Unsigned bytes are below `dropped` with a probability of dropped / 256.
        kept = _bytes(input).ge(dropped).to(input.dtype)
        return input * kept.mul_(_LEVELS / (_LEVELS - dropped))


def _bytes(like: Tensor) -> Tensor:
    """Random bytes of the shape of a tensor, and of its layout if that has no gaps."""
    count = like.numel()
    words = torch.empty(-(-count // 8), dtype=torch.int64).random_(-(2**63), None)
    drawn = words.view(torch.uint8)[:count]
    if torch.ops.aten.is_non_overlapping_and_dense(like):
        return drawn.as_strided(like.shape, like.stride())
    return drawn.view(like.shape)


def split_heads(x: Tensor, heads: int) -> Tensor:
    """(..., T, width) to (..., heads, T, width / heads)."""
    return x.view(*x.shape[:-1], heads, -1).transpose(-3, -2)


def sinusoid(positions: Tensor, width: int, base: float = 10_000.0) -> Tensor:
    """Sine and cosine, in turn, of positions (...): (..., width) (Vaswani et al., 2017, 3.5).

    Channel 2i is the sine and 2i + 1 the cosine of base^(-2i / width) times the position.
    """
    if width % 2:
        raise ValueError(f"a position code needs an even width, not {width}")
    frequencies = torch.exp(
        torch.arange(0, width, 2, device=positions.device) * (-math.log(base) / width)
    )
    angles = positions.float().unsqueeze(-1) * frequencies
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(-2)


def image_code(valid: Tensor, width: int, *, paired: bool = True) -> Tensor:
    """Position of each cell as a share of the written area, in sines and cosines: (B, h, w, width).

    Row and column are counted over the unpadded cells, `valid`, bool (B, h, w), from 1, divided by
    their number (plus 1e-6) and multiplied by 2 pi. The first half of the channels encodes the
    column, the second the row, with base 10000. Paired: neighbouring channels are sine and cosine
    of one frequency (CoMER); otherwise each channel has its own, base^(-i / half), of which even
    channels are the sine and odd ones the cosine (BTTR).
    """
    if width % 4:
        raise ValueError(f"an image position code needs a multiple of 4 channels, not {width}")
    half = width // 2
    code = sinusoid if paired else _own_frequencies
    parts = []
    for side in (2, 1):
        places = valid.cumsum(dim=side).float()
        total = places.narrow(side, -1, 1)
        parts.append(code(places / (total + 1e-6) * (2 * math.pi), half))
    return torch.cat(parts, dim=-1)


def _own_frequencies(positions: Tensor, width: int) -> Tensor:
    """Channel i is the sine (i even) or cosine (i odd) of 10000^(-i / width) times the position."""
    frequencies = torch.exp(
        torch.arange(width, device=positions.device) * (-math.log(10_000.0) / width)
    )
    angles = positions.unsqueeze(-1) * frequencies
    return torch.stack([angles[..., 0::2].sin(), angles[..., 1::2].cos()], dim=-1).flatten(-2)


class DecoderSize(BaseModel):
    """Size of the transformer decoder."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    layers: int = Field(2, ge=1, le=12)
    width: int = Field(192, ge=16, le=1024, multiple_of=4)
    heads: int = Field(4, ge=1, le=16)
    feedforward: int = Field(512, ge=16, le=4096)
    dropout: float = Field(0.1, ge=0, lt=1)

    @model_validator(mode="after")
    def _heads_divide(self) -> Self:
        if self.width % self.heads:
            raise ValueError(f"width {self.width} does not divide into {self.heads} heads")
        return self
