import pytest

from hmer.data import caption_difference as module
from hmer.data.caption_difference import REASONS, caption_difference


@pytest.mark.parametrize(
    ("raw", "caption", "reason", "ours"),
    [
        ("x^2_1", "x ^ { 2 } _ { 1 }", module.RESPELLED, "x _ { 1 } ^ { 2 }"),
        ("\\frac{1", "1", module.REFUSED, None),
        ("1.0+x", "1 + x", module.ZEROS, "1 . 0 + x"),
        ("x_{1}}+y", "x _ { 1 + y }", module.BRACES, "x _ { 1 } + y"),
        ("y_{},z", "y _ { , } z", module.EMPTY_SCRIPT, "y , z"),
        ("3,14", "3 1 , 4", module.ORDER, "3 , 1 4"),
        ("a+\\ldots", "a", module.LEFT_OUT, "a + \\ldots"),
        ("a\\div b", "a / b", module.OTHER, "a \\div b"),
    ],
)
def test_each_explanation(raw: str, caption: str, reason: str, ours: str | None) -> None:
    found = caption_difference(raw, caption.split(), "wap")
    assert found is not None
    assert found[0] == reason
    assert reason in REASONS
    if ours is not None:
        assert found[1] == ours


def test_no_difference() -> None:
    assert caption_difference("$\\dfrac12$", "\\frac { 1 } { 2 }".split(), "wap") is None
    prime = "x ^ { ' }".split()
    assert caption_difference("x'", prime, "wap") is None
    assert caption_difference("x'", prime, "comer") == (module.RESPELLED, "x ^ { \\prime }")
