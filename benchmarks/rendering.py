"""Drawing ink: the distance field against Pillow with fourfold supersampling."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

from benchmarks.timing import Row, comparison, in_turn
from hmer.ingest.sources.base import SourceItem
from hmer.ingest.sources.synthetic import Synthetic
from hmer.ink.render import render
from hmer.ink.scale import normalise
from hmer.ink.strokes import Ink

UNIT, PEN, MARGIN, FINER = 20.0, 0.1, 0.25, 4


def supersampled(ink: Ink) -> Image.Image:
    """Pillow's lines at four times the size, reduced."""
    left, top, right, bottom = ink.bounds()
    unit = UNIT * FINER
    width = int((right - left + 2 * MARGIN) * unit)
    height = int((bottom - top + 2 * MARGIN) * unit)
    image = Image.new("L", (width, height))
    draw = ImageDraw.Draw(image)
    origin = np.array([left - MARGIN, top - MARGIN], np.float32)
    for stroke in ink.strokes:
        points = [tuple(point) for point in ((stroke - origin) * unit).tolist()]
        draw.line(points, fill=255, width=max(1, round(PEN * unit)), joint="curve")
    return image.reduce(FINER)


def report() -> dict[str, list[Row]]:
    """Draw synthetic expressions."""
    inks = []
    for task in Synthetic(train=200, val=0, test=0).items(0):
        item = task()
        assert isinstance(item, SourceItem) and item.ink is not None
        inks.append(normalise(item.ink))
    works: dict[str, Callable[[], object]] = {
        "ours": lambda: [render(ink, UNIT, PEN, MARGIN) for ink in inks],
        "Pillow": lambda: [supersampled(ink) for ink in inks],
    }
    seconds = {name: found / len(inks) for name, found in in_turn(works, rounds=5).items()}
    return {"rendering": [comparison("drawing", "image", seconds["ours"], seconds["Pillow"])]}
