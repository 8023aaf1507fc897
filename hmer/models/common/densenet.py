"""DenseNet-B encoder as BTTR and its descendants have it.

Huang et al. (2017) with bottlenecks and compression, but each convolution is followed, not
preceded, by its normalisation (the order of the WAP line of recognisers). 3.157 million weights
together with the recognisers' projection to 256 channels. *Ours*: what lies outside the written
area is 0 to every convolution, as if the image ended there; elsewhere, what is read depends on how
much blank padding a batch brings.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Literal, NamedTuple, cast

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.nn import functional

from hmer.models.base import Encoder
from hmer.models.common.ink_cells import extents, written_area
from hmer.models.common.layers import Dropout


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


class Folded(NamedTuple):
    """A convolution with the normalisation and the ReLU that follow it."""

    weight: Tensor
    bias: Tensor
    stride: int
    padding: int

    @classmethod
    def of(cls, conv: nn.Conv2d, norm: nn.BatchNorm2d) -> Folded:
        """The filters of `conv`, scaled and shifted as `norm` does."""
        scale, shift = affine(norm)
        weight = conv.weight.detach() * scale[:, None, None, None]
        weight = weight.contiguous(memory_format=torch.channels_last)
        return cls(weight, shift, conv.stride[0], cast(int, conv.padding[0]))

    def __call__(self, x: Tensor) -> Tensor:
        """(B, inputs, h, w), channels-last, to (B, outputs, h', w')."""
        return cast(
            Tensor,
            torch.ops.mkldnn._convolution_pointwise(
                x, self.weight, self.bias, [self.padding] * 2, [self.stride] * 2, [1, 1], 1,
                "relu", [], "",
            ),
        )  # fmt: skip


class Block(NamedTuple):
    """The layers of a dense block, and what narrows its result for the next one."""

    layers: tuple[tuple[Folded, Folded], ...]
    transition: Folded | None

    def __call__(self, x: Tensor) -> Tensor:
        """(B, channels, h, w) to the features of the block, or to those of its transition."""
        batch, inputs, height, width = x.shape
        growth = len(self.layers[0][1].bias)
        channels = inputs + growth * len(self.layers)
        buffer = x.new_empty(batch, height, width, channels).permute(0, 3, 1, 2)
        buffer[:, :inputs] = x
        for index, (narrow, grow) in enumerate(self.layers):
            known = inputs + index * growth
            buffer[:, known : known + growth] = grow(narrow(buffer[:, :known]))
        return buffer if self.transition is None else self.transition(buffer)


class FoldedDenseNet(NamedTuple):
    """The filters of a `DenseNet` in evaluation; valid as long as its weights do not change.

    About twice as fast on a CPU, the same but for rounding: each normalisation is folded into the
    filters before it, the features of a block lie in one channels-last buffer that its layers read
    from and add to, and convolution and ReLU are one operation of oneDNN.
    """

    stem: Folded
    blocks: tuple[Block, ...]
    scale: Tensor
    shift: Tensor

    @classmethod
    @torch.no_grad()
    def of(cls, stem: nn.Sequential, blocks: nn.Sequential, norm: nn.BatchNorm2d) -> FoldedDenseNet:
        """Fold the weights of the parts of a `DenseNet`."""
        first = Folded.of(cast(nn.Conv2d, stem[0]), cast(nn.BatchNorm2d, stem[1]))
        found, layers = [], list[tuple[Folded, Folded]]()
        for part in blocks:
            if isinstance(part, Bottleneck):
                layers.append((_fold(part.narrow), _fold(part.grow)))
            elif isinstance(part, nn.Sequential):  # a transition; it ends a block
                found.append(Block(tuple(layers), _fold(part)))
                layers = []
        found.append(Block(tuple(layers), None))
        return cls(first, tuple(found), *affine(norm))

    def __call__(self, images: Tensor) -> Tensor:
        """Images (B, 1, H, W), sides multiples of 16, to features, in inference mode only."""
        x = functional.max_pool2d(self.stem(images), 2)
        for block in self.blocks:
            x = block(x)
            if block.transition is not None:
                x = functional.avg_pool2d(x, 2)
        return x * self.scale[:, None, None] + self.shift[:, None, None]


def affine(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """What a normalisation in evaluation multiplies by and adds, each (channels,)."""
    assert norm.running_mean is not None and norm.running_var is not None
    scale = norm.weight.detach() * (norm.running_var + norm.eps).rsqrt()
    return scale, norm.bias.detach() - norm.running_mean * scale


def _fold(part: nn.Sequential) -> Folded:
    """A convolution with its normalisation, as `convolution` makes them."""
    return Folded.of(cast(nn.Conv2d, part.conv), cast(nn.BatchNorm2d, part.norm))


_BLOCKS = 3


class DenseNetConfig(BaseModel):
    """Size of the dense encoder; the defaults are the field's."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Literal["densenet"] = "densenet"
    growth: int = Field(24, ge=4, le=64, description="channels that a layer adds")
    layers: int = Field(16, ge=1, le=32, description="bottleneck layers per block")
    dropout: float = Field(0.2, ge=0, lt=1)


class DenseNet(Encoder):
    """Stride 16 and, at the field's size, 684 channels. See `Encoder`."""

    stride = 16

    def __init__(self, config: DenseNetConfig) -> None:
        super().__init__()
        self.config = config
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
                parts.append(convolution(channels, channels // 2, 1, config.dropout))
                parts.append(nn.AvgPool2d(2, ceil_mode=True))
                channels //= 2
        self.blocks = nn.Sequential(*parts)
        self.norm = nn.BatchNorm2d(channels)
        self.channels = channels
        self.layout = torch.channels_last
        """Of what goes through the blocks; the one in which convolutions are fastest on a CPU."""
        self._folded: tuple[object, FoldedDenseNet] | None = None

    def train(self, mode: bool = True) -> DenseNet:
        """See `nn.Module.train`."""
        self._folded = None
        return super().train(mode)

    def forward(self, images: Tensor) -> Tensor:
        """See `Encoder`; 0 outside the written area."""
        area = written_area(images, self.stride)
        if self._foldable(images):
            return self._cut_out(images, area)
        return self._masked(images, area.unsqueeze(1).to(images.dtype))

    def _masked(self, images: Tensor, area: Tensor) -> Tensor:
        """Features of images (B, 1, H, W) with the written `area`, 0 or 1 (B, 1, h, w)."""
        scale = 16
        x = cast(Tensor, self.stem(images * _enlarged(area, scale)))
        x = x.contiguous(memory_format=self.layout)
        scale //= 4
        here = _enlarged(area, scale)
        for part in self.blocks:
            # Only bottlenecks look beyond their cell.
            x = part(x, here.to(x.dtype)) if isinstance(part, Bottleneck) else part(x)
            if isinstance(part, nn.AvgPool2d):
                scale //= 2
                here = _enlarged(area, scale)
        return cast(Tensor, self.norm(x) * area.to(x.dtype))

    def _foldable(self, images: Tensor) -> bool:
        """Whether the fast way is open: reading, in full precision, on a CPU with oneDNN."""
        plain = self.training or torch.is_grad_enabled() or torch.is_autocast_enabled("cpu")
        kinds = {images.dtype, self.norm.weight.dtype}
        return (
            not plain
            and images.device.type == "cpu"
            and kinds == {torch.float32}
            and torch._C._has_mkldnn
        )

    def _cut_out(self, images: Tensor, area: Tensor) -> Tensor:
        """The same as `_masked`, each image alone and without what is not written on."""
        folded = self._fold()
        height, width = area.shape[1:]
        features = images.new_zeros(len(images), self.channels, height, width)
        for image, found, (h, w) in zip(images, features, extents(area), strict=True):
            own = image[None, :, : h * self.stride, : w * self.stride]
            found[:, :h, :w] = folded(own)[0]
        return features

    def _fold(self) -> FoldedDenseNet:
        """The folded filters, anew where weights have changed."""
        tensors = [*self.parameters(), *self.buffers()]
        if any(tensor.is_inference() for tensor in tensors):  # which do not count their changes
            return FoldedDenseNet.of(self.stem, self.blocks, self.norm)
        version = [(tensor.data_ptr(), tensor._version) for tensor in tensors]
        if self._folded is None or self._folded[0] != version:
            self._folded = version, FoldedDenseNet.of(self.stem, self.blocks, self.norm)
        return self._folded[1]


def _enlarged(area: Tensor, scale: int) -> Tensor:
    """(B, 1, h, w) to (B, 1, scale h, scale w)."""
    return functional.interpolate(area, scale_factor=float(scale), mode="nearest")
