"""Convolutional block attention (CBAM; Woo et al., ECCV 2018) inside the ARM, as in HMER-MTL."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from hmer.models.decoders.arm import Gate, MaskedBatchNorm


class Cbam(Gate):
    """Weighs channels, then places.

    Pools and statistics are over the unpadded cells, and padding is 0 to the convolution. The
    published code lets padded cells take part, which makes a reading depend on what else is in
    the batch; for an image without padding both are the same.

    Args:
        channels: of the hidden maps.
        ratio: by which the channel gate narrows.
        side: of the convolution of the spatial gate.
    """

    def __init__(self, channels: int, ratio: int = 2, side: int = 7) -> None:
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Linear(channels, channels // ratio),
            nn.ReLU(),
            nn.Linear(channels // ratio, channels),
        )
        self.conv = nn.Conv2d(2, 1, side, padding=side // 2, bias=False)
        self.norm = MaskedBatchNorm(1)

    def forward(self, hidden: Tensor, valid: Tensor) -> Tensor:
        """See `Gate.forward`."""
        hidden = hidden * self._channels(hidden, valid)[..., None, None].to(hidden.dtype)
        pooled = torch.stack([hidden.mean(dim=2), hidden.amax(dim=2)], dim=2)
        places = self.conv(pooled.flatten(0, 1)).view(*hidden.shape[:2], 1, *hidden.shape[3:])
        return hidden * cast(Tensor, self.norm(places, valid)).sigmoid().to(hidden.dtype)

    def _channels(self, hidden: Tensor, valid: Tensor) -> Tensor:
        """Weight of each channel (B, S, channels)."""
        cells = valid.flatten(1).sum(dim=1)[:, None, None]
        # Hidden maps are behind a ReLU and 0 in the padding, which so is never their maximum.
        mean = hidden.float().sum(dim=(3, 4)) / cells
        most = hidden.amax(dim=(3, 4))
        return cast(Tensor, self.mlp(mean) + self.mlp(most)).sigmoid()
