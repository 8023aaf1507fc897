"""What a prediction accepts and knows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hmer.evaluation.prediction import Prediction, confidences, correctness


def test_right_wrong_and_unread() -> None:
    right = Prediction("a", ["x", "y"], ("x", "y"), 0.9)
    wrong = Prediction("b", ["x", "y"], ["x"], 0.4)
    unread = Prediction("c", ["x", "y"], None, 0.0)
    assert [p.distance for p in (right, wrong, unread)] == [0, 1, 2]
    assert correctness([right, wrong, unread]).tolist() == [True, False, False]
    assert confidences([right, wrong]).tolist() == [0.9, 0.4]
    assert wrong.within(1)
    assert not unread.within(2)


@pytest.mark.parametrize(
    "wrong",
    [
        {"truth": []},
        {"truth": "xy"},
        {"tokens": "xy"},
        {"confidence": 1.5},
        {"confidence": float("nan")},
        {"attention": np.ones((3, 2, 2))},
        {"attention": np.ones((2, 2))},
        {"spatial_attention": np.ones((1, 2, 2))},
    ],
)
def test_refuses(wrong: dict[str, Any]) -> None:
    good: dict[str, Any] = {"id": "a", "truth": ["x"], "tokens": ["x"], "confidence": 0.5}
    with pytest.raises(ValueError, match="a: "):
        Prediction(**{**good, **wrong})


def test_attention_may_cover_the_end_token() -> None:
    for steps in (1, 2):
        Prediction("a", ["x"], ["x"], 0.5, attention=np.ones((steps, 2, 2)))
