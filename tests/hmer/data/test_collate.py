"""Padding to one shape."""

from __future__ import annotations

import numpy as np
import torch

from hmer.data.collate import LENGTH_STEP, both_directions, stack
from hmer.latex.vocabulary import Vocabulary


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


def test_by_hand() -> None:
    assert (Vocabulary.pad, Vocabulary.sos, Vocabulary.eos, LENGTH_STEP) == (0, 1, 2, 8)
    inputs, targets = both_directions([[5, 6, 7], [9]])
    assert inputs.tolist() == [
        [1, 5, 6, 7, 0, 0, 0, 0],
        [1, 9, 0, 0, 0, 0, 0, 0],
        [2, 7, 6, 5, 0, 0, 0, 0],
        [2, 9, 0, 0, 0, 0, 0, 0],
    ]
    assert targets.tolist() == [
        [5, 6, 7, 2, 0, 0, 0, 0],
        [9, 2, 0, 0, 0, 0, 0, 0],
        [7, 6, 5, 1, 0, 0, 0, 0],
        [9, 1, 0, 0, 0, 0, 0, 0],
    ]


def test_lengths_grow_in_steps() -> None:
    for length, padded in ((0, 8), (7, 8), (8, 16), (15, 16), (16, 24)):
        inputs, targets = both_directions([[4] * length])
        assert inputs.shape == targets.shape == (2, padded)
        assert targets[0, length] == Vocabulary.eos
        assert targets[1, length] == Vocabulary.sos
