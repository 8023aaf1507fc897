"""Exchange of parts between expressions: symbols of other hands, groups of other expressions."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hmer.ink.strokes import Points
from hmer.latex.tree import ROOT, HangingRow, Relation, parse, rows
from hmer.synthesis.base import TEMPERING, draw, running
from hmer.synthesis.decompose import SIGNS
from hmer.synthesis.editable_ink import Box, Part, extent, move, take
from hmer.synthesis.glyphs.bank import GlyphBank
from hmer.synthesis.glyphs.cutting import STRETCHING, Extents, is_sized
from hmer.synthesis.ink_index import Material
from hmer.synthesis.layout.radical import fit_radical, split_radical
from hmer.synthesis.recombine.reflow import Step, look, settle
from hmer.synthesis.substitutions import BRACKETS

_NEAR = 5  # symbols around a place that tell the baseline there: rows climb and sink
_ENOUGH = 200  # samples of a class that are looked at


class Measure(NamedTuple):
    """Ink units per symbol unit of a row, and the height of its baseline."""

    scale: float
    baseline: float


def bank_extents(bank: GlyphBank) -> dict[str, tuple[float, float]]:
    """The usual top and bottom of every class, symbol units from the baseline, y downwards."""
    found: dict[str, list[tuple[float, float]]] = {}
    order = np.random.default_rng(0).permutation(len(bank)).tolist()
    for sample in order:
        boxes = found.setdefault(bank.tokens[int(bank.token_of[sample])], [])
        if len(boxes) < _ENOUGH:
            y = np.concatenate(bank.glyph(sample))[:, 1]
            boxes.append((float(y.min()), float(y.max())))
    medians = {token: np.median(boxes, axis=0) for token, boxes in found.items()}
    return {token: (float(top), float(bottom)) for token, (top, bottom) in medians.items()}


def measure(row: Sequence[Part], x: float, extents: Extents) -> Measure | None:
    """The size of a row and its baseline near `x`; None if no symbol tells."""
    found = []
    for part in row:
        if part.token and is_sized(part.token, extents):
            left, top, right, bottom = part.box()
            high, low = extents[part.token]
            found.append(
                (left + right, top + bottom, max(bottom - top, 1e-3), high + low, low - high)
            )
    if not found:
        return None
    scale = median([height / usual for _, _, height, _, usual in found])
    found.sort(key=lambda entry: abs(entry[0] / 2 - x))
    level = median([y - scale * middle for _, y, _, middle, _ in found[:_NEAR]])
    return Measure(scale, level / 2)


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
    """Write the symbol at the end of `way` anew, as `token`; its neighbours make room.

    Signs that stretch only become themselves. The glyph is in symbol units from the baseline, left
    at 0. False, and no change, where the size of the row is not known or the ink does not fit.
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
    part.draw(strokes)
    part.scale = (size.scale, size.scale)
    part.offset = (was[0] - part.box()[0], size.baseline)
    part.token = token
    now = part.box()
    for _, row in part.rows:
        here = extent(row)
        over = here[0] < (was[0] + was[2]) / 2  # a limit; scripts begin further right
        across = (now[0] + now[2] - was[0] - was[2]) / 2 if over else now[2] - was[2]
        move(row, across, 0.0)
    settle(way, before)
    return True


def _restretch(part: Part, strokes: tuple[Points, ...]) -> bool:
    """Other ink for a bar, a bracket, a radical or a large operator, as large as the old."""
    was = part.box()
    if part.token == ROOT:
        return _reroot(part, strokes, was)
    box = Part(part.token, strokes).box()
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
    old = split_radical(part.drawn())
    if old is None or split_radical(strokes) is None:
        return False
    begin, roof, foot = old
    new = fit_radical(strokes, was[2] - begin, roof, foot)
    part.draw(tuple(np.asarray(stroke, np.float32) for stroke in new.glyph))
    part.offset = (begin - new.begin, 0.0)
    return True


OPERAND = "operand"
_LIMITED = frozenset((r"\sum", r"\int", r"\lim"))
_FENCES = frozenset((*BRACKETS, *BRACKETS.values(), "|"))
_SMALLER = {Relation.SUP: 0.7, Relation.SUB: 0.7, Relation.INDEX: 0.6}
_CANDIDATES = 4  # groups that are drawn to choose the one from whose shape is nearest
_NEAR_SCALE = (0.65, 1.6)  # of what a row usually has inside another: a tiny 0 is no measure
_GROWTH = (0.25, 4.0)  # by how much a group may be scaled: beyond, a measure must be wrong
_LONGEST = 24  # tokens of a group that is handed on


@dataclass(frozen=True, slots=True)
class Hole:
    """Neighbours in a row for which others can stand: `count` from the end of `way` on.

    `kind` is what is wanted: as `group_kind` names it, or `OPERAND`.
    """

    kind: str
    way: tuple[Step, ...]
    count: int


def group_kind(parent: str, relation: Relation) -> str:
    """What a row that hangs on `parent` is: limits are no scripts."""
    return f"{relation}-limit" if parent in _LIMITED else str(relation)


def operands(names: Sequence[str]) -> Iterator[tuple[int, int]]:
    """The runs of a row (first, last + 1) between signs and brackets."""
    first = 0
    for at in range(len(names) + 1):
        if at == len(names) or names[at] in SIGNS or names[at] in _FENCES:
            if at > first:
                yield first, at
            first = at + 1


def holes(row: list[Part], way: tuple[Step, ...] = ()) -> list[Hole]:
    """All groups of an expression that can be exchanged; `way` leads to the row."""
    found = [
        Hole(OPERAND, (*way, Step(row, first, None)), last - first)
        for first, last in operands([part.token for part in row])
        if way or last - first < len(row)
    ]
    for index, part in enumerate(row):
        for relation, below in part.rows:
            if not below:
                continue
            further = (*way, Step(row, index, relation))
            if part.token:
                kind = group_kind(part.token, relation)
                found.append(Hole(kind, (*further, Step(below, 0, None)), len(below)))
            found += holes(below, further)
    return found


@dataclass(frozen=True)
class _Pool:
    """Groups of one kind: expression, start and stop (n, 3), and how to draw one."""

    groups: NDArray[np.int32]
    below: NDArray[np.float64]
    shape: NDArray[np.float32]
    """(n, 2): tokens, and width over height."""


class Groups:
    """All groups of a training split, by kind."""

    def __init__(self, material: Material, extents: Extents) -> None:
        """Collect them."""
        self.material = material
        self.extents = extents
        found: dict[str, list[tuple[int, int, int]]] = defaultdict(list)
        for number, tokens in enumerate(material.tokens):
            for hanging in rows(parse(tokens)):
                for kind, start, stop in _of_row(hanging):
                    if stop - start <= _LONGEST:
                        found[kind].append((number, start, stop))
        self._pools = {kind: self._pool(groups) for kind, groups in found.items()}

    def _pool(self, groups: list[tuple[int, int, int]]) -> _Pool:
        tokens = self.material.tokens
        captions = [" ".join(tokens[number][start:stop]) for number, start, stop in groups]
        times = Counter(captions)
        chances = np.array([times[c] for c in captions], np.float64) ** (TEMPERING - 1)
        shape = []
        for number, start, stop in groups:
            boxes = self.material.boxes[self.material.strokes_of(number, start, stop)]
            width, height = boxes[:, 2:].max(axis=0) - boxes[:, :2].min(axis=0)
            shape.append((stop - start, max(width, 0.1) / max(height, 0.1)))
        return _Pool(
            np.array(groups, np.int32), running(chances), np.log(np.array(shape, np.float32))
        )

    def exchange(self, hole: Hole, rng: np.random.Generator) -> bool:
        """Put a group of another expression into a hole; False, and no change, if none fits."""
        pool = self._pools.get(hole.kind)
        step = hole.way[-1]
        old = step.row[step.index : step.index + hole.count]
        left, top, right, bottom = extent(old)
        middle = (left + right) / 2
        here = measure(step.row, middle, self.extents)
        scale = self._scale(here, hole.way, middle)
        if pool is None or scale is None or not right >= left:
            return False
        shape = (len(old), max(right - left, 0.1) / max(bottom - top, 0.1))
        new = take(self.material, *self._nearest(pool, np.log(shape), rng))
        box = extent(new)
        there = measure(new, (box[0] + box[2]) / 2, self.extents)
        if there is None or not _GROWTH[0] < scale / there.scale < _GROWTH[1]:
            return False
        factor = scale / there.scale
        for part in new:
            part.grow(factor)
        box = extent(new)
        if here is not None:  # its baseline to that of the row, if that has one
            down = here.baseline - there.baseline * factor
        else:
            down = (top + bottom - box[1] - box[3]) / 2
        move(new, left - box[0], down)
        before = look(hole.way, hole.count)
        step.row[step.index : step.index + hole.count] = new
        settle(hole.way, before, len(new))
        return True

    def _nearest(
        self, pool: _Pool, shape: NDArray[np.float64], rng: np.random.Generator
    ) -> tuple[int, int, int]:
        drawn = np.array([draw(pool.below, rng) for _ in range(_CANDIDATES)])
        away = np.abs(pool.shape[drawn] - shape).sum(axis=1)
        number, start, stop = pool.groups[drawn[int(away.argmin())]].tolist()
        return number, start, stop

    def _scale(self, here: Measure | None, way: Sequence[Step], x: float) -> float | None:
        """The scale in which to write in a row: its own, kept legible beside that around it."""
        around = self._inherited(way, x)
        if here is None or around is None:
            return here.scale if here else around
        return min(max(here.scale, around * _NEAR_SCALE[0]), around * _NEAR_SCALE[1])

    def _inherited(self, way: Sequence[Step], x: float) -> float | None:
        """The scale of a row that does not tell its own, from the rows around it."""
        factor = 1.0
        for step in reversed(way[:-1]):
            factor *= _SMALLER.get(step.relation, 1.0) if step.relation else 1.0
            found = measure(step.row, x, self.extents)
            if found:
                return found.scale * factor
        return None


def _of_row(hanging: HangingRow) -> Iterator[tuple[str, int, int]]:
    """The groups of a row: itself, its operands, and what its brackets hold together."""
    parent, relation, row = hanging
    if relation is not None and parent is not None and parent.token and row:
        yield group_kind(parent.token, relation), row[0].start, row[-1].stop
    names = [node.token for node in row]
    for first, last in operands(names):
        yield OPERAND, row[first].start, row[last - 1].stop
    waiting: list[int] = []
    for at, name in enumerate(names):
        if name == "(":
            waiting.append(at)
        elif name == ")" and waiting:
            yield OPERAND, row[waiting.pop()].start, row[at].stop
