"""The part of a padded image that is written on."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from hmer.models.cells import INK_THRESHOLD


def written_area(images: Tensor, stride: int) -> Tensor:
    """The cells from the upper left corner to the last row and column with ink.

    Where the field carries a mask of the padding through its batches, this finds the expression
    in the image itself, so that what is read does not depend on the padding at all.

    Args:
        images: float (B, 1, H, W), ink 1 on 0, sides multiples of `stride`.
        stride: pixels per cell.

    Returns:
        bool (B, H / stride, W / stride), for each image a rectangle; all cells if it is blank.
    """
    ink = functional.max_pool2d(images, stride).squeeze(1) > INK_THRESHOLD
    rows, columns = (_up_to_last(ink.any(dim=side)) for side in (2, 1))
    area = rows[:, :, None] & columns[:, None, :]
    return area | ~area.flatten(1).any(dim=1)[:, None, None]


def extents(valid: Tensor) -> list[tuple[int, int]]:
    """Rows and columns, each at least 1, that hold all valid cells of each image.

    Args:
        valid: bool (B, h, w).
    """
    sides = (_last(valid.any(dim=side)).clamp(min=1).tolist() for side in (2, 1))
    return list(zip(*sides, strict=True))


def _up_to_last(marked: Tensor) -> Tensor:
    """bool (B, n): True up to the last True of each row."""
    return _places(marked) <= _last(marked)[:, None]


def _last(marked: Tensor) -> Tensor:
    """int64 (B,): the place of the last True of each row of bool (B, n), from 1; 0 for none."""
    return (marked * _places(marked)).amax(dim=1)


def _places(marked: Tensor) -> Tensor:
    return torch.arange(1, marked.shape[1] + 1, device=marked.device)
