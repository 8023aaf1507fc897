"""Stroke-wise masking: hide whole strokes, as if they had never been written.

*Our design.* The maker of a batch knows the strokes and draws, beside each image, a map of which
stroke each pixel belongs to (`stroke_map`, on the host, for one expression); what is hidden is
chosen on the device for the whole batch (`hide_strokes`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hmer.masking.blocks import hide_ink
from hmer.masking.units import choose

GREYS = 255
"""Ink is counted in whole grey values: sums that do not depend on the order of adding."""


def stroke_map(
    strokes: Sequence[NDArray[np.float32]], pen: float, height: int, width: int
) -> NDArray[np.int16]:
    """Which stroke each pixel within the pen's reach belongs to: the one whose path is nearer.

    Args:
        strokes: (n, 2) pixel coordinates of the points of each, x before y.
        pen: width of the line in pixels.
        height: of the map.
        width: of the map.

    Returns:
        int16 (height, width): 0 for none, k for the k-th stroke, counted from 1.
    """
    found = np.zeros((height, width), np.int16)
    paths = [_dense(stroke) for stroke in strokes]
    if not paths:
        return found
    cells = np.floor(np.concatenate(paths)).astype(np.int64)
    owner = np.repeat(np.arange(1, len(paths) + 1), [len(path) for path in paths])
    # The renderer inks up to half a pixel beyond the pen; paths are rounded to pixels here.
    reach = int(np.ceil(pen / 2 + 1.5))
    steps = np.arange(-reach, reach + 1)
    offsets = np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2)
    # Far ones first: where strokes compete for a pixel, the nearer one comes last and keeps it.
    for x, y in offsets[np.argsort(-(offsets**2).sum(axis=1), kind="stable")]:
        columns, rows = cells[:, 0] + x, cells[:, 1] + y
        inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
        found[rows[inside], columns[inside]] = owner[inside]
    return found


def _dense(stroke: NDArray[np.float32]) -> NDArray[np.float32]:
    """Points along the stroke, at most a pixel apart."""
    if len(stroke) < 2:
        return stroke
    lengths = np.hypot(*np.diff(stroke, axis=0).T)
    along = np.concatenate([[0.0], np.cumsum(lengths)])
    places = np.linspace(0.0, along[-1], int(np.ceil(along[-1])) + 1)
    dense = np.stack([np.interp(places, along, stroke[:, axis]) for axis in (0, 1)], axis=1)
    return dense.astype(np.float32)


def hide_strokes(
    images: Tensor, strokes: Tensor, share: float, block: int
) -> tuple[Tensor, Tensor]:
    """Hide whole strokes, in random order, until at least `share` of each image's ink is gone.

    The last stroke with ink always stays, so an expression of one stroke is shown whole. Images
    without any stroke (the source has no ink) lose blocks instead.

    Args:
        images: float (B, 1, H, W), ink 1 on 0.
        strokes: integers (B, H, W) from `stroke_map`.
        share: of the summed grey value, in [0, 1].
        block: side of a block in pixels, where there are no strokes.

    Returns:
        The images without the strokes, and the hidden pixels, bool (B, 1, H, W): those of the
        strokes and of the paper right beside them.

    Raises:
        ValueError: the share is no share.
    """
    flat = strokes.flatten(1).long()
    grey = (images.flatten(1) * GREYS).round().long()
    mass = torch.zeros(len(flat), int(flat.max()) + 1, dtype=torch.long, device=images.device)
    mass = mass.scatter_add(1, flat, grey)
    mass[:, 0] = 0  # ink of no stroke is not a stroke
    keys = torch.rand(mass.shape, device=images.device)
    pixels = choose(mass.float(), share, keys).gather(1, flat).view_as(images)
    written = strokes.flatten(1).any(dim=1)
    if not bool(written.all()):
        blocks = hide_ink(images, share, block)[1]
        pixels = torch.where(written[:, None, None, None], pixels, blocks)
    return images.masked_fill(pixels, 0.0), pixels
