"""Learning-rate schedule."""

from __future__ import annotations

import math

import pytest

from hmer.training.schedule import warmup_cosine, warmup_stable_decay


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


def test_warmup_stable_decay() -> None:
    rates = [warmup_stable_decay(step, 12, 2, 4) for step in range(13)]
    assert rates[:2] == pytest.approx([0.5, 1.0])
    assert rates[2:9] == [1.0] * 7
    assert rates[9:] == pytest.approx([0.5, 1 - math.sqrt(0.5), 1 - math.sqrt(0.75), 0.0])
    assert [warmup_stable_decay(step, 10**6, 2, 0) for step in range(9)] == rates[:9]
