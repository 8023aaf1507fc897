from __future__ import annotations

import numpy as np
import pytest

from hmer.errors import HmerError
from hmer.ink.strokes import Ink
from hmer.synthesis.numbered import PATIENCE, Numbered
from hmer.synthesis.written import Written

INK = Ink((np.zeros((1, 2), np.float32),))


class Sometimes:
    """Makes something of a share of its draws."""

    def __init__(self, share: float) -> None:
        self.share = share

    def __call__(self, rng: np.random.Generator) -> Written | None:
        if rng.random() >= self.share:
            return None
        return Written(INK, [str(digit) for digit in rng.integers(10, size=8)], "test")


def captions(numbered: Numbered, numbers: list[int]) -> list[str]:
    return ["".join(numbered[number].tokens) for number in numbers]


def test_by_number_alone() -> None:
    numbered = Numbered(Sometimes(0.3), 5)
    forward = captions(numbered, list(range(20)))
    assert captions(Numbered(Sometimes(0.3), 5), list(range(20))[::-1]) == forward[::-1]
    assert len(set(forward)) == 20
    assert numbered.nothing > 10
    assert not set(forward) & set(captions(Numbered(Sometimes(0.3), 6), list(range(20))))


def test_a_generator_that_makes_nothing() -> None:
    numbered = Numbered(Sometimes(0.0), 0)
    with pytest.raises(HmerError, match=f"expression 7: {PATIENCE} draws"):
        numbered[7]
