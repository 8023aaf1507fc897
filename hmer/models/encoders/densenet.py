"""DenseNet-B as BTTR and its descendants have it.

Huang et al. (2017) with bottlenecks and compression, but each convolution is followed, not
preceded, by its normalisation (the order of the WAP line of recognisers). 3.157 million weights
together with the recognisers' projection to 256 channels.

*Ours*: what lies outside the written area is 0 to every convolution, as if the image ended there.
A cell sees hundreds of pixels of this network, so elsewhere, what is read depends on how much
blank padding a batch happens to bring.
"""

from __future__ import annotations

from typing import Literal, cast

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.nn import functional

from hmer.models.area import extents, written_area
from hmer.models.encoders.base import Encoder
from hmer.models.encoders.bottleneck import Bottleneck, convolution
from hmer.models.encoders.folded import FoldedDenseNet

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
