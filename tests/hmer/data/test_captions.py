"""Captions in both directions."""

from __future__ import annotations

from hmer.data.captions import LENGTH_STEP, both_directions
from hmer.latex.vocabulary import Vocabulary


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
