"""Contact sheets and what a page says of collections."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from pipeline.gate.report import SHEET_ROWS, collections, differences, noise, sheets


def frame(rows: int = 100) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "id": [f"i{n}" for n in range(rows)],
            "source": ["one" if n < 90 else "two" for n in range(rows)],
            "file": ["train" if n < 95 else "val" for n in range(rows)],
            "row": list(range(rows)),
            "symbol_height": [n / 100 if n < 90 else math.nan for n in range(rows)],
            "noise": ["1 strokes belong to no symbol" if n == 3 else "" for n in range(rows)],
            "difference": [None, "", "other tokens: x", *["other tokens: y"] * (rows - 3)],
        }
    )


def test_collections_are_counted() -> None:
    one, two = collections(frame()).itertuples(index=False, name=None)
    assert (one[:4], two[:4]) == (("one", 90, "train 90", 1), ("two", 10, "train 5, val 5", 0))
    assert one[4:] == pytest.approx([0.0445, 0.445, 0.8455])
    assert all(math.isnan(height) for height in two[4:])


def test_a_sheet_is_spread_over_its_collection() -> None:
    shown = sheets(frame())
    one, two = shown["one"], shown["two"]
    assert len(one) == len(set(one)) == SHEET_ROWS
    assert one[0] == ("train", 0) and one[-1] == ("train", 89)
    assert two == [("train" if n < 95 else "val", n) for n in range(90, 100)]


def test_reasons_are_grouped() -> None:
    told = differences(frame())
    assert told["Explanation"].value_counts().to_dict() == {"other tokens": 98}
    assert told.iloc[0].tolist() == ["i2", "train", "one", "other tokens", "x"]
    contradicting = frame().assign(
        noise=[
            "the caption has a where the MathML has b; x",
            "strange",
            *["the ink of = is annotated as -"] * 98,
        ]
    )
    assert noise(contradicting)["Contradiction"].value_counts().to_dict() == {
        "ink is annotated as another symbol": 98,
        "caption and MathML have other symbols": 1,
        "other": 1,
    }
