"""Mask & Match: the recogniser whose encoder and attention are trained without labels first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple, cast

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.nn import functional

from hmer.data.collate import UNKNOWN, Batch
from hmer.latex.vocabulary import Vocabulary
from hmer.models.base import Encoded, Entry, Recogniser
from hmer.models.common.attention import Attended, AttentionConfig, AttentionNetwork
from hmer.models.common.encoders import CompactConfig, EncoderConfig, build_encoder
from hmer.models.common.ink_cells import Cells, ink_cells
from hmer.models.common.lone_symbol import LoneSymbol, pooled
from hmer.models.mask_match.decoder import (
    CrossMemory,
    DecoderConfig,
    TransformerDecoder,
    alignment_loss,
)


class MaskMatchConfig(BaseModel):
    """Parts and loss weights of the Mask & Match recogniser."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    encoder: EncoderConfig = CompactConfig()
    attention: AttentionConfig = AttentionConfig()
    decoder: DecoderConfig = DecoderConfig()
    symbol_weight: float = Field(
        0.5, ge=0, le=10, description="weight of the symbol-per-cell loss; needs symbol boxes"
    )
    alignment_weight: float = Field(
        0.5, ge=0, le=10, description="weight of the guided attention; needs symbols with places"
    )
    label_smoothing: float = Field(0.0, ge=0, lt=1)


class Memory(NamedTuple):
    """What the decoder looks at, and where on the map it lies."""

    cross: CrossMemory
    cells: Cells


class MaskMatch(Recogniser):
    """Encoder, self-supervised attention network, bidirectional transformer decoder.

    The attention network's map multiplies the decoder's own attention (a learned power of it:
    `map ** strength`), so that cells which phase 2 found informative are looked at first and
    blank paper is never looked at.
    """

    config: MaskMatchConfig
    training_only = ("symbol_head",)

    def __init__(self, config: MaskMatchConfig, vocabulary: int) -> None:
        super().__init__()
        self.config = config
        self.classes = vocabulary
        self.encoder = build_encoder(config.encoder)
        self.stride = self.encoder.stride
        self.attention = AttentionNetwork(self.encoder.channels, config.attention)
        self.adapt = nn.Sequential(
            nn.Linear(self.encoder.channels, config.decoder.width),
            nn.LayerNorm(config.decoder.width),
        )
        self.strength = nn.Parameter(torch.tensor(0.5))
        self.decoder = TransformerDecoder(config.decoder, vocabulary)
        self.symbol_head = nn.Linear(self.encoder.channels, vocabulary)
        self.lone_symbol: LoneSymbol | None = None

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> Any:
        """See `Recogniser.load_state_dict`; it has a classifier of single symbols if they have."""
        lone = any(name.startswith("lone_symbol.") for name in state_dict)
        self.lone_symbol = LoneSymbol(self.encoder.channels, self.classes) if lone else None
        return super().load_state_dict(state_dict, strict=strict, assign=assign)

    def encode(self, images: Tensor) -> Encoded:
        """See `Recogniser.encode`."""
        return self._encoded(images)[0]

    def _attended(self, images: Tensor) -> tuple[Tensor, Cells, Attended]:
        """Features (B, channels, h, w), the ink cells, and these in context."""
        features = cast(Tensor, self.encoder(images))
        cells = Cells.where(ink_cells(images, self.stride))
        return features, cells, self.attention(features, cells, cells.valid)

    def pooled(self, images: Tensor) -> Tensor:
        """What the classifier of single symbols sees of images (B, 1, H, W): (B, features)."""
        features, cells, attended = self._attended(images)
        return pooled(cells.gather(features), attended.features, cells.valid)

    def _encoded(self, images: Tensor) -> tuple[Encoded, Tensor]:
        """The encoded images, and the features of their ink cells in context (B, M, channels)."""
        features, cells, attended = self._attended(images)
        content = cast(Tensor, self.adapt(attended.features))
        # -inf times a strength of 0 would be NaN: padding is shut out separately.
        bias = self.strength * attended.log_map.masked_fill(~cells.valid, 0.0)
        bias = bias.masked_fill(~cells.valid, -torch.inf)
        code = cells.code(content.shape[-1]).to(content.dtype)
        memory = self.decoder.remember(content, code, bias)
        with torch.no_grad():
            shown = cells.scatter(attended.log_map.exp())
        encoded = Encoded(Memory(memory, cells), shown, features)
        if self.lone_symbol is not None:
            seen = pooled(cells.gather(features), attended.features, cells.valid)
            encoded = replace(encoded, lone_symbol=self.lone_symbol(seen))
        return encoded, attended.features

    def losses(self, batch: Batch) -> tuple[Mapping[str, Tensor], Tensor]:
        """See `Recogniser.losses`.

        `word` (both directions), `symbol` (class of ink cells), `alignment` (guided attention).
        """
        encoded, attended = self._encoded(batch.images)
        memory, cells = cast(Memory, encoded.memory)
        both = CrossMemory(
            tuple(torch.cat([x, x]) for x in memory.keys),
            tuple(torch.cat([x, x]) for x in memory.values),
            torch.cat([memory.bias, memory.bias]),
        )
        logits, looked = self.decoder(batch.inputs, both)
        word = functional.cross_entropy(
            logits.float().flatten(0, 1),
            batch.targets.flatten(),
            ignore_index=Vocabulary.pad,
            label_smoothing=self.config.label_smoothing,
        )
        symbols, places = (
            known.flatten(1).gather(1, cells.index).masked_fill(~cells.valid, UNKNOWN)
            for known in (batch.symbols, batch.places)
        )
        seen = self.symbol_head(attended).float()
        total = functional.cross_entropy(
            seen.flatten(0, 1), symbols.flatten(), ignore_index=UNKNOWN, reduction="sum"
        )
        symbol = self.config.symbol_weight * total / (symbols != UNKNOWN).sum().clamp(min=1)
        alignment = alignment_loss(looked, places, batch.targets)
        return {
            "word": word,
            "symbol": symbol,
            "alignment": self.config.alignment_weight * alignment,
        }, logits

    def step(
        self, tokens: Tensor, encoded: Encoded, past: tuple[Tensor, ...]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """See `Recogniser.step`."""
        return self.decoder.step(tokens, cast(Memory, encoded.memory).cross, past)

    def attention_maps(self, tokens: Tensor, encoded: Encoded) -> Tensor:
        """See `Recogniser.attention_maps`."""
        memory = cast(Memory, encoded.memory)
        return memory.cells.scatter(self.decoder(tokens, memory.cross)[1])


ENTRY = Entry(MaskMatchConfig, lambda config, words: MaskMatch(config, len(words)), "wap")
