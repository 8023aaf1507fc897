"""The collections of a dataset: counts and symbol scale of each, and a contact sheet to look at."""

from __future__ import annotations

import io
import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from PIL import Image, ImageDraw, ImageFont

SHEET_WIDTH = 1160
"""Pixels; the sheet is shown at this width."""

SHEET_ROWS = 24
"""Expressions on a sheet, evenly spread over the collection."""

_ROOM = (280, 120)  # pixels for one picture, at most
_GAP = 10
_TEXT = 22  # pixels for the line under a picture
_PAPER, _INK, _QUIET = 255, 31, 130
_AS_INK = [_PAPER - level * (_PAPER - _INK) // 255 for level in range(256)]


_CONTRADICTIONS = (
    ("the caption has", "caption and MathML have other symbols"),
    ("stands elsewhere", "caption and MathML are structured otherwise"),
    ("is not in the MathML", "a symbol names no element of the MathML"),
    ("is annotated as", "ink is annotated as another symbol"),
    ("belong to no symbol", "strokes belong to no symbol"),
    ("belong to several", "strokes belong to several symbols"),
    ("the caption is no tree", "the caption does not parse"),
    ("there is no MathML", "no MathML, and equal symbols cannot be told apart"),
)
"""What the reasons of `hmer.ingest.alignment` have in common, to count them by."""


@dataclass(frozen=True, slots=True)
class Collection:
    """One collection: how much there is of it, and how high its symbols are.

    Heights are medians over an expression's letters and digits, in symbol units: their 5 %, 50 %
    and 95 % quantiles over the collection, NaN where the segmentation is unknown.
    """

    name: str
    rows: int
    splits: str
    noise: int
    height: tuple[float, float, float]
    sheet: str = ""


def collections(samples: pd.DataFrame) -> list[Collection]:
    """The collections of all splits, by name."""
    found = []
    for name, rows in samples.groupby("source"):
        counts = rows["file"].value_counts(sort=False)
        low, middle, high = rows["symbol_height"].quantile([0.05, 0.5, 0.95]).tolist()
        found.append(
            Collection(
                str(name),
                len(rows),
                ", ".join(f"{split} {count}" for split, count in sorted(counts.items())),
                int((rows["noise"] != "").sum()),
                (low, middle, high),
            )
        )
    return found


def by_explanation(samples: pd.DataFrame) -> dict[str, list[dict[str, Any]]]:
    """The rows whose caption differs from the raw truth, by explanation."""
    return _grouped(samples, "difference", lambda text: text.partition(": ")[::2])


def by_contradiction(samples: pd.DataFrame) -> dict[str, list[dict[str, Any]]]:
    """The rows with label noise, by the kind of contradiction."""

    def kind(text: str) -> tuple[str, str]:
        first = text.partition(";")[0]  # what follows is why there is no way round it
        found = next((kind for sign, kind in _CONTRADICTIONS if sign in first), "other")
        return found, text

    return _grouped(samples, "noise", kind)


def _grouped(
    samples: pd.DataFrame, column: str, parted: Callable[[str], tuple[str, str]]
) -> dict[str, list[dict[str, Any]]]:
    """Rows with a text in `column` as dicts with a `detail`, by group; the largest group first."""
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    told = samples[samples[column].notna() & (samples[column] != "")]
    names = ("id", "file", "source", column)
    for values in zip(*(told[name] for name in names), strict=True):
        group, detail = parted(str(values[-1]))
        groups[group].append(dict(zip(names, values, strict=True), detail=detail))
    return dict(sorted(groups.items(), key=lambda item: (-len(item[1]), item[0])))


def sheet_places(samples: pd.DataFrame, collection: str) -> list[tuple[str, int]]:
    """File and row of the expressions on a collection's sheet."""
    rows = samples[samples["source"] == collection]
    chosen = np.unique(np.linspace(0, len(rows) - 1, min(SHEET_ROWS, len(rows))).astype(int))
    picked = rows.iloc[chosen]
    return [(str(f), int(r)) for f, r in zip(picked["file"], picked["row"], strict=True)]


def write_sheet(path: Path, rows: list[dict[str, Any]]) -> None:
    """A PNG of the pictures at one common scale, each with its label under it.

    All are reduced alike until the largest but a tenth fit, so that sizes can be compared; what is
    still too large is reduced further.
    """
    pictures = [(row, image) for row in rows if (image := _open(row["image"])) is not None]
    if not pictures:
        return
    needed = [max(i.width / _ROOM[0], i.height / _ROOM[1]) for _, i in pictures]
    common = min(1.0, 1 / float(np.quantile(needed, 0.9)))
    cells = [(row, _reduced(image, common)) for row, image in pictures]
    lines = _lines([cell.width for _, cell in cells])
    heights = [max(cells[i][1].height for i in line) + _TEXT + _GAP for line in lines]
    sheet = Image.new("L", (SHEET_WIDTH, sum(heights) + _GAP), _PAPER)
    draw = ImageDraw.Draw(sheet)
    top = _GAP
    for line, height in zip(lines, heights, strict=True):
        left = _GAP
        for index in line:
            row, cell = cells[index]
            room = max(cell.width, _ROOM[0] // 2)
            sheet.paste(cell, (left, top + height - _TEXT - _GAP - cell.height))
            label = "".join(token or "" for token in row["tokens"] or ())
            place = (left, top + height - _TEXT - _GAP + 4)
            draw.text(place, _cut(label, room), fill=_QUIET, font=_font())
            left += room + _GAP
        top += height
        draw.line((_GAP, top - 4, SHEET_WIDTH - _GAP, top - 4), fill=225)
    sheet.save(path, "PNG")


def sheet_name(collection: str) -> str:
    """The file of a collection's sheet; collections may be called anything."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", collection).strip("-") or "collection"


def _open(data: bytes | None) -> Image.Image | None:
    """A picture as ink on paper; None where it does not decode."""
    try:
        with Image.open(io.BytesIO(data or b""), formats=("PNG",)) as image:
            return image.convert("L").point(
                [_PAPER - level * (_PAPER - _INK) // 255 for level in range(256)]
            )
    except Exception:  # whatever a damaged file does to the decoder, the sheet goes without it
        return None


def _reduced(image: Image.Image, scale: float) -> Image.Image:
    scale = min(scale, _ROOM[0] / image.width, _ROOM[1] / image.height)
    if scale >= 1:
        return image
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.BOX if scale < 0.5 else Image.Resampling.BILINEAR)


def _lines(widths: list[int]) -> list[list[int]]:
    """Which pictures stand side by side."""
    lines: list[list[int]] = [[]]
    left = _GAP
    for index, width in enumerate(widths):
        room = max(width, _ROOM[0] // 2) + _GAP
        if lines[-1] and left + room > SHEET_WIDTH:
            lines.append([])
            left = _GAP
        lines[-1].append(index)
        left += room
    return lines


def _cut(label: str, room: int) -> str:
    font = _font()
    if font.getlength(label) <= room:
        return label
    while label and font.getlength(label + "…") > room:
        label = label[: len(label) * 9 // 10]
    return label + "…"


@cache
def _font() -> ImageFont.FreeTypeFont:
    # The one that comes with matplotlib: the same everywhere.
    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSansMono.ttf", 11)
