"""The dense encoder as it reads on a CPU: about twice as fast, the same but for rounding.

Each normalisation is folded into the filters before it. The features of a block lie in one
channels-last buffer that its layers read from and add to, where `torch.cat` would copy them in
every layer. Convolution and ReLU are one operation of oneDNN; it is part of PyTorch, and it also
computes 1 x 1 convolutions at twice the speed of what PyTorch takes for few images on one thread.
"""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from hmer.models.encoders.bottleneck import Bottleneck


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
    """The filters of a `DenseNet` in evaluation; valid as long as its weights do not change."""

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
