"""Structure without symbols."""

from __future__ import annotations

import pytest

from hmer.evaluation.structure import nesting_depth, same_structure


@pytest.mark.parametrize(
    ("truth", "prediction", "same"),
    [
        ("a + b", "1 2 3", True),
        ("a + b", "1 2", False),
        ("x _ { a } ^ { b }", "y ^ { 1 } _ { 2 }", True),
        ("\\sqrt { x }", "\\frac { x } { y }", False),
        ("\\sqrt [ 3 ] { x }", "\\sqrt { x }", False),
        ("x ^ { a }", "{ x } ^ { a }", True),
        ("x ^ {", "x ^ {", True),
        ("x ^ {", "y ^ {", False),
    ],
)
def test_same_structure(truth: str, prediction: str, same: bool) -> None:
    assert same_structure(truth.split(), prediction.split()) is same
    assert same_structure(prediction.split(), truth.split()) is same


@pytest.mark.parametrize(
    ("tokens", "depth"),
    [
        ("a + b", 0),
        ("\\{ a \\}", 0),
        ("x ^ { 2 } y ^ { 3 }", 1),
        ("\\frac { x ^ { y _ { 1 } } } { 2 }", 3),
    ],
)
def test_nesting_depth(tokens: str, depth: int) -> None:
    assert nesting_depth(tokens.split()) == depth
