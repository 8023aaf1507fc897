"""Structure without symbols."""

from __future__ import annotations

import pytest

from hmer.evaluation.structure import same_structure


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
