"""The field's way of decoding, for comparison.

No caches: every step runs the decoder over the whole prefix of every hypothesis. The encoder's
output is copied for every hypothesis and projected to keys and values in every layer at every
step. Both directions are one batch. Nothing leaves the batch before the last hypothesis has
ended, and every hypothesis is rescored by a teacher-forced pass in both directions.
"""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from hmer.decoding.beam import Direction, search_directions
from hmer.models.area import written_area
from hmer.models.attention_coverage import AttentionCoverage
from hmer.models.decoders.transformer import CrossMemory
from hmer.models.encoders.base import Encoder
from hmer.models.encoders.bottleneck import Bottleneck
from hmer.models.encoders.densenet import DenseNet
from hmer.models.grid import GridRecogniser
from hmer.models.ical import ICAL
from hmer.models.interface import Encoded, Recogniser
from hmer.models.mask_match import MaskMatch, Memory


class Copied(NamedTuple):
    """One row per hypothesis of what the encoder gives."""

    cells: Tensor
    """(B, N, channels), not projected yet."""
    valid: Tensor
    """bool (B, h, w)"""
    cross: CrossMemory | None
    """Mask & Match: keys, values and bias."""


def plain_features(encoder: Encoder, images: Tensor) -> Tensor:
    """Of the whole canvas, layer by layer, each joined to those before by a copy."""
    if not isinstance(encoder, DenseNet):
        return cast(Tensor, encoder(images))
    x = encoder.stem(images)
    for part in encoder.blocks:
        if isinstance(part, Bottleneck):
            x = torch.cat([x, part.grow(part.narrow(x))], dim=1)
        else:
            x = part(x)
    return cast(Tensor, encoder.norm(x))


class PlainCoverage:
    """Attention with coverage as its formulas are written, one image at a time; a `Step`.

    With gradients enabled, though none are wanted, the model does nothing in a faster way.
    """

    def __init__(self, model: AttentionCoverage, image: Tensor) -> None:
        self.model = model.requires_grad_(False)
        features = plain_features(model.encoder, image)
        memory = model.decoder.remember(features, written_area(image, model.stride))
        self.encoded = Encoded(memory, None, features)

    def __call__(
        self, tokens: Tensor, past: tuple[Tensor, ...]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """See `Step`."""
        with torch.inference_mode(False), torch.enable_grad():
            return self.model.step(tokens, self.encoded, past)


class FieldDecoder:
    """A recogniser decoded as the field does; `Step` for the search."""

    def __init__(self, model: Recogniser, images: Tensor) -> None:
        self.model = model
        self.images = images
        empty = torch.zeros(len(images), 1, 1)
        if isinstance(model, GridRecogniser):
            valid = written_area(images, model.stride)
            features = plain_features(model.encoder, images)
            self.memory = Copied(model.adapt(features, valid), valid, None)
        else:
            cross = cast(Memory, model.encode(images).memory).cross
            self.memory = Copied(empty, empty.bool(), cross)

    def __call__(
        self, tokens: Tensor, past: tuple[Tensor, ...]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The last logits of whole prefixes; the prefix is all that is kept."""
        prefix = torch.cat([*past, tokens.unsqueeze(-1)], dim=-1)
        rows, width, _ = prefix.shape
        logits = self.logits(prefix.flatten(0, 1), width)[:, -1]
        return logits.view(rows, width, -1), (prefix,)

    def logits(self, prefix: Tensor, copies: int) -> Tensor:
        """Teacher-forced (B K, T, V) for (B K, T), K = copies."""
        model = self.model
        if isinstance(model, MaskMatch):
            cross = self.memory.cross
            assert cross is not None
            copied = CrossMemory(
                tuple(x.repeat_interleave(copies, dim=0) for x in cross.keys),
                tuple(x.repeat_interleave(copies, dim=0) for x in cross.values),
                cross.bias.repeat_interleave(copies, dim=0),
            )
            return cast(Tensor, model.decoder(prefix, copied))
        assert isinstance(model, GridRecogniser)
        cells = self.memory.cells.repeat_interleave(copies, dim=0)
        valid = self.memory.valid.repeat_interleave(copies, dim=0)
        memory = model.decoder.remember(cells, valid)
        rows = prefix.unsqueeze(1)
        hidden = model.decoder(model.embed(rows), memory, contributes=model.contributes(rows))[0]
        hidden = hidden.squeeze(1)
        if isinstance(model, ICAL):
            return model.read(hidden, model.implicit(hidden))[..., : model.words]
        return cast(Tensor, model.head(hidden)[..., : model.words])


def field_decoding(
    model: Recogniser,
    images: Tensor,
    *,
    sos: int,
    eos: int,
    pad: int,
    beam: int,
    max_length: int,
    stop_bias: float,
) -> None:
    """Encode, search from both ends, rescore all hypotheses in both directions."""
    decoder = FieldDecoder(model, images)
    found = search_directions(
        biased(decoder, (sos, eos), stop_bias),
        len(images),
        [Direction(sos, eos, (pad, sos)), Direction(eos, sos, (pad, eos))],
        beam=beam,
        max_length=max_length,
    )
    both = [[*(h.tokens for h in a), *(h.tokens[::-1] for h in b)] for a, b in found]
    for start in (sos, eos):
        rows = nn.utils.rnn.pad_sequence(
            [
                torch.tensor([start, *(tokens if start == sos else tokens[::-1])])
                for row in both
                for tokens in row
            ],
            batch_first=True,
        )
        decoder.logits(rows, 2 * beam).log_softmax(-1)


class Biased(NamedTuple):
    """A step that would rather not stop: untrained models end anywhere."""

    step: object
    tokens: tuple[int, ...]
    bias: float

    def __call__(
        self, tokens: Tensor, past: tuple[Tensor, ...]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """See `Step`."""
        logits, past = self.step(tokens, past)  # type: ignore[operator]
        logits = logits.clone()
        logits[..., list(self.tokens)] += self.bias
        return logits, past

    def keep(self, rows: Tensor) -> Biased:
        """See `ShrinkableStep`."""
        return self._replace(step=self.step.keep(rows))  # type: ignore[attr-defined]


def biased(step: object, tokens: tuple[int, ...], bias: float) -> Biased:
    """See `Biased`."""
    return Biased(step, tokens, bias)
