"""Groups of symbols that can be exchanged between expressions, and their exchange."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hmer.latex.parse import parse
from hmer.latex.tree import Relation
from hmer.synthesis.decompose import SIGNS
from hmer.synthesis.glyphs.baselines import Extents
from hmer.synthesis.recombine.reflow import Step, look, settle
from hmer.synthesis.structure.measure import Measure, measure
from hmer.synthesis.structure.parts import Part, extent, move, take
from hmer.synthesis.structure.pieces import Material, RowSpan, row_spans

OPERAND = "operand"
_LIMITED = frozenset((r"\sum", r"\int", r"\lim"))
_FENCES = frozenset(("(", ")", "[", "]", r"\{", r"\}", "|"))
_SMALLER = {Relation.SUP: 0.7, Relation.SUB: 0.7, Relation.INDEX: 0.6}
_CANDIDATES = 4  # groups that are drawn to choose the one from whose shape is nearest
_NEAR_SCALE = (0.65, 1.6)  # of what a row usually has inside another: a tiny 0 is no measure
_GROWTH = (0.25, 4.0)  # by how much a group may be scaled: beyond, a measure must be wrong
_LONGEST = 24  # tokens of a group that is handed on


@dataclass(frozen=True, slots=True)
class Hole:
    """Neighbours in a row for which others can stand.

    Attributes:
        kind: what is wanted: as `group_kind` names it, or `OPERAND`.
        way: to the first of them.
        count: how many they are.
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


def holes(row: list[Part]) -> list[Hole]:
    """All groups of an expression that can be exchanged."""
    return list(_holes(row, ()))


def _holes(row: list[Part], way: tuple[Step, ...]) -> Iterator[Hole]:
    names = [part.token for part in row]
    for first, last in operands(names):
        if way or last - first < len(row):
            yield Hole(OPERAND, (*way, Step(row, first, None)), last - first)
    for index, part in enumerate(row):
        for relation, below in part.rows:
            if not below:
                continue
            further = (*way, Step(row, index, relation))
            if part.token:
                kind = group_kind(part.token, relation)
                yield Hole(kind, (*further, Step(below, 0, None)), len(below))
            yield from _holes(below, further)


@dataclass(frozen=True)
class _Pool:
    """Groups of one kind: expression, start and stop (n, 3), and how to draw one."""

    groups: NDArray[np.int32]
    below: NDArray[np.float64]
    shape: NDArray[np.float32]
    """(n, 2): tokens, and width over height."""


class Groups:
    """All groups of a training split, by kind."""

    def __init__(self, material: Material, extents: Extents, tempering: float) -> None:
        """Collect them; captions of a kind come as often as `tempering` says (see decompose)."""
        self.material = material
        self.extents = extents
        found: dict[str, list[tuple[int, int, int]]] = defaultdict(list)
        for number, tokens in enumerate(material.tokens):
            for span in row_spans(parse(tokens)):
                for kind, start, stop in _of_row(span, tokens):
                    if stop - start <= _LONGEST:
                        found[kind].append((number, start, stop))
        self._pools = {kind: self._pool(groups, tempering) for kind, groups in found.items()}

    def _pool(self, groups: list[tuple[int, int, int]], tempering: float) -> _Pool:
        tokens = self.material.tokens
        captions = [" ".join(tokens[number][start:stop]) for number, start, stop in groups]
        times = Counter(captions)
        chances = np.array([times[c] for c in captions], np.float64) ** (tempering - 1)
        shape = []
        for number, start, stop in groups:
            boxes = self.material.boxes[self.material.strokes_of(number, start, stop)]
            width, height = boxes[:, 2:].max(axis=0) - boxes[:, :2].min(axis=0)
            shape.append((stop - start, max(width, 0.1) / max(height, 0.1)))
        below = np.cumsum(chances / chances.sum())
        return _Pool(np.array(groups, np.int32), below, np.log(np.array(shape, np.float32)))

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
        _put(new, scale / there.scale, left, here, there, (top + bottom) / 2)
        before = look(hole.way, hole.count)
        step.row[step.index : step.index + hole.count] = new
        settle(hole.way, before, len(new))
        return True

    def _nearest(
        self, pool: _Pool, shape: NDArray[np.float64], rng: np.random.Generator
    ) -> tuple[int, int, int]:
        drawn = np.searchsorted(pool.below, rng.random(_CANDIDATES))
        drawn = np.minimum(drawn, len(pool.groups) - 1)
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


def _put(
    new: list[Part], factor: float, left: float, here: Measure | None, there: Measure, middle: float
) -> None:
    """Scale a group, its left to `left`, its baseline to that of the row, if that has one."""
    for part in new:
        part.grow(factor)
    box = extent(new)
    if here is not None:
        down = here.baseline - there.baseline * factor
    else:
        down = middle - (box[1] + box[3]) / 2
    move(new, left - box[0], down)


def _of_row(span: RowSpan, tokens: Sequence[str]) -> Iterator[tuple[str, int, int]]:
    """The groups of a row: itself, its operands, and what its brackets hold together."""
    bounds = span.bounds
    if span.relation is not None and span.parent >= 0 and span.heads:
        yield group_kind(tokens[span.parent], span.relation), bounds[0], bounds[-1]
    for first, last in operands(span.heads):
        yield OPERAND, bounds[first], bounds[last]
    waiting: list[int] = []
    for at, name in enumerate(span.heads):
        if name == "(":
            waiting.append(at)
        elif name == ")" and waiting:
            yield OPERAND, bounds[waiting.pop()], bounds[at + 1]
