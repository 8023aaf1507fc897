"""Other ink for a symbol: another hand's sample of its class, or of another class."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from hmer.ink.strokes import Points
from hmer.latex.commands import ROOT
from hmer.synthesis.glyphs.baselines import STRETCHING, Extents
from hmer.synthesis.layout.radical import fit_radical, split_radical
from hmer.synthesis.recombine.reflow import Step, look, settle
from hmer.synthesis.structure.measure import Measure, measure
from hmer.synthesis.structure.parts import Box, Part, extent, move

_BAR = "\\frac"
_Strokes = tuple[NDArray[np.float64], ...]


def ways(row: list[Part], way: tuple[Step, ...] = ()) -> Iterator[tuple[Step, ...]]:
    """The way to every symbol of an expression, left to right and outside in."""
    for index, part in enumerate(row):
        if part.token:
            yield (*way, Step(row, index, None))
        for relation, below in part.rows:
            yield from ways(below, (*way, Step(row, index, relation)))


def rewrite(way: Sequence[Step], token: str, glyph: _Strokes, extents: Extents) -> bool:
    """Write a symbol anew, as `token`, with this ink; its neighbours make room.

    Args:
        way: to the symbol.
        token: what it becomes; signs that stretch only become themselves.
        glyph: strokes in symbol units from the baseline, left at 0.
        extents: of the classes.

    Returns:
        False, and no change, where the size of the row is not known or the ink does not fit.
    """
    step = way[-1]
    part = step.row[step.index]
    strokes = tuple(np.asarray(stroke, np.float32) for stroke in glyph)
    if part.token in STRETCHING:
        return token == part.token and _restretch(part, strokes)
    was = part.box()
    size = measure(step.row, (was[0] + was[2]) / 2, extents)
    if size is None:
        return False
    before = look(way)
    _write(part, strokes, was, size)
    part.token = token
    now = part.box()
    for _, row in part.rows:
        here = extent(row)
        over = here[0] < (was[0] + was[2]) / 2  # a limit; scripts begin further right
        across = (now[0] + now[2] - was[0] - was[2]) / 2 if over else now[2] - was[2]
        move(row, across, 0.0)
    settle(way, before)
    return True


def _write(part: Part, strokes: tuple[Points, ...], was: Box, size: Measure) -> None:
    part.draw(strokes)
    part.scale = (size.scale, size.scale)
    part.offset = (0.0, size.baseline)
    part.offset = (was[0] - part.box()[0], size.baseline)


def _restretch(part: Part, strokes: tuple[Points, ...]) -> bool:
    """Other ink for a bar, a bracket, a radical or a large operator, as large as the old."""
    was = part.box()
    if part.token == ROOT:
        return _reroot(part, strokes, was)
    fresh = Part(part.token, strokes)
    box = fresh.box()
    width, height = box[2] - box[0], box[3] - box[1]
    if part.token == _BAR:
        if not width > 0.1:
            return False
        half = min(height, 0.5 * (was[3] - was[1]) + 0.5 * height) / 2
        middle = (was[1] + was[3]) / 2
        wanted: Box = (was[0], middle - half, was[2], middle + half)
    elif height > 0.1:
        wanted = was
    else:
        return False
    part.draw(strokes)
    part.fit(wanted)
    return True


def _reroot(part: Part, strokes: tuple[Points, ...], was: Box) -> bool:
    old = split_radical(tuple(stroke.astype(np.float64) for stroke in part.drawn()))
    if old is None or split_radical(tuple(s.astype(np.float64) for s in strokes)) is None:
        return False
    begin, roof, foot = old
    new = fit_radical(tuple(s.astype(np.float64) for s in strokes), was[2] - begin, roof, foot)
    part.draw(tuple(np.asarray(stroke, np.float32) for stroke in new.glyph))
    part.offset = (begin - new.begin, 0.0)
    return True
