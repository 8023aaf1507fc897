"""Padding to one shape."""

from __future__ import annotations

import numpy as np
import torch

from hmer.data.canvas import stack


def test_pads_at_the_right_and_below_and_cuts_what_sticks_out() -> None:
    small = np.array([[255, 51]], np.uint8)
    large = np.full((3, 5), 255, np.uint8)
    large[0, 3] = 0
    found = stack([small, large], 2, 4)
    wanted = torch.tensor(
        [[[[1, 0.2, 0, 0], [0, 0, 0, 0]]], [[[1, 1, 1, 0], [1, 1, 1, 1]]]], dtype=torch.float32
    )
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, wanted)
