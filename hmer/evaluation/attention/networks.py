"""The attention maps of a recogniser, while it is told the truth token by token."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from hmer.data.batches import BatchConfig
from hmer.evaluation.annotated import Annotated, cell_grid, in_batches
from hmer.evaluation.images import FloatArray
from hmer.latex.vocabulary import Vocabulary
from hmer.models.base import Encoded, Encoder, Recogniser
from hmer.models.common.attention import AttentionNetwork
from hmer.models.common.ink_cells import Cells, ink_cells

BATCH = BatchConfig(max_pixels=400_000, max_count=32, buckets=6)


class Looker(Protocol):
    """What has a spatial attention map: a recogniser, or `AttendedEncoder`."""

    stride: int

    def encode(self, images: Tensor) -> Encoded:
        """Read images, float (B, 1, H, W); `attention` is the map."""
        ...

    def parameters(self) -> Iterator[nn.Parameter]:
        """All weights."""
        ...


class AttendedEncoder(nn.Module):
    """Encoder and attention network as phase 2 leaves them, with no decoder yet."""

    def __init__(self, encoder: Encoder, attention: AttentionNetwork) -> None:
        super().__init__()
        self.encoder, self.attention = encoder, attention
        self.stride = encoder.stride

    def encode(self, images: Tensor) -> Encoded:
        """The map over the cells with ink; there is no memory for a decoder."""
        features: Tensor = self.encoder(images)
        cells = Cells.where(ink_cells(images, self.stride))
        log_map = self.attention(features, cells, cells.valid).log_map
        return Encoded(None, cells.scatter(log_map.exp()), features)


@torch.inference_mode()
def look_over(
    model: Looker, shown: Sequence[Annotated], batch: BatchConfig = BATCH
) -> list[FloatArray]:
    """The spatial map (h, w) of every expression; none at all where the model has no such map.

    The model must be in evaluation mode.
    """
    device = next(model.parameters()).device
    found: dict[int, FloatArray] = {}
    for numbers, images in in_batches([one.image for one in shown], model.stride, batch):
        spatial = model.encode(images.to(device)).attention
        if spatial is None:
            return []
        for row, number in enumerate(numbers):
            height, width = cell_grid(shown[number].image, model.stride)
            found[number] = _array(spatial[row, :height, :width])
    return [found[number] for number in range(len(shown))]


@torch.inference_mode()
def follow(
    model: Recogniser,
    words: Vocabulary,
    shown: Sequence[Annotated],
    batch: BatchConfig = BATCH,
) -> list[FloatArray | None]:
    """Where the decoder looks when it writes each token of the truth, from left to right.

    Args:
        model: in evaluation mode.
        words: of the captions.
        shown: expressions.
        batch: how many are read at once.

    Returns:
        (T, h, w) for every expression of T tokens, on the picture's own cells; None where the
        truth holds tokens that cannot be written.
    """
    device = next(model.parameters()).device
    found: dict[int, FloatArray | None] = {}
    for numbers, images in in_batches([one.image for one in shown], model.stride, batch):
        inputs = _inputs([shown[number] for number in numbers], words).to(device)
        cross = model.attention_maps(inputs, model.encode(images.to(device)))
        for row, number in enumerate(numbers):
            one = shown[number]
            height, width = cell_grid(one.image, model.stride)
            told = not words.unknown(one.tokens)
            maps = cross[row, : len(one.tokens), :height, :width]
            found[number] = _array(maps) if told else None
    return [found[number] for number in range(len(shown))]


def _inputs(shown: Sequence[Annotated], words: Vocabulary) -> Tensor:
    """What the decoder is given, int64 (B, T): the start and the truths, padded.

    Truths that the vocabulary cannot spell are left out: their maps are not used.
    """
    captions = [words.encode(x.tokens) if not words.unknown(x.tokens) else [] for x in shown]
    inputs = torch.full((len(shown), 1 + max(map(len, captions))), words.pad)
    inputs[:, 0] = words.sos
    for row, caption in enumerate(captions):
        inputs[row, 1 : 1 + len(caption)] = torch.tensor(caption, dtype=torch.int64)
    return inputs


def _array(maps: Tensor) -> FloatArray:
    array: FloatArray = maps.double().cpu().numpy()
    return array
