"""What the reader looked at: attention maps brought onto the picture, and measured there.

A map is non-negative on the feature grid, shape (h, w); leading axes are carried along. Its cells
cover `stride` by `stride` pixels from the left-top corner, possibly beyond the picture (batches
are padded); without a stride the grid is stretched over the whole picture.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hmer.evaluation.images import FloatArray, Image, ink_mask

Attention = NDArray[np.floating]
"""Attention over cells, shape (..., h, w)."""


@dataclass(frozen=True, slots=True)
class InkShare:
    """The share of attention that falls on ink, against the share of the picture that is ink."""

    attention: float
    area: float

    @property
    def lift(self) -> float:
        """How much more attention ink gets than its area: 1 is blind, 1 / area the most."""
        return self.attention / self.area


def upsample(
    attention: Attention, shape: tuple[int, int], stride: float | None = None
) -> Attention:
    """Bilinear interpolation onto the picture.

    Args:
        attention: maps, shape (..., h, w).
        shape: height and width of the picture, pixels.
        stride: pixels to a cell; None stretches the grid over the picture.

    Returns:
        Maps of shape (..., H, W), each summing to 1, or to 0 where nothing in the picture was
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
    result: Attention = np.divide(spread, total, out=np.zeros_like(spread), where=total > 0.0)
    return result


def _interpolation(cells: int, pixels: int, stride: float | None) -> FloatArray:
    """Weights of cells in pixels, shape (pixels, cells); cell and pixel centres are aligned."""
    step = pixels / cells if stride is None else stride
    if step <= 0.0 or cells * step < pixels - step:
        raise ValueError(f"{cells} cells of {step} px do not cover {pixels} px")
    position = np.clip((np.arange(pixels) + 0.5) / step - 0.5, 0.0, cells - 1.0)
    weights: FloatArray = np.maximum(0.0, 1.0 - np.abs(position[:, None] - np.arange(cells)))
    return weights


def entropy(attention: Attention) -> FloatArray:
    """Entropy of each map in nats, shape (...); log(h * w) is uniform, 0 a single cell.

    Raises:
        ValueError: a map without mass, or with negative values.
    """
    total = attention.sum(axis=(-2, -1), keepdims=True, dtype=np.float64)
    if not bool(np.all(total > 0.0)) or bool(np.any(attention < 0.0)):
        raise ValueError("attention must be non-negative with some mass in every map")
    share = attention / total
    logarithm = np.log(share, out=np.zeros_like(share), where=share > 0.0)
    result: FloatArray = np.abs((share * logarithm).sum(axis=(-2, -1)))
    return result


def ink_lift(attention: Attention, image: Image, stride: float | None = None) -> InkShare:
    """Attention on ink against the area of ink, for one map (h, w) over one picture (H, W).

    Raises:
        ValueError: no ink, or no attention inside the picture.
    """
    ink = ink_mask(image)
    spread = upsample(attention, (ink.shape[0], ink.shape[1]), stride)
    if spread.ndim != 2 or not ink.any() or not spread.any():
        raise ValueError("ink_lift needs one map with mass, over a picture with ink")
    return InkShare(attention=float(spread[ink].sum()), area=float(ink.mean()))
