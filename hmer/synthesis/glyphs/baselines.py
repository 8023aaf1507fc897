"""Rows of real ink brought onto one baseline and one scale, so that symbols can be compared.

Nobody writes the size of a row down. It is what makes its symbols, taken together, as tall and as
high as their classes usually are: scale and baseline are robust medians over the row, the
baseline a line that may climb (Theil and Sen's slope).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hmer.errors import LatexError
from hmer.ink.strokes import Ink, Points
from hmer.latex.parse import parse
from hmer.synthesis.glyphs.font import BUILT, WORDS, Glyph, variants
from hmer.synthesis.structure.spots import Spot, Spots, spots

STRETCHING = frozenset((*BUILT, "(", ")", "[", "]", r"\{", r"\}", "|", r"\sum", r"\int", "/"))
"""Signs that grow with what they enclose or act on: their height says nothing about the row's."""

_LOW = 0.5  # classes flatter than this, in symbol units, are bars and dots: no measure of height
_SLOPE_FROM = 4  # sized symbols before a row's baseline may climb

Extents = Mapping[str, tuple[float, float]]
"""Token to the usual top and bottom of its ink, symbol units from the baseline, y downwards."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A symbol with its strokes and the rectangle around them, ink coordinates."""

    spot: Spot
    strokes: tuple[Points, ...]
    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True, slots=True)
class AlignedRow:
    """A row and where it stands in the ink.

    Attributes:
        spots: the row of the structure tree.
        symbols: those of its symbols that have ink, by position in the row.
        scale: ink units per symbol unit of this row; None where nothing tells it.
        baseline: height of the baseline at x = 0, ink units.
        slope: of the baseline.
        sized: how many symbols the fit rests on.
    """

    spots: Spots
    symbols: Mapping[int, Placed]
    scale: float | None
    baseline: float
    slope: float
    sized: int

    def glyph(self, placed: Placed) -> Glyph:
        """The symbol in symbol units, its left at 0, the row's baseline at y = 0.

        Raises:
            ValueError: the row has no scale.
        """
        if self.scale is None:
            raise ValueError("a row without scale has no glyphs")
        level = self.level((placed.left + placed.right) / 2)
        origin = np.array([placed.left, level])
        return tuple((stroke.astype(np.float64) - origin) / self.scale for stroke in placed.strokes)

    def level(self, x: float) -> float:
        """The baseline's height at `x`."""
        return self.baseline + self.slope * x


def font_extents(tokens: Sequence[str]) -> dict[str, tuple[float, float]]:
    """The extents of the vector font's glyphs, averaged over their variants."""
    found = {}
    for token in tokens:
        letters = token[1:] if token in WORDS else (token,)
        try:
            glyphs = [glyph for letter in letters for glyph in variants(letter)]
        except KeyError:
            continue
        tops = [min(float(stroke[:, 1].min()) for stroke in glyph) for glyph in glyphs]
        feet = [max(float(stroke[:, 1].max()) for stroke in glyph) for glyph in glyphs]
        whole = token in WORDS
        found[token] = (
            (min(tops), max(feet)) if whole else (float(np.mean(tops)), float(np.mean(feet)))
        )
    return found


def is_sized(token: str, extents: Extents) -> bool:
    """Whether the height of this sign tells the size of its row."""
    if token in STRETCHING or token not in extents:
        return False
    top, bottom = extents[token]
    return bottom - top >= _LOW


def align(ink: Ink, tokens: Sequence[str], extents: Extents) -> list[AlignedRow]:
    """Every row of the expression whose symbols have places in the caption.

    Returns:
        The rows of the structure tree, outermost first; an empty list where the caption does not
        parse, no symbol has a place, or a place contradicts its caption.
    """
    try:
        tree = spots(parse(tokens))
    except LatexError:
        return []
    by_place: dict[int, Placed] = {}
    for symbol in ink.symbols:
        if symbol.place is None or not symbol.strokes:
            continue
        if not 0 <= symbol.place < len(tokens) or symbol.place in by_place:
            return []
        strokes = tuple(ink.strokes[index] for index in symbol.strokes)
        points = np.concatenate(strokes)
        (left, top), (right, bottom) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
        spot = Spot(tokens[symbol.place], symbol.place)
        by_place[symbol.place] = Placed(spot, strokes, left, top, right, bottom)
    return list(_rows(tree, by_place, extents)) if by_place else []


def _rows(row: Spots, by_place: Mapping[int, Placed], extents: Extents) -> Iterator[AlignedRow]:
    found = {
        number: by_place[spot.place]
        for number, spot in enumerate(row)
        if spot.place is not None and spot.place in by_place
    }
    yield _fit(row, found, extents)
    for spot in row:
        for _, child in spot.children:
            yield from _rows(child, by_place, extents)


def _fit(row: Spots, found: Mapping[int, Placed], extents: Extents) -> AlignedRow:
    sized = [placed for placed in found.values() if is_sized(placed.spot.token, extents)]
    if not sized:
        return AlignedRow(row, found, None, 0.0, 0.0, 0)
    usual = np.array([extents[placed.spot.token] for placed in sized])
    boxes = np.array([(placed.left, placed.top, placed.right, placed.bottom) for placed in sized])
    heights = np.maximum(boxes[:, 3] - boxes[:, 1], 1e-3)
    scale = float(np.exp(np.median(np.log(heights / (usual[:, 1] - usual[:, 0])))))
    middle = (boxes[:, 0] + boxes[:, 2]) / 2
    level = (boxes[:, 1] + boxes[:, 3]) / 2 - scale * usual.mean(axis=1)
    slope = _slope(middle, level) if len(sized) >= _SLOPE_FROM else 0.0
    baseline = float(np.median(level - slope * middle))
    return AlignedRow(row, found, scale, baseline, slope, len(sized))


def _slope(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Theil and Sen's: the median slope over all pairs."""
    first, second = np.triu_indices(len(x), 1)
    run = x[second] - x[first]
    apart = np.abs(run) > 1e-3
    if not apart.any():
        return 0.0
    slope = float(np.median((y[second] - y[first])[apart] / run[apart]))
    return float(np.clip(slope, -0.3, 0.3))
