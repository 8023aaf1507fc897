"""BTTR (Zhao et al., ICDAR 2021): a transformer that reads from both ends."""

from __future__ import annotations

from typing import cast

from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.nn import functional

from hmer.latex.vocabulary import Vocabulary
from hmer.models.base import Entry
from hmer.models.common.coverage_decoder import RefinedDecoder, RefinedDecoderConfig
from hmer.models.common.densenet import DenseNetConfig
from hmer.models.common.encoders import EncoderConfig, build_encoder
from hmer.models.common.grid import Adapter, GridRecogniser
from hmer.models.common.layers import image_code


class BTTRConfig(BaseModel):
    """Parts of BTTR; the defaults are the published ones (6.375 million weights)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    encoder: EncoderConfig = DenseNetConfig()
    decoder: RefinedDecoderConfig = RefinedDecoderConfig()
    label_smoothing: float = Field(0.0, ge=0, lt=1)


class BTTRAdapter(Adapter):
    """Projection, ReLU, layer norm, then the image position code (its unpaired form)."""

    def forward(self, features: Tensor, valid: Tensor) -> Tensor:
        """Features (B, channels, h, w), valid bool (B, h, w), to cells (B, h w, width)."""
        cells = self.norm(functional.relu(self.cells(features)))
        return cast(Tensor, cells + image_code(valid, self.width, paired=False).flatten(1, 2))


class BTTR(GridRecogniser):
    """Plain attention on the whole grid, no coverage; the loss is of the words alone."""

    config: BTTRConfig

    def __init__(self, config: BTTRConfig, vocabulary: Vocabulary) -> None:
        encoder = build_encoder(config.encoder)
        super().__init__(
            encoder,
            BTTRAdapter(encoder.channels, config.decoder.width),
            RefinedDecoder(config.decoder, None),
            vocabulary,
            second_norm=False,
        )
        self.config = config
        self.label_smoothing = config.label_smoothing


ENTRY = Entry(BTTRConfig, BTTR, "wap")
