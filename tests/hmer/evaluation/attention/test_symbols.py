"""Attention by class of symbol."""

from __future__ import annotations

import numpy as np
import pytest

from hmer.evaluation.annotated import Annotated, WrittenSymbol
from hmer.evaluation.attention.symbols import (
    CLASSES,
    attention_by_class,
    class_shares,
    is_informative,
    lifts,
    membership,
    symbol_kind,
)
from hmer.ink.boxes import SymbolBox


def symbol(token: str, *, script: bool = False) -> WrittenSymbol:
    return WrittenSymbol(token, SymbolBox(token, 0, 0, 8, 8), None, script)


def test_kinds() -> None:
    tokens = ("\\frac", "\\sqrt", "+", "=", "(", "7", "x", "\\pi", "\\sum", ",")
    assert [symbol_kind(token) for token in tokens] == [
        *("fraction bar", "radical", "operator", "relation", "bracket"),
        *("digit", "letter", "other", "large operator", "dots"),
    ]
    assert {symbol_kind(token) for token in tokens} < set(CLASSES)


def test_what_carries_structure() -> None:
    assert is_informative(symbol("\\sqrt"))
    assert is_informative(symbol("x", script=True))
    assert not is_informative(symbol("x"))


def example() -> tuple[Annotated, np.ndarray]:
    """A small x in a script (4 pixels) below a bar (12), a pixel of nobody, and a map."""
    owners = np.full((8, 8), -1)
    owners[1:3, 1:3] = 0
    owners[5:7, 2:8] = 1
    image = np.where(owners >= 0, 255, 0).astype(np.uint8)
    image[0, 0] = 255  # ink that belongs to no symbol
    attention = np.zeros((8, 8))
    attention[1:3, 1:3] = 3.0
    attention[5:7, 2:8] = 1.0
    attention[0, 0] = 8.0
    attention[0, 7] = 50.0  # off the ink: does not count
    symbols = (symbol("x", script=True), symbol("\\frac"))
    return Annotated("a", ["x"], image, symbols, owners), attention


def test_shares_by_hand() -> None:
    shown, attention = example()
    shares = class_shares(attention, shown, None)
    columns = [CLASSES.index(name) for name in ("letter", "script", "fraction bar")]
    assert shares[0, columns] == pytest.approx([12 / 32, 12 / 32, 12 / 32])
    assert shares[1, columns] == pytest.approx([4 / 17, 4 / 17, 12 / 17])
    assert shares.sum() == pytest.approx(36 / 32 + 20 / 17)
    assert membership(shown.symbols).sum(axis=0)[columns].tolist() == [1, 1, 1]


def test_lift_is_the_ratio_of_the_mean_shares() -> None:
    shares = np.zeros((2, 2, len(CLASSES)))
    digit, letter = CLASSES.index("digit"), CLASSES.index("letter")
    shares[0, :, digit] = 0.6, 0.2
    shares[1, :, digit] = 0.2, 0.2
    shares[1, :, letter] = 0.1, 0.4
    first, second = attention_by_class(shares, np.arange(float(len(CLASSES))), seed=0)
    assert (first.kind, first.symbols, second.kind) == ("digit", digit, "letter")
    assert (first.attention, first.ink, first.lift.mean) == pytest.approx((0.4, 0.2, 2.0))
    assert (first.lift.low, first.lift.high) == pytest.approx((1.0, 3.0))
    assert second.lift.mean == pytest.approx(0.25)
    assert lifts(shares) == pytest.approx({"digit": 2.0, "letter": 0.25})


def test_the_lift_of_a_class_that_hardly_any_expression_has() -> None:
    """Most resamples do not hold it; the ratio itself needs none."""
    shares = np.zeros((400, 2, len(CLASSES)))
    shares[7, :, CLASSES.index("letter")] = 0.3, 0.1
    assert lifts(shares) == pytest.approx({"letter": 3.0})


def test_attention_beside_the_ink_is_no_classes() -> None:
    shown, attention = example()
    away = np.zeros((8, 8))
    away[0, 7] = 1.0
    found = class_shares(away, shown, None)
    assert not found[0].any()
    assert found[1] == pytest.approx(class_shares(attention, shown, None)[1])
