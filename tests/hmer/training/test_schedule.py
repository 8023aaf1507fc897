"""Learning-rate schedule."""

from __future__ import annotations

import math

import pytest

from hmer.training.schedule import warmup_cosine


@pytest.mark.parametrize(
    ("step", "wanted"),
    [
        (0, 0.25),
        (1, 0.5),
        (3, 1.0),
        (4, 1.0),
        (6, 0.5 * (1 + math.cos(math.pi / 4))),
        (8, 0.5),
        (12, 0.0),
        (20, 0.0),
    ],
)
def test_by_hand(step: int, wanted: float) -> None:
    assert warmup_cosine(step, 12, 4) == pytest.approx(wanted)


def test_without_warmup_or_without_anything_after_it() -> None:
    assert warmup_cosine(0, 10, 0) == 1.0
    assert warmup_cosine(5, 10, 0) == pytest.approx(0.5)
    assert warmup_cosine(4, 4, 4) == 1.0
