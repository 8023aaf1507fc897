"""Frozen features of whole expressions and of their symbols, and pixels to compare them with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as PillowImage
from torch import Tensor

from hmer.data.batches import BatchConfig
from hmer.evaluation.annotated import Annotated, in_batches
from hmer.evaluation.images import Image, ink_mask
from hmer.models.base import Encoder
from hmer.models.common.ink_cells import ink_cells

Vectors = NDArray[np.float32]
"""One vector per row, shape (n, channels)."""

BATCH = BatchConfig(max_pixels=400_000, max_count=32, buckets=6)
SYMBOL_SIDE = 16  # pixels of a symbol's thumbnail
EXPRESSION_SIDES = (48, 16)  # width and height of an expression's thumbnail


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """Vectors of n expressions, and of the m symbols in them that have ink of their own."""

    whole: Vectors
    """(n, channels): mean over the cells with ink."""
    symbols: Vectors
    """(m, channels): mean over the cells with the symbol's ink, weighted by its ink there."""
    expression: NDArray[np.int64]
    """(m,): number of the symbol's expression."""
    symbol: NDArray[np.int64]
    """(m,): number of the symbol in its expression."""
    tokens: NDArray[np.str_]
    """(m,): the symbol's token."""


def encode(encoder: Encoder, shown: Sequence[Annotated], batch: BatchConfig = BATCH) -> Features:
    """Features of an encoder in evaluation mode; whole expressions go in, never crops."""
    whole: dict[int, Vectors] = {}
    symbols: dict[int, Vectors] = {}
    for numbers, images, maps in _feature_maps(encoder, [one.image for one in shown], batch):
        cells = ink_cells(images, encoder.stride).unsqueeze(1).to(maps)
        pooled = (maps * cells).sum(dim=(2, 3)) / cells.sum(dim=(2, 3))
        for row, number in enumerate(numbers):
            ink = torch.from_numpy(shown[number].cell_ink(encoder.stride)).to(maps)
            own = maps[row, :, : ink.shape[1], : ink.shape[2]]
            # A symbol that is painted over altogether has no cell: NaN marks it.
            mean = torch.einsum("shw,chw->sc", ink, own) / ink.sum(dim=(1, 2))[:, None]
            whole[number], symbols[number] = _array(pooled[row]), _array(mean)
    return _gathered(shown, [whole[n] for n in range(len(shown))], symbols)


def encode_whole(encoder: Encoder, images: Sequence[Image], batch: BatchConfig = BATCH) -> Vectors:
    """(n, channels): the mean feature over the cells with ink, of pictures without annotation."""
    found: dict[int, Vectors] = {}
    for numbers, batched, maps in _feature_maps(encoder, images, batch):
        cells = ink_cells(batched, encoder.stride).unsqueeze(1).to(maps)
        pooled = _array((maps * cells).sum(dim=(2, 3)) / cells.sum(dim=(2, 3)))
        found |= zip(numbers, pooled, strict=True)
    return np.stack([found[number] for number in range(len(images))])


def pixels(shown: Sequence[Annotated]) -> Features:
    """Thumbnails in place of features: of every expression's ink, and of every symbol's box."""
    crops = {
        number: np.stack([_thumbnail(symbol_crop(one, s)) for s in range(len(one.symbols))])
        if one.symbols
        else np.zeros((0, SYMBOL_SIDE**2), np.float32)
        for number, one in enumerate(shown)
    }
    return _gathered(shown, [whole_thumbnail(one.image) for one in shown], crops)


def symbol_crop(shown: Annotated, symbol: int, around: float = 0.0) -> Image:
    """The picture in the symbol's box and `around` pixels about it; ink of others included."""
    box = shown.symbols[symbol].box
    top, left = (max(0, int(side - around)) for side in (box.top, box.left))
    bottom, right = (int(np.ceil(side + around)) for side in (box.bottom, box.right))
    return shown.image[top : max(bottom, top + 1), left : max(right, left + 1)]


def whole_thumbnail(image: Image) -> Vectors:
    """The ink's bounding box, stretched to one size: (pixels,)."""
    rows, columns = (np.flatnonzero(ink_mask(image).any(axis=side)) for side in (1, 0))
    cut = image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] if len(rows) else image
    return _resized(cut, EXPRESSION_SIDES)


def _thumbnail(crop: Image) -> Vectors:
    """A crop in the middle of a square, so that its proportions stay: (pixels,)."""
    side = max(crop.shape)
    square = np.zeros((side, side), np.uint8)
    top, left = (side - crop.shape[0]) // 2, (side - crop.shape[1]) // 2
    square[top : top + crop.shape[0], left : left + crop.shape[1]] = crop
    return _resized(square, (SYMBOL_SIDE, SYMBOL_SIDE))


def _resized(image: Image, size: tuple[int, int]) -> Vectors:
    small = PillowImage.fromarray(image).resize(size, PillowImage.Resampling.BOX)
    return np.asarray(small, np.float32).ravel() / np.float32(255.0)


def _gathered(
    shown: Sequence[Annotated], whole: Sequence[Vectors], symbols: dict[int, Vectors]
) -> Features:
    """Rows of all expressions in order, without symbols that have no ink of their own."""
    rows, expression, symbol, tokens = [], [], [], []
    for number, one in enumerate(shown):
        inked = np.isin(np.arange(len(one.symbols)), one.owners)
        for index in np.flatnonzero(inked).tolist():
            rows.append(symbols[number][index])
            expression.append(number)
            symbol.append(index)
            tokens.append(one.symbols[index].token)
    return Features(
        np.stack(whole),
        np.stack(rows) if rows else np.zeros((0, 1), np.float32),
        np.array(expression, np.int64),
        np.array(symbol, np.int64),
        np.array(tokens, np.str_),
    )


def _feature_maps(
    encoder: Encoder, images: Sequence[Image], batch: BatchConfig
) -> Iterator[tuple[list[int], Tensor, Tensor]]:
    """Numbers, pictures and feature maps of every batch."""
    device = next(encoder.parameters()).device
    with torch.inference_mode():
        for numbers, batched in in_batches(images, encoder.stride, batch):
            shown = batched.to(device)
            yield numbers, shown, encoder(shown).float()


def _array(values: Tensor) -> Vectors:
    array: Vectors = values.float().cpu().numpy()
    return array


Source = Callable[[Sequence[Annotated]], Features]
"""What makes vectors of expressions: an encoder, or `pixels`."""
