"""Pictures annotated with their symbols: ground truth for attention localisation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hmer.data.dataset import Expressions
from hmer.errors import LatexError
from hmer.evaluation.report import Image
from hmer.ink.boxes import SymbolBox, symbol_boxes
from hmer.ink.images import ink_mask
from hmer.ink.render import RenderConfig, Rendering, render
from hmer.ink.strokes import Ink, Points
from hmer.latex.tree import Relation, parse, place_tokens

Owners = NDArray[np.int64]
"""For each pixel or cell the number of the symbol that is written there, -1 for none."""

NOBODY = -1
_SPACING = 0.5  # pixels between the points with which strokes are painted
_SCRIPTS = {Relation.SUP, Relation.SUB}


@dataclass(frozen=True, slots=True)
class WrittenSymbol:
    """A symbol in a picture."""

    token: str
    box: SymbolBox
    place: int | None
    """Which token of the caption it writes; None if unknown."""
    script: bool
    """Whether it stands in a superscript or subscript, at whatever depth."""


@dataclass(frozen=True, slots=True, eq=False)
class Annotated:
    """One expression as a picture, with its caption and its symbols."""

    id: str
    tokens: Sequence[str]
    image: Image
    """(H, W), drawn at the recogniser's scale."""
    symbols: Sequence[WrittenSymbol]
    """Empty where the segmentation is unknown."""
    owners: Owners
    """(H, W): which of `symbols` each pixel of ink belongs to."""

    def cells(self, stride: int) -> Owners:
        """(h, w): the symbol with the most ink in each cell of `stride` pixels, the first of
        equals; the last row and column of cells may lie partly beyond the picture."""
        ink = self.cell_ink(stride)
        if not len(ink):
            return np.full(ink.shape[1:], NOBODY, np.int64)
        return np.where(ink.any(axis=0), ink.argmax(axis=0), NOBODY)

    def cell_ink(self, stride: int) -> NDArray[np.int64]:
        """(symbols, h, w): pixels of ink of every symbol in every cell."""
        height, width = cell_grid(self.image, stride)
        rows, columns = np.nonzero(self.owners != NOBODY)
        flat = np.ravel_multi_index(
            (self.owners[rows, columns], rows // stride, columns // stride),
            (len(self.symbols), height, width),
        )
        counts = np.bincount(flat, minlength=len(self.symbols) * height * width)
        return counts.reshape(len(self.symbols), height, width)


def cell_grid(image: Image, stride: int) -> tuple[int, int]:
    """Rows and columns of cells that cover a picture."""
    return -(-image.shape[0] // stride), -(-image.shape[1] // stride)


def spread_over(count: int, limit: int) -> list[int]:
    """At most `limit` of `count` numbers, evenly spread, so that all writers have their share."""
    if limit >= count:
        return list(range(count))
    return [number * count // limit for number in range(limit)]


def annotate(expressions: Expressions, rows: Sequence[int], style: RenderConfig) -> list[Annotated]:
    """The expressions `rows`, drawn in `style`; those without ink as they are, without symbols.

    Blank pictures are left out.
    """
    found = []
    for row in rows:
        ink, tokens = expressions.ink(row), expressions.tokens[row]
        if ink is None:
            image = expressions.image(row)
            nobody = np.full(image.shape, NOBODY, np.int64)
            one = Annotated(expressions.ids[row], tokens, image, (), nobody)
        else:
            one = annotate_ink(expressions.ids[row], tokens, ink, style)
        if ink_mask(one.image).any():
            found.append(one)
    return found


def annotate_ink(id: str, tokens: Sequence[str], ink: Ink, style: RenderConfig) -> Annotated:
    """Ink drawn in `style`, with its symbols."""
    rendering = render(ink, style.unit, style.pen, style.margin)
    named = [symbol for symbol in ink.symbols if symbol.strokes]
    scripts = _in_scripts(tokens)
    symbols = tuple(
        WrittenSymbol(symbol.token, box, symbol.place, symbol.place in scripts)
        for symbol, box in zip(named, symbol_boxes(ink, rendering), strict=True)
    )
    strokes = [[ink.strokes[stroke] for stroke in symbol.strokes] for symbol in named]
    return Annotated(id, tokens, rendering.image, symbols, _owners(strokes, rendering))


def _in_scripts(tokens: Sequence[str]) -> frozenset[int]:
    """Which tokens stand in a superscript or subscript; none where the caption is no tree."""
    try:
        placed = place_tokens(parse(tokens))
    except LatexError:
        return frozenset()
    return frozenset(n for n, token in enumerate(placed) if _SCRIPTS & set(token.path))


def _owners(symbols: Sequence[Sequence[Points]], rendering: Rendering) -> Owners:
    """Which symbol each pixel of ink belongs to: that of the nearest stroke; the later of equals.

    The middle lines of the strokes are painted one symbol after the other, and then grow over the
    ink pixel by pixel. Ink of strokes that belong to no symbol goes to a symbol that it touches.
    """
    ink = ink_mask(rendering.image)
    owners = np.full(ink.shape, NOBODY, np.int64)
    for number, strokes in enumerate(symbols):
        for stroke in strokes:
            columns, rows = np.floor(_dense(rendering.to_pixels(stroke))).astype(np.int64).T
            owners[rows.clip(0, ink.shape[0] - 1), columns.clip(0, ink.shape[1] - 1)] = number
    for _ in range(int(np.ceil(rendering.pen)) + 1):
        free = ink & (owners == NOBODY)
        if not free.any():
            break
        around = np.pad(owners, 1, constant_values=NOBODY)
        nearest = np.max(
            [
                around[1 + dy : 1 + dy + ink.shape[0], 1 + dx : 1 + dx + ink.shape[1]]
                for dy, dx in ((-1, 0), (1, 0), (0, -1), (0, 1))
            ],
            axis=0,
        )
        owners = np.where(free, nearest, owners)
    return np.where(ink, owners, NOBODY)


def _dense(points: Points) -> NDArray[np.float64]:
    """Points of a stroke (n, 2) so close that no pixel of the way is passed over."""
    if len(points) < 2:
        return points.astype(np.float64)
    steps = np.hypot(*np.diff(points, axis=0).T) / _SPACING
    at = np.concatenate([[0.0], np.cumsum(np.maximum(steps, 1e-6))])
    wanted = np.linspace(0.0, at[-1], int(np.ceil(at[-1])) + 1)
    return np.stack([np.interp(wanted, at, points[:, axis]) for axis in (0, 1)], axis=1)
