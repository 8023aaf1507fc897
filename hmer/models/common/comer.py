"""CoMER (Zhao and Gao, ECCV 2022): BTTR with attention refined by coverage.

Here, and not in the package of its name, because HMER-MTL, PosFormer and ICAL extend it.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import cast

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from hmer.latex.vocabulary import Vocabulary
from hmer.models.common.coverage_decoder import (
    ArmConfig,
    Gate,
    RefinedDecoder,
    RefinedDecoderConfig,
)
from hmer.models.common.densenet import DenseNetConfig
from hmer.models.common.encoders import EncoderConfig, build_encoder
from hmer.models.common.grid import Adapter, GridRecogniser
from hmer.models.common.layers import image_code


class CoMERConfig(BaseModel):
    """Parts of CoMER; the defaults are the published Fusion (6.389 million weights)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    encoder: EncoderConfig = DenseNetConfig()
    decoder: RefinedDecoderConfig = RefinedDecoderConfig()
    arm: ArmConfig = ArmConfig()
    label_smoothing: float = Field(0.0, ge=0, lt=1)


class CoMERAdapter(Adapter):
    """Projection, plus the image position code, then layer norm."""

    def forward(self, features: Tensor, valid: Tensor) -> Tensor:
        """Features (B, channels, h, w), valid bool (B, h, w), to cells (B, h w, width)."""
        code = image_code(valid, self.width).flatten(1, 2)
        return cast(Tensor, self.norm(self.cells(features) + code))


class CoMER(GridRecogniser):
    """Attention refined by where it has looked so far, in this layer and in the one below.

    The descendants give `gate` (of the ARM) and `further` (classes beyond the vocabulary).
    """

    config: CoMERConfig

    def __init__(
        self,
        config: CoMERConfig,
        vocabulary: Vocabulary,
        *,
        gate: Gate | None = None,
        further: int = 0,
    ) -> None:
        encoder = build_encoder(config.encoder)
        super().__init__(
            encoder,
            CoMERAdapter(encoder.channels, config.decoder.width),
            RefinedDecoder(config.decoder, config.arm, gate),
            vocabulary,
            further=further,
            second_norm=True,
        )
        self.config = config
        self.label_smoothing = config.label_smoothing


HEAVIEST = 10.0
"""Greatest weight of a class in `blank_weights`."""


def tag_table(words: Vocabulary, kept: Collection[str]) -> Tensor:
    """Implicit tag of every token number, int64 (len(words),).

    Padding, start, end and the tokens in `kept` keep their number; all others become the blank,
    `len(words)`. (The published systems put the blank at 3 and move the tokens up.) Indexing the
    table with targets of any shape gives implicit targets: tags do not depend on the context.
    """
    table = torch.arange(len(words))
    table[words.encode(token for token in words.tokens if token not in kept)] = len(words)
    return table


def blank_weights(tags: Tensor, classes: int) -> Tensor:
    """Weight of every class against the flood of blanks: float (classes,) (ICAL).

    With r the share of blanks among all places of padded targets `tags` (R, T), every class weighs
    min(10, 1 + ln(1 + 1 / (1 - r + 1e-6))) and the blank, the last class, 1.
    """
    blank = classes - 1
    share = (tags == blank).float().mean()
    weight = 1 + torch.log(1 + 1 / (1 - share + 1e-6))
    weights = weight.clamp(max=HEAVIEST).repeat(classes)
    weights[blank] = 1.0
    return weights
