"""Placing renderings of varying size on the canvas that a batch shares, for PyTorch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hmer.ink.canvas import on_canvas


def stack(images: Sequence[NDArray[np.uint8]], height: int, width: int) -> Tensor:
    """A float tensor (B, 1, height, width), ink 1 on 0; see `on_canvas`."""
    return torch.from_numpy(on_canvas(images, height, width))
