"""Attention with coverage: the recurrent recogniser with which the field began.

WAP (Zhang et al., Pattern Recognition 2017) in the form with a DenseNet encoder (ICPR 2018).
*Ours*: it reads from both ends with the same weights, as BTTR and all after it do, so that the
recognisers are trained and decoded alike; the published ones read from left to right only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor
from torch.nn import functional

from hmer.data.collate import Batch
from hmer.latex.vocabulary import Vocabulary
from hmer.models.attention_coverage.decoder import CoverageMemory, GruConfig, GruDecoder
from hmer.models.base import Encoded, Entry, Recogniser
from hmer.models.common.densenet import DenseNetConfig
from hmer.models.common.encoders import EncoderConfig, build_encoder
from hmer.models.common.grid import both_rows, stack_rows
from hmer.models.common.ink_cells import written_area


class AttentionCoverageConfig(BaseModel):
    """Parts of the recogniser; the defaults are the field's."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    encoder: EncoderConfig = DenseNetConfig()
    decoder: GruConfig = GruConfig()
    label_smoothing: float = Field(0.0, ge=0, lt=1)


class AttentionCoverage(Recogniser):
    """Encoder, then a two-layer recurrent decoder with additive attention and coverage."""

    config: AttentionCoverageConfig

    def __init__(self, config: AttentionCoverageConfig, vocabulary: Vocabulary) -> None:
        super().__init__()
        self.config = config
        self.classes = len(vocabulary)
        self.encoder = build_encoder(config.encoder)
        self.stride = self.encoder.stride
        self.decoder = GruDecoder(config.decoder, self.encoder.channels, self.classes)

    def encode(self, images: Tensor) -> Encoded:
        """See `Recogniser.encode`."""
        features = cast(Tensor, self.encoder(images))
        valid = written_area(images, self.stride)
        return Encoded(self.decoder.remember(features, valid), None, features)

    def losses(self, batch: Batch) -> tuple[Mapping[str, Tensor], Tensor]:
        """See `Recogniser.losses`: `word`, both directions."""
        memory = cast(CoverageMemory, self.encode(batch.images).memory)
        logits = stack_rows(self.decoder(both_rows(batch.inputs), memory)[0])
        word = functional.cross_entropy(
            logits.float().flatten(0, 1),
            batch.targets.flatten(),
            ignore_index=Vocabulary.pad,
            label_smoothing=self.config.label_smoothing,
        )
        return {"word": word}, logits

    def step(
        self, tokens: Tensor, encoded: Encoded, past: tuple[Tensor, ...]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """See `Recogniser.step`; `past` is the state and the coverage."""
        return self.decoder.step(tokens, cast(CoverageMemory, encoded.memory), past)

    def attention_maps(self, tokens: Tensor, encoded: Encoded) -> Tensor:
        """See `Recogniser.attention_maps`."""
        memory = cast(CoverageMemory, encoded.memory)
        weights = self.decoder(tokens.unsqueeze(1), memory)[1].squeeze(1)
        return cast(Tensor, weights.unflatten(-1, memory.grid))


ENTRY = Entry(AttentionCoverageConfig, AttentionCoverage, "wap")
