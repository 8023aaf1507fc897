"""Attention by kind of symbol."""

from __future__ import annotations

import numpy as np
import pytest

from hmer.evaluation.symbol_attention import AttentionOnSymbols, symbol_kind
from hmer.ink.boxes import SymbolBox


def test_kinds() -> None:
    kinds = {symbol_kind(token) for token in ("\\frac", "\\sqrt", "+", "=", "(", "7", "x", "\\pi")}
    assert kinds == {
        "fraction bar",
        "radical",
        "operator",
        "relation",
        "bracket",
        "digit",
        "letter",
        "other",
    }


def test_shares_by_hand() -> None:
    image = np.zeros((8, 8), np.uint8)
    image[1:3, 1:3] = 255  # an "x": 4 pixels
    image[5:7, 2:8] = 255  # a bar: 12 pixels
    attention = np.zeros((8, 8))
    attention[1:3, 1:3] = 3.0
    attention[5:7, 2:8] = 1.0
    attention[0, 7] = 50.0  # off the ink: does not count
    boxes = (SymbolBox("x", 1, 1, 3, 3), SymbolBox("\\frac", 2, 5, 8, 7))
    measured = AttentionOnSymbols()
    measured.update(attention, image, boxes)
    measured.update(attention, image, boxes)
    letter, bar = measured.summary()
    assert (letter.kind, letter.symbols) == ("letter", 2)
    assert (letter.attention, letter.ink) == pytest.approx((0.5, 0.25))
    assert letter.lift == pytest.approx(2.0)
    assert bar.lift == pytest.approx(0.5 / 0.75)
    measured.reset()
    assert measured.summary() == []


def test_boxes_beyond_the_picture_are_cut() -> None:
    image = np.full((4, 4), 255, np.uint8)
    measured = AttentionOnSymbols()
    measured.update(np.ones((4, 4)), image, [SymbolBox("x", -9, -9, 99, 99)])
    assert measured.summary()[0].lift == pytest.approx(1.0)


def test_needs_attention_on_ink() -> None:
    with pytest.raises(ValueError, match="ink"):
        AttentionOnSymbols().update(np.ones((2, 2)), np.zeros((4, 4), np.uint8), [])
