"""Placing renderings of varying size on the canvas that a batch shares."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def stack(images: Sequence[NDArray[np.uint8]], height: int, width: int) -> Tensor:
    """Pad to one shape at the right and at the bottom: float (B, 1, height, width), ink 1 on 0.

    Images that stick out (by a pixel or two, from rounding) are cut off.
    """
    canvas = np.zeros((len(images), 1, height, width), dtype=np.float32)
    for place, image in zip(canvas, images, strict=True):
        part = image[:height, :width]
        place[0, : part.shape[0], : part.shape[1]] = part
    return torch.from_numpy(canvas / np.float32(255))
