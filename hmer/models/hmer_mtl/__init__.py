"""HMER-MTL (2025): CoMER with CBAM inside the ARM and a second head for implicit tags."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch
from pydantic import Field
from torch import Tensor, nn

from hmer.data.collate import Batch
from hmer.latex.vocabulary import Vocabulary
from hmer.models.base import Entry
from hmer.models.common.coverage_decoder import MaskedBatchNorm
from hmer.models.common.grid import CoMER, CoMERConfig, both_rows, stack_rows, tag_table

MTL_KEPT = frozenset("{}^_[]+=-><") | {r"\frac", r"\sqrt", r"\times", r"\cdot", r"\div", r"\geq"}
"""Tokens that the implicit head keeps (17)."""


class Cbam(nn.Module):
    """Convolutional block attention (CBAM; Woo et al., ECCV 2018): weighs channels, then places.

    Pools and statistics are over the unpadded cells, and padding is 0 to the convolution. The
    published code lets padded cells take part, which makes a reading depend on what else is in
    the batch; for an image without padding both are the same.
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
        """Hidden (B, S, channels, h, w), 0 outside valid bool (B, h, w), to the same shape."""
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


class HmerMtlConfig(CoMERConfig):
    """Parts and loss weights of HMER-MTL; the defaults are the published ones (6.420 million)."""

    word_weight: float = Field(1.0, ge=0, le=10)
    implicit_weight: float = Field(1.0, ge=0, le=10)


class HmerMtl(CoMER):
    """Learns, beside each token, which piece of structure it is, if any (17 kept tokens)."""

    config: HmerMtlConfig
    training_only = ("implicit_head",)

    def __init__(self, config: HmerMtlConfig, vocabulary: Vocabulary) -> None:
        super().__init__(config, vocabulary, gate=Cbam(config.arm.channels), further=1)
        self.implicit_head = nn.Linear(config.decoder.width, self.classes)
        # No buffer: an average over time of the weights would average it, too.
        self.tags = tag_table(vocabulary, MTL_KEPT)

    def losses(self, batch: Batch) -> tuple[Mapping[str, Tensor], Tensor]:
        """See `Recogniser.losses`: `word` and `implicit`, weighted, over both directions."""
        hidden, _ = self.hidden(both_rows(batch.inputs), self.encode(batch.images))
        hidden = stack_rows(hidden)
        logits = self.head(hidden)
        tags = self.tags.to(batch.targets.device)[batch.targets]
        implicit = self.surprise(self.implicit_head(hidden), tags)
        losses = {
            "word": self.config.word_weight * self.surprise(logits, batch.targets),
            "implicit": self.config.implicit_weight * implicit,
        }
        return losses, logits[..., : self.words]


ENTRY = Entry(HmerMtlConfig, HmerMtl, "comer")
