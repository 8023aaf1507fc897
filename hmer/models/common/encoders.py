"""Image encoders by name, and the compact one: a small residual network, fast on a CPU."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, cast

import torch
from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag
from torch import Tensor, nn
from torch.nn import functional

from hmer.models.base import Encoder
from hmer.models.common.densenet import DenseNet, DenseNetConfig


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
    """A plain residual network; by default stride 8 and four times the width in channels.

    *Our design*: where the field uses DenseNet-B (memory-bound, slow per operation), this is a
    ResNet (He et al., 2016, basic blocks) in channels-last layout. Widths double as the resolution
    halves, so every level costs about the same.
    """

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


def _name(config: Any) -> Any:
    """The encoder that a configuration is for; without a name, the compact one."""
    if isinstance(config, Mapping):
        return config.get("name", "compact")
    return getattr(config, "name", None)


EncoderConfig = Annotated[
    Annotated[CompactConfig, Tag("compact")] | Annotated[DenseNetConfig, Tag("densenet")],
    Discriminator(
        _name,
        custom_error_type="encoder",
        custom_error_message="there is no such encoder; choose name: compact or name: densenet",
    ),
]
"""Configuration of any encoder, told apart by `name`."""


def build_encoder(config: CompactConfig | DenseNetConfig) -> Encoder:
    """An encoder with fresh weights."""
    if isinstance(config, DenseNetConfig):
        return DenseNet(config)
    return CompactEncoder(config)
