"""Recognisers whose decoder looks at the whole grid of cells: what BTTR and its kin share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from torch import Tensor, nn
from torch.nn import functional

from hmer.data.collate import Batch
from hmer.latex.vocabulary import Vocabulary
from hmer.models.base import Encoded, Encoder, Recogniser
from hmer.models.common.coverage_decoder import GridMemory, Past, RefinedDecoder, WordEmbedding
from hmer.models.common.ink_cells import written_area


def both_rows(x: Tensor) -> Tensor:
    """Rows of both directions (2B, ...) beside each other: (B, 2, ...)."""
    return x.view(2, -1, *x.shape[1:]).transpose(0, 1)


def stack_rows(x: Tensor) -> Tensor:
    """The inverse of `both_rows`: (B, 2, ...) to (2B, ...)."""
    return x.transpose(0, 1).flatten(0, 1)


class Adapter(nn.Module):
    """Encoder features to a sequence of cells with their positions."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.width = width
        self.project = nn.Linear(channels, width)
        self.norm = nn.LayerNorm(width)

    def cells(self, features: Tensor) -> Tensor:
        """Features (B, channels, h, w) projected: (B, h w, width)."""
        return cast(Tensor, self.project(features.flatten(2).transpose(1, 2)))


class GridRecogniser(Recogniser):
    """A recogniser whose decoder looks at all cells of the image.

    `adapt` is called with features (B, channels, h, w) and bool (B, h, w). `further` counts classes
    of the decoder beyond the vocabulary (the blank of implicit labels), which `losses` and `step`
    give no logits for.
    """

    def __init__(
        self,
        encoder: Encoder,
        adapt: Adapter,
        decoder: RefinedDecoder,
        vocabulary: Vocabulary,
        *,
        further: int = 0,
        second_norm: bool,
    ) -> None:
        super().__init__()
        self.words = len(vocabulary)
        self.classes = self.words + further
        self.label_smoothing = 0.0
        self.stride = encoder.stride
        self.encoder = encoder
        self.adapt = adapt
        self.embed = WordEmbedding(self.classes, decoder.width, second_norm=second_norm)
        self.decoder = decoder
        self.head = nn.Linear(decoder.width, self.classes)

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
            label_smoothing=self.label_smoothing,
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
