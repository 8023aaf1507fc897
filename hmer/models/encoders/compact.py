"""A small residual encoder, fast on a CPU.

Our design: where the field uses DenseNet-B (memory-bound, slow per operation), this is a plain
ResNet (He et al., 2016, basic blocks) in channels-last layout. Widths double as the resolution
halves, so every level costs about the same.
"""

from __future__ import annotations

from typing import Annotated, Literal, cast

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.nn import functional

from hmer.models.encoders.base import Encoder


class CompactConfig(BaseModel):
    """Size of the compact encoder."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Literal["compact"] = "compact"
    width: int = Field(
        32, ge=8, le=256, multiple_of=4, description="channels after the stem; doubled per level"
    )
    blocks: tuple[Annotated[int, Field(ge=1, le=16)], ...] = Field(
        (1, 2, 2), min_length=1, max_length=4, description="residual blocks per level"
    )


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions with a shortcut; the first may halve the resolution."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.stride = stride
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs)
            )

    def start_as_identity(self) -> None:
        """Let the block add nothing to its shortcut until it is trained (Goyal et al., 2017)."""
        nn.init.zeros_(self.norm2.weight)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) to (B, outputs, H / stride, W / stride)."""
        y = functional.relu(self.norm1(self.conv1(x)))
        y = self.norm2(self.conv2(y))
        # A 1 x 1 convolution with stride 2, in two steps: as one, oneDNN corrupts memory in the
        # backward pass when there are fewer than 16 channels (channels-last, AVX-512).
        thinned = x[:, :, :: self.stride, :: self.stride]
        return functional.relu(y + cast(Tensor, self.shortcut(thinned)))


class CompactEncoder(Encoder):
    """With the default three levels: stride 8 and four times the width in channels."""

    def __init__(self, config: CompactConfig) -> None:
        super().__init__()
        width = config.width
        self.stem = nn.Sequential(
            nn.Conv2d(1, width, 5, 2, 2, bias=False), nn.BatchNorm2d(width), nn.ReLU()
        )
        levels: list[nn.Module] = []
        channels = width
        for level, count in enumerate(config.blocks):
            outputs = width * 2**level
            levels.append(ResidualBlock(channels, outputs, 1 if level == 0 else 2))
            levels.extend(ResidualBlock(outputs, outputs) for _ in range(count - 1))
            channels = outputs
        self.levels = nn.Sequential(*levels)
        # The layouts in which convolutions train fastest on a CPU: with AVX2 alone, oneDNN's own
        # blocked one (a quarter faster in the backward pass) but for the single input channel.
        wide = torch.cpu.get_capabilities().get("avx512_f", True)
        self.layout = torch.channels_last if wide else torch.contiguous_format
        for part, layout in ((self.stem, torch.channels_last), (self.levels, self.layout)):
            for parameter in part.parameters():
                if parameter.ndim == 4:
                    parameter.data = parameter.data.contiguous(memory_format=layout)
        self.channels = channels
        self.stride = 2 ** len(config.blocks)

    def forward(self, images: Tensor) -> Tensor:
        """See `Encoder`."""
        images = images.contiguous(memory_format=torch.channels_last)
        x = cast(Tensor, self.stem(images))
        return cast(Tensor, self.levels(x.contiguous(memory_format=self.layout)))
