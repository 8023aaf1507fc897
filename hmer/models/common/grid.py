"""Recognisers whose decoder looks at the whole grid of cells: what BTTR and its kin share.

CoMER is here, and not in the package of its name, because HMER-MTL, PosFormer and ICAL extend it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import cast

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.nn import functional

from hmer.data.collate import Batch
from hmer.latex.vocabulary import Vocabulary
from hmer.models.base import Encoded, Recogniser
from hmer.models.common.coverage_decoder import (
    ArmConfig,
    GridMemory,
    Past,
    RefinedDecoder,
    RefinedDecoderConfig,
    WordEmbedding,
)
from hmer.models.common.densenet import DenseNetConfig
from hmer.models.common.encoders import EncoderConfig, build_encoder
from hmer.models.common.ink_cells import written_area
from hmer.models.common.layers import image_code


def both_rows(x: Tensor) -> Tensor:
    """Rows of both directions (2B, ...) beside each other: (B, 2, ...)."""
    return x.view(2, -1, *x.shape[1:]).transpose(0, 1)


def stack_rows(x: Tensor) -> Tensor:
    """The inverse of `both_rows`: (B, 2, ...) to (2B, ...)."""
    return x.transpose(0, 1).flatten(0, 1)


class GridConfig(BaseModel):
    """Parts of BTTR; the defaults are the published ones (6.375 million weights)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    encoder: EncoderConfig = DenseNetConfig()
    decoder: RefinedDecoderConfig = RefinedDecoderConfig()
    label_smoothing: float = Field(0.0, ge=0, lt=1)


class Adapter(nn.Module):
    """Encoder features to a sequence of cells with their positions.

    In BTTR projection, ReLU, layer norm, then the image position code (its unpaired form); in
    CoMER (`code_first`) projection, plus the code, then layer norm.
    """

    def __init__(self, channels: int, width: int, *, code_first: bool) -> None:
        super().__init__()
        self.width = width
        self.code_first = code_first
        self.project = nn.Linear(channels, width)
        self.norm = nn.LayerNorm(width)

    def forward(self, features: Tensor, valid: Tensor) -> Tensor:
        """Features (B, channels, h, w), valid bool (B, h, w), to cells (B, h w, width)."""
        cells = cast(Tensor, self.project(features.flatten(2).transpose(1, 2)))
        code = image_code(valid, self.width, paired=self.code_first).flatten(1, 2)
        if self.code_first:
            return cast(Tensor, self.norm(cells + code))
        return cast(Tensor, self.norm(functional.relu(cells)) + code)


class GridRecogniser(Recogniser):
    """A recogniser whose decoder looks at all cells of the image.

    Without `arm` (of the attention refinement) it is BTTR; with it, of CoMER's family, which puts a
    second norm behind the word embedding, too. `gate` is the ARM's. `further` counts classes of the
    decoder beyond the vocabulary (the blank of implicit labels), which `losses` and `step` give no
    logits for.
    """

    config: GridConfig

    def __init__(
        self,
        config: GridConfig,
        vocabulary: Vocabulary,
        *,
        arm: ArmConfig | None = None,
        gate: nn.Module | None = None,
        further: int = 0,
    ) -> None:
        super().__init__()
        self.config = config
        self.words = len(vocabulary)
        self.classes = self.words + further
        width, refined = config.decoder.width, arm is not None
        self.encoder = build_encoder(config.encoder)
        self.stride = self.encoder.stride
        self.adapt = Adapter(self.encoder.channels, width, code_first=refined)
        decoder = RefinedDecoder(config.decoder, arm, gate)
        self.embed = WordEmbedding(self.classes, width, second_norm=refined)
        self.decoder = decoder
        self.head = nn.Linear(width, self.classes)

    def encode(self, images: Tensor) -> Encoded:
        """See `Recogniser.encode`."""
        features = cast(Tensor, self.encoder(images))
        valid = written_area(images, self.stride)
        cells = cast(Tensor, self.adapt(features, valid))
        return Encoded(self.decoder.remember(cells, valid), None, features)

    def hidden(
        self, tokens: Tensor, encoded: Encoded, past: Past = (), *, cache: bool = False
    ) -> tuple[Tensor, Past]:
        """Hidden states (B, K, T, width) after input tokens (B, K, T).

        Also the grown caches, if `cache` asks for them, else ().
        """
        position = past[0].shape[3] if past else 0
        return cast(
            tuple[Tensor, Past],
            self.decoder(
                self.embed(tokens, position),
                cast(GridMemory, encoded.memory),
                past,
                cache=cache,
                contributes=self.contributes(tokens),
            ),
        )

    def contributes(self, tokens: Tensor) -> Tensor | None:
        """Input tokens whose attention counts as coverage; None: all."""
        return None

    def losses(self, batch: Batch) -> tuple[Mapping[str, Tensor], Tensor]:
        """See `Recogniser.losses`: `word`, over the tokens of both directions."""
        hidden, _ = self.hidden(both_rows(batch.inputs), self.encode(batch.images))
        logits = stack_rows(self.head(hidden))
        return {"word": self.surprise(logits, batch.targets)}, logits[..., : self.words]

    def surprise(self, logits: Tensor, targets: Tensor, weight: Tensor | None = None) -> Tensor:
        """Mean cross-entropy of logits (..., classes) over targets (...) that are not padding."""
        return functional.cross_entropy(
            logits.float().flatten(0, -2),
            targets.flatten(),
            weight,
            ignore_index=Vocabulary.pad,
            label_smoothing=self.config.label_smoothing,
        )

    def step(self, tokens: Tensor, encoded: Encoded, past: Past) -> tuple[Tensor, Past]:
        """See `Recogniser.step`."""
        hidden, grown = self.hidden(tokens.unsqueeze(-1), encoded, past, cache=True)
        return self.head(hidden.squeeze(2))[..., : self.words], grown

    def attention_maps(self, tokens: Tensor, encoded: Encoded) -> Tensor:
        """See `Recogniser.attention_maps`."""
        rows = tokens.unsqueeze(1)
        maps = self.decoder.cross_attention(
            self.embed(rows), cast(GridMemory, encoded.memory), self.contributes(rows)
        )
        return maps.squeeze(1)


class CoMERConfig(GridConfig):
    """Parts of CoMER; the defaults are the published Fusion (6.389 million weights)."""

    arm: ArmConfig = ArmConfig()


class CoMER(GridRecogniser):
    """Attention refined by where it has looked so far, in this layer and in the one below."""

    config: CoMERConfig

    def __init__(
        self,
        config: CoMERConfig,
        vocabulary: Vocabulary,
        *,
        gate: nn.Module | None = None,
        further: int = 0,
    ) -> None:
        super().__init__(config, vocabulary, arm=config.arm, gate=gate, further=further)


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
