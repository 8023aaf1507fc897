"""What every image encoder offers."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor, nn


class Encoder(nn.Module, ABC):
    """Images (B, 1, H, W), ink 1 on 0, to features (B, channels, H / stride, W / stride).

    H and W must be multiples of `stride` (the batches are padded so).
    """

    channels: int
    """Of the features."""
    stride: int
    """Pixels per cell."""

    @abstractmethod
    def forward(self, images: Tensor) -> Tensor:
        """See the class."""
