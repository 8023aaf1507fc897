"""Contact sheets and what a page says of collections."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from pipeline.gate.report import SHEET_ROWS, by_contradiction, by_explanation, collections


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
    one, two = collections(frame())
    assert {**one, "height": [], "places": []} == {
        "name": "one", "rows": 90, "splits": "train 90", "noise": 1, "height": [], "places": []
    }  # fmt: skip
    assert one["height"] == pytest.approx([0.0445, 0.445, 0.8455])
    assert (two["rows"], two["splits"], two["noise"]) == (10, "train 5, val 5", 0)
    assert all(math.isnan(height) for height in two["height"])


def test_a_sheet_is_spread_over_its_collection() -> None:
    one, two = collections(frame())
    assert len(one["places"]) == len(set(one["places"])) == SHEET_ROWS
    assert one["places"][0] == ("train", 0) and one["places"][-1] == ("train", 89)
    assert two["places"] == [("train" if n < 95 else "val", n) for n in range(90, 100)]


def test_reasons_are_grouped_the_commonest_first() -> None:
    told = by_explanation(frame())
    assert [(reason, len(rows)) for reason, rows in told.items()] == [("other tokens", 98)]
    assert told["other tokens"][0]["detail"] == "x"
    noise = frame().assign(
        noise=[
            "the caption has a where the MathML has b; x",
            "strange",
            *["the ink of = is annotated as -"] * 98,
        ]
    )
    assert [(kind, len(rows)) for kind, rows in by_contradiction(noise).items()] == [
        ("ink is annotated as another symbol", 98),
        ("caption and MathML have other symbols", 1),
        ("other", 1),
    ]
