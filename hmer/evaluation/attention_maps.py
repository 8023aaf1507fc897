"""Attention maps of a recogniser, brought onto the picture and shown over the ink.

A map is non-negative on the feature grid, shape (h, w); leading axes are carried along. Its cells
cover `stride` by `stride` pixels from the left-top corner, possibly beyond the picture (batches
are padded).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from hmer.data.batches import BatchConfig, in_batches
from hmer.data.dataset import Expressions
from hmer.decoding.bidirectional import DecodingConfig
from hmer.evaluation.annotated import Annotated, cell_grid
from hmer.evaluation.bootstrap import FloatArray
from hmer.evaluation.prediction import Prediction, mark
from hmer.evaluation.reading import read_all
from hmer.evaluation.report import Gallery, Image, Mark, Picture, Section, to_png
from hmer.latex.vocabulary import Vocabulary
from hmer.models.base import Recogniser
from hmer.recognizer import Recognizer

BATCH = BatchConfig(max_pixels=400_000, max_count=32, buckets=6)
MOST_TOKENS = 40  # shown of one expression


@torch.inference_mode()
def spatial_maps(model: Recogniser, shown: Sequence[Annotated]) -> list[FloatArray]:
    """The spatial map (h, w) of every expression; none at all where the model has no such map.

    The model must be in evaluation mode.
    """
    device = next(model.parameters()).device
    found: dict[int, FloatArray] = {}
    for numbers, images in in_batches([one.image for one in shown], model.stride, BATCH):
        spatial = model.encode(images.to(device)).attention
        if spatial is None:
            return []
        for row, number in enumerate(numbers):
            height, width = cell_grid(shown[number].image, model.stride)
            found[number] = spatial[row, :height, :width].double().cpu().numpy()
    return [found[number] for number in range(len(shown))]


@torch.inference_mode()
def teacher_forced_maps(
    model: Recogniser, words: Vocabulary, shown: Sequence[Annotated]
) -> list[FloatArray | None]:
    """The decoder's attention as it writes each token of the truth, from left to right.

    Returns:
        (T, h, w) for every expression of T tokens, on the picture's own cells; None where the
        truth holds tokens that the vocabulary lacks.
    """
    device = next(model.parameters()).device
    found: dict[int, FloatArray | None] = {}
    for numbers, images in in_batches([one.image for one in shown], model.stride, BATCH):
        captions = [shown[number].tokens for number in numbers]
        # Truths that the vocabulary cannot spell are left out: their maps are not used.
        spelled = [words.encode(c) if not words.unknown(c) else [] for c in captions]
        inputs = torch.full((len(numbers), 1 + max(map(len, spelled))), words.pad)
        inputs[:, 0] = words.sos
        for row, caption in enumerate(spelled):
            inputs[row, 1 : 1 + len(caption)] = torch.tensor(caption, dtype=torch.int64)
        cross = model.attention_maps(inputs.to(device), model.encode(images.to(device)))
        for row, number in enumerate(numbers):
            height, width = cell_grid(shown[number].image, model.stride)
            maps = cross[row, : len(captions[row]), :height, :width].double().cpu().numpy()
            found[number] = None if words.unknown(captions[row]) else maps
    return [found[number] for number in range(len(shown))]


def peaks(maps: NDArray[np.floating]) -> NDArray[np.int64]:
    """Row and column of the maximum of each map (n, h, w), the first of equals: (n, 2)."""
    flat = maps.reshape(len(maps), -1).argmax(axis=1)
    return np.stack(np.divmod(flat, maps.shape[-1]), axis=1)


def upsample(attention: NDArray[np.floating], shape: tuple[int, int], stride: float) -> FloatArray:
    """Bilinear interpolation of maps (..., h, w), in cells of `stride` pixels, onto a picture.

    Returns:
        Maps of `shape` (..., H, W), each summing to 1, or to 0 where nothing in the picture was
        attended to.

    Raises:
        ValueError: negative or non-finite attention, or a grid smaller than the picture.
    """
    if attention.ndim < 2 or not bool(np.all(np.isfinite(attention) & (attention >= 0.0))):
        raise ValueError("attention must be finite and non-negative, shape (..., h, w)")
    rows = _interpolation(attention.shape[-2], shape[0], stride)
    columns = _interpolation(attention.shape[-1], shape[1], stride)
    spread = rows @ attention.astype(np.float64) @ columns.T
    total = spread.sum(axis=(-2, -1), keepdims=True)
    result: FloatArray = np.divide(spread, total, out=np.zeros_like(spread), where=total > 0.0)
    return result


def _interpolation(cells: int, pixels: int, step: float) -> FloatArray:
    """Weights of cells in pixels, shape (pixels, cells); cell and pixel centres are aligned."""
    if step <= 0.0 or cells * step < pixels - step:
        raise ValueError(f"{cells} cells of {step} px do not cover {pixels} px")
    position = np.clip((np.arange(pixels) + 0.5) / step - 0.5, 0.0, cells - 1.0)
    weights: FloatArray = np.maximum(0.0, 1.0 - np.abs(position[:, None] - np.arange(cells)))
    return weights


def overlay(
    image: Image,
    weights: NDArray[np.floating],
    stride: int,
    colour: str = "",
    box: Mark | None = None,
) -> bytes:
    """A PNG of the ink (H, W) on paper tinted by a map (h, w), scaled to its own maximum.

    With a `colour` there is a ring around the maximum; `box` is drawn as well.
    """
    marks = [box] if box else []
    if colour:
        row, column = (int(at) * stride for at in peaks(weights[None])[0])
        marks.append(Mark((column, row, column + stride, row + stride), colour, round=True))
    return to_png(image, upsample(weights, (image.shape[0], image.shape[1]), stride), marks)


def attention_section(
    recognizer: Recognizer,
    predictions: Sequence[Prediction],
    expressions: Expressions,
    decoding: DecodingConfig,
    batch: BatchConfig,
    count: int,
) -> list[Section]:
    """The first `count` expressions with what is attended to; none where there is nothing to show.

    They are read once more, as before: attention is not kept for all the others. `predictions` are
    of the expressions, in their order; there may be more.
    """
    chosen = [n for n, one in enumerate(predictions[: len(expressions)]) if one.tokens][:count]
    if not chosen:
        return []
    pictures = [expressions.image(n) for n in chosen]
    answers = read_all(recognizer, pictures, decoding, batch, attention=True)
    stride = recognizer.stride
    tokens, spatial = [], []
    for number, image, answer in zip(chosen, pictures, answers, strict=True):
        one = predictions[number]
        if answer.attention is not None:
            marked = mark(one.truth, answer.tokens)[1]
            cells = [
                Picture(overlay(image, weights, stride), token, None if same else False)
                for (token, same), weights in zip(marked, answer.attention, strict=False)
            ]
            tokens.append((f"{one.id}: {' '.join(one.truth)}", cells[:MOST_TOKENS]))
        if answer.spatial_attention is not None:
            png = overlay(image, answer.spatial_attention, stride)
            spatial.append(Picture(png, one.id))
    caption = "The map of the Mask & Match attention network."
    galleries = [Gallery(tokens, "The decoder's attention as it wrote each token.", 0.9)]
    galleries += [Gallery([("", spatial)], caption)] if spatial else []
    text = (
        "Colour is attention, each map scaled to its own maximum; tokens that the truth lacks are "
        "marked."
    )
    shown = [gallery for gallery in galleries if gallery.rows]
    return [Section("attention", "Attention", text, galleries=shown)]
