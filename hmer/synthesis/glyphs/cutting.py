"""Cutting of glyphs out of training ink, brought onto one baseline and one scale."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from hmer.errors import HmerError, LatexError
from hmer.ink.codec import unpack
from hmer.ink.strokes import Ink, Points
from hmer.latex.tree import Node, Relation, Row, parse
from hmer.synthesis.glyphs.bank import Cutting, GlyphBank
from hmer.synthesis.glyphs.font import BUILT, WORDS, Glyph, recognisable, variants
from hmer.synthesis.layout.radical import split_radical

STRETCHING = frozenset((*BUILT, "(", ")", "[", "]", r"\{", r"\}", "|", r"\sum", r"\int", "/"))
"""Signs that grow with what they enclose or act on: their height says nothing about the row's."""

_SCRIPT = 0.62
"""Size of a script's row for one of what it hangs on: the median of 400 of CROHME's scripts that
have two symbols whose height tells it."""

_LOW = 0.5  # classes flatter than this, in symbol units, are bars and dots: no measure of height
_SLOPE_FROM = 4  # sized symbols before a row's baseline may climb

Extents = Mapping[str, tuple[float, float]]
"""Token to the usual top and bottom of its ink, symbol units from the baseline, y downwards."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A symbol with its strokes and the rectangle around them, ink coordinates."""

    spot: Node
    strokes: tuple[Points, ...]
    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True, slots=True)
class AlignedRow:
    """A row and where it stands in the ink, in ink units.

    Attributes:
        symbols: those of its symbols that have ink, by position in the row.
        scale: ink units per symbol unit of this row; None where nothing tells it.
        baseline: its height at x = 0.
        slope: of the baseline.
        sized: how many symbols the fit rests on.
    """

    spots: Row
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
    """Every row of the expression whose symbols have places in the caption, outermost first.

    Empty where the caption does not parse, no symbol has a place, or a place contradicts it.
    """
    try:
        tree = parse(tokens)
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
        spot = Node(tokens[symbol.place], start=symbol.place)
        by_place[symbol.place] = Placed(spot, strokes, left, top, right, bottom)
    return list(_rows(tree, by_place, extents)) if by_place else []


def _rows(
    row: Row,
    by_place: Mapping[int, Placed],
    extents: Extents,
    script_of: float | None = None,
) -> Iterator[AlignedRow]:
    """The row and those within; `script_of` is the scale of the row whose script it is."""
    found = {
        number: by_place[spot.place]
        for number, spot in enumerate(row)
        if spot.place is not None and spot.place in by_place
    }
    fitted = _fit(row, found, extents, script_of)
    yield fitted
    for spot in row:
        for relation, child in spot.children:
            script = relation in (Relation.SUP, Relation.SUB)
            yield from _rows(child, by_place, extents, fitted.scale if script else None)


def _fit(
    row: Row, found: Mapping[int, Placed], extents: Extents, script_of: float | None
) -> AlignedRow:
    sized = [placed for placed in found.values() if is_sized(placed.spot.token, extents)]
    if not sized:
        # A prime or a minus says nothing of its row's size, but what it hangs on does.
        scale = None if script_of is None else _SCRIPT * script_of
        levels = [
            (placed.top + placed.bottom) / 2 - (scale or 0.0) * float(np.mean(reach))
            for placed in found.values()
            if (reach := extents.get(placed.spot.token))
        ]
        if not levels:
            return AlignedRow(row, found, None, 0.0, 0.0, 0)
        return AlignedRow(row, found, scale, float(np.median(levels)), 0.0, 0)
    usual = np.array([extents[placed.spot.token] for placed in sized])
    left, top, right, bottom = np.array([(p.left, p.top, p.right, p.bottom) for p in sized]).T
    heights = np.maximum(bottom - top, 1e-3)
    scale = float(np.exp(np.median(np.log(heights / (usual[:, 1] - usual[:, 0])))))
    middle = (left + right) / 2
    level = (top + bottom) / 2 - scale * usual.mean(axis=1)
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


_PASSES = 2  # of estimating how high and low each class reaches
_ENOUGH = 8  # samples before a class's own extents replace the font's
_FIRM = 3  # sized symbols in a row that may teach extents
_DIGITS = tuple("0123456789")
_SPREAD = 3.5  # robust standard deviations from the class's median beyond which ink is absurd
_FLOOR = 0.12  # smallest such deviation: uniform classes must not lose their normal variation
_TALLEST = (3.5, 6.0)  # symbol units: what is taller has outgrown its row; integrals may be
_MAX_SIZE = 8.0


@dataclass(frozen=True, slots=True)
class Sourced:
    """An expression of a training split and where it comes from."""

    ink: Ink
    tokens: Sequence[str]
    writer: str
    source: str


def read_training_inks(path: Path) -> Iterator[Sourced]:
    """The expressions of a training split that have ink.

    Raises:
        HmerError: the file is missing, damaged, or not a training split (nothing that is
            validated or tested on may be cut up for training).
    """
    if not path.is_file():
        raise HmerError(f"{path}: no such data set split; ingest the data first")
    columns = ["split", "writer", "source", "tokens", "ink"]
    try:
        file = pq.ParquetFile(path)
        for batch in file.iter_batches(512, columns=columns):
            for row in batch.to_pylist():
                if row["split"] != "train":
                    raise HmerError(
                        f"{path}: holds the split {row['split']!r}; glyphs are cut from 'train' "
                        "only, or evaluation would be on training data"
                    )
                if row["ink"] is not None:
                    yield Sourced(unpack(row["ink"]), row["tokens"], row["writer"], row["source"])
    except (OSError, KeyError, ValueError, pa.ArrowException) as error:
        raise HmerError(f"{path}: not a data set split ({error}); run ingest again") from error


def cut_bank(expressions: Iterable[Sourced]) -> GlyphBank:
    """A bank of all symbols whose place, row and size are known, absurd ones left out.

    Expressions without trace groups, or whose symbols have no places, are skipped.

    Raises:
        HmerError: nothing could be cut.
    """
    placed = [item for item in expressions if any(s.place is not None for s in item.ink.symbols)]
    extents = learn_extents(placed)
    cuttings = [
        Cutting(symbol.spot.token, item.writer, row.glyph(symbol))
        for item in placed
        for row in align(item.ink, item.tokens, extents)
        if row.scale is not None
        for symbol in row.symbols.values()
    ]
    kept = _recognised(_without_outliers(cuttings))
    return GlyphBank.pack(kept, {item.writer: item.source for item in placed})


def learn_extents(items: Sequence[Sourced]) -> dict[str, tuple[float, float]]:
    """How high and low each class reaches in this ink, in units that keep digits as the font's.

    Starts from the vector font, whose proportions are only roughly those of hands.
    """
    extents = font_extents(sorted({token for item in items for token in item.tokens}))
    for _ in range(_PASSES):
        extents = _learnt(items, extents)
    return extents


def _learnt(items: Sequence[Sourced], extents: Extents) -> dict[str, tuple[float, float]]:
    """Extents from one more look at the ink; the font's for classes that are rare."""
    reaches: dict[str, list[tuple[float, float]]] = {}
    for item in items:
        for row in align(item.ink, item.tokens, extents):
            if row.scale is None or row.sized < _FIRM:
                continue
            for symbol in row.symbols.values():
                level = row.level((symbol.left + symbol.right) / 2)
                reach = (symbol.top - level) / row.scale, (symbol.bottom - level) / row.scale
                reaches.setdefault(symbol.spot.token, []).append(reach)
    medians = {t: np.median(found, axis=0) for t, found in reaches.items() if len(found) >= _ENOUGH}
    found = {token: (float(top), float(bottom)) for token, (top, bottom) in medians.items()}
    digits = [digit for digit in _DIGITS if digit in found and digit in extents]
    shift, grow = 0.0, 1.0
    if digits:
        old = np.array([extents[digit] for digit in digits])
        new = np.array([found[digit] for digit in digits])
        grow = float(np.ptp(old, axis=1).mean() / np.ptp(new, axis=1).mean())
        shift = float(old.mean() - grow * new.mean())
    anchored = {token: (grow * t + shift, grow * b + shift) for token, (t, b) in found.items()}
    return dict(extents) | anchored


def _without_outliers(cuttings: Sequence[Cutting]) -> list[Cutting]:
    """The samples whose size, aspect and height are believable for their class."""
    tokens = np.array([cutting.token for cutting in cuttings])
    measures = np.array([_measures(cutting) for cutting in cuttings]).reshape(-1, 3)
    good = np.zeros(len(cuttings), bool)
    for token in np.unique(tokens):
        good[tokens == token] = _believable(str(token), measures[tokens == token])
    return [
        cutting
        for cutting, fine in zip(cuttings, good.tolist(), strict=True)
        if fine and (cutting.token != r"\sqrt" or split_radical(cutting.glyph) is not None)
    ]


def _recognised(cuttings: Sequence[Cutting]) -> list[Cutting]:
    """The samples that look like others of their class; bars and radicals are not judged.

    A fraction bar looks like a minus sign, and must not be thrown out for it.
    """
    judged = [cutting for cutting in cuttings if cutting.token not in (*BUILT, "-")]
    if not judged:
        return list(cuttings)
    good = recognisable([c.token for c in judged], [c.glyph for c in judged]).tolist()
    refused = {id(cutting) for cutting, fine in zip(judged, good, strict=True) if not fine}
    return [cutting for cutting in cuttings if id(cutting) not in refused]


def _measures(cutting: Cutting) -> tuple[float, float, float]:
    """Log of width and height, and the height of the middle; dots count as 0.05 wide and high."""
    points = np.concatenate(cutting.glyph)
    (left, top), (right, bottom) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
    width, height = np.log(np.maximum((right - left, bottom - top), 0.05)).tolist()
    return width, height, (top + bottom) / 2


def _believable(token: str, measures: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which samples of a class (n, 3) to keep (n,)."""
    fine: NDArray[np.bool_] = (measures[:, :2] < np.log(_MAX_SIZE)).all(axis=1)
    if token in BUILT:  # as long and tall as what they belong to
        return np.asarray(measures[:, 1] < measures[:, 0]) if token == r"\frac" else fine
    if token in STRETCHING:
        least, most = np.log((0.6, _TALLEST[token == r"\int"]))
        fine &= (measures[:, 1] > least) & (measures[:, 1] < most)
    if len(measures) < _ENOUGH:
        return fine
    away = np.abs(measures - np.median(measures, axis=0))
    deviation = np.maximum(1.4826 * np.median(away, axis=0), _FLOOR)
    return np.asarray(fine & (away < _SPREAD * deviation).all(axis=1))
