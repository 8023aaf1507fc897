"""What is measured of an expression, recent or of the data set: as the recogniser sees it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hmer.data.dataset import load_expressions
from hmer.data.drawing import drawn_at
from hmer.decoding.bidirectional import DecodingConfig
from hmer.errors import HmerError
from hmer.ingest.summary import stored_render
from hmer.ink.raster import FORMATS
from hmer.ink.render import RenderConfig
from hmer.recognizer import Recognizer, Source

SUFFIXES = {".inkml", ".jpg", ".jpeg", ".tif", *(f".{name.lower()}" for name in FORMATS)}
TOGETHER = 16
"""Expressions read in one batch."""
Prepared = tuple[str, NDArray[np.uint8]]
"""A name, and an image at the recogniser's scale: (H, W), ink 255 on 0."""
MEASURES = ("height", "width", "ink_share", "symbol_scale", "length", "confidence")


@dataclass
class Observed:
    """Measurements of expressions.

    Attributes:
        rows: one line each: `name` and `MEASURES`. Height and width are in symbol units;
            `symbol_scale` is the width per token read, which moves when symbols are taken for
            larger or smaller than they are; `length` counts tokens read.
        tokens: tokens read, for each expression.
        refused: names of what could not be read, with the reason.
    """

    rows: pd.DataFrame
    tokens: list[Counter[str]]
    refused: dict[str, str] = field(default_factory=dict)


def recent_files(folder: Path, most: int) -> list[Path]:
    """Pictures and InkML in a folder and below, the newest, in the order of their names.

    Raises:
        HmerError: there is no such folder, or nothing in it.
    """
    if not folder.is_dir():
        raise HmerError(f"{folder}: no such folder")
    found = [p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file()]
    if not found:
        raise HmerError(f"{folder}: holds no picture and no InkML")
    found.sort(key=lambda path: (-path.stat().st_mtime_ns, str(path)))
    return sorted(found[:most])


def reference_images(split: Path, number: int, style: RenderConfig) -> list[Prepared]:
    """Expressions of a split, spread evenly over it, at the scale of a recogniser.

    The images of a data set are prepared already: their scale was estimated, or known from the
    ink, when they were ingested. Estimated once more it would be another one.

    Raises:
        HmerError: the split is missing or damaged, or does not say at what scale its images are.
    """
    known = load_expressions(split)
    chosen = np.unique(np.linspace(0, len(known) - 1, number).astype(int)).tolist()
    drawn = drawn_at(known.take(chosen), style, stored_render(split.parent))
    return [(name, drawn.image(index)) for index, name in enumerate(drawn.ids)]


def prepared(
    recognizer: Recognizer, sources: Iterable[tuple[str, Source]]
) -> tuple[list[Prepared], dict[str, str]]:
    """Names and images at the recogniser's scale; names of what cannot be read, with the reason."""
    images: list[Prepared] = []
    refused: dict[str, str] = {}
    for name, source in sources:
        try:
            images.append((name, recognizer.prepare(source)))
        except HmerError as error:
            refused[name] = str(error)
    return images, refused


def observe(
    recognizer: Recognizer,
    images: Iterable[Prepared],
    beam: int,
    progress: Callable[[int], object] = lambda done: None,
) -> Observed:
    """Measure and read every image.

    Args:
        recognizer: reads.
        images: names, and images at its scale.
        beam: hypotheses while reading.
        progress: told how many have been read.
    """
    unit = recognizer.render.unit
    # Neighbours in a batch are of one size, or much of it would be padding.
    images = sorted(images, key=lambda pair: (pair[1].shape[1], pair[1].shape[0], pair[0]))
    decoding = DecodingConfig(beam=beam)
    found: dict[str, tuple[tuple[float, ...], Counter[str]]] = {}
    for start in range(0, len(images), TOGETHER):
        part = images[start : start + TOGETHER]
        readings = recognizer.read([image for _, image in part], decoding)
        for (name, image), reading in zip(part, readings, strict=True):
            height, width = (side / unit for side in image.shape)
            length = len(reading.tokens)
            ink = float(image.mean() / 255)  # of grey, too: enlarging keeps it as it is
            measured = (height, width, ink, width / max(1, length), length, reading.confidence)
            found[name] = (measured, Counter(reading.tokens))
        progress(start + len(part))
    order = sorted(found)
    rows = pd.DataFrame([(name, *found[name][0]) for name in order], columns=["name", *MEASURES])
    return Observed(rows, [found[name][1] for name in order])
