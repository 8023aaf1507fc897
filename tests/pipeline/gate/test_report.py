"""Contact sheets and what a page says of collections."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from hmer.ink.images import encode_png
from pipeline.gate.report import (
    SHEET_ROWS,
    SHEET_WIDTH,
    by_contradiction,
    by_explanation,
    collections,
    sheet_name,
    sheet_places,
    write_sheet,
)


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
    assert (one.name, one.rows, one.splits, one.noise) == ("one", 90, "train 90", 1)
    assert one.height == pytest.approx((0.0445, 0.445, 0.8455))
    assert (two.rows, two.splits, two.noise) == (10, "train 5, val 5", 0)
    assert all(math.isnan(height) for height in two.height)


def test_a_sheet_is_spread_over_its_collection() -> None:
    places = sheet_places(frame(), "one")
    assert len(places) == len(set(places)) == SHEET_ROWS
    assert places[0] == ("train", 0) and places[-1] == ("train", 89)
    assert sheet_places(frame(), "two") == [
        ("train" if n < 95 else "val", n) for n in range(90, 100)
    ]


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


def cell(height: int, width: int, label: str = "x") -> dict[str, Any]:
    image = np.zeros((height, width), np.uint8)
    image[height // 4 : height // 2] = 255
    return {"image": encode_png(image), "tokens": [label]}


def test_a_sheet_holds_all_pictures_at_one_scale(tmp_path: Path) -> None:
    rows = [cell(40, 100) for _ in range(30)] + [
        cell(900, 3000, "\\frac" * 50),
        {"image": b"", "tokens": None},
    ]
    write_sheet(tmp_path / "a.png", rows)
    with Image.open(tmp_path / "a.png") as sheet:
        assert sheet.width == SHEET_WIDTH
        pixels = np.asarray(sheet)
    # 30 bars of 100 x 10 pixels, at their own size although one picture is huge.
    assert (pixels == 31).sum() == pytest.approx(30 * 1000, rel=0.2)
    assert pixels.max() == 255
    write_sheet(tmp_path / "b.png", rows)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    write_sheet(tmp_path / "none.png", [{"image": b"", "tokens": []}])
    assert not (tmp_path / "none.png").exists()


@pytest.mark.parametrize(
    ("name", "file"), [("HAMEX", "HAMEX"), ("../a/b c", "a-b-c"), ("\u03b1", "collection")]
)
def test_collections_may_be_called_anything(name: str, file: str) -> None:
    assert sheet_name(name) == file
