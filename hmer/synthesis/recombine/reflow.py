"""Making room: what stands around a part of an expression follows when that part changes its size.

From the change outwards, row by row: neighbours to the right move, bars and overlines are
stretched, numerators and limits are centred again and kept clear, brackets grow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hmer.ink.strokes import Points
from hmer.latex.tree import ROOT, Relation
from hmer.synthesis.editable_ink import NOWHERE, Box, Part, extent, move
from hmer.synthesis.layout.radical import split_radical
from hmer.synthesis.substitutions import BRACKETS

_CLEAR = 0.12  # symbol units that stay free between a bar and what stands over or under it
_OVERHANG = 0.15  # symbol units by which a bar is longer than its content, at least, on each side
_GROWN = 0.15  # change of height, in symbol units, from which on brackets follow
_OVER = frozenset((Relation.SUP, Relation.ABOVE))
_UNDER = frozenset((Relation.SUB, Relation.BELOW))


@dataclass(frozen=True, slots=True)
class Step:
    """One level on the way from the outermost row to a part: `index` is the part that leads on.

    `relation` is that of the next row of the way, which hangs on that part; None at the end.
    """

    row: list[Part]
    index: int
    relation: Relation | None


@dataclass(frozen=True, slots=True)
class Before:
    """How things were before a change: of every step the row's box and the part's."""

    rows: tuple[Box, ...]
    parts: tuple[Box, ...]
    spans: tuple[Box, ...]


def look(way: Sequence[Step], count: int = 1) -> Before:
    """Remember a way to `count` parts that are about to change."""
    last = way[-1]
    parts = [step.row[step.index].extent() for step in way[:-1]]
    parts.append(extent(last.row[last.index : last.index + count]))
    spans = [_bracketed(step, 1) for step in way[:-1]] + [_bracketed(last, count)]
    return Before(tuple(extent(step.row) for step in way), tuple(parts), tuple(spans))


def settle(way: Sequence[Step], before: Before, count: int = 1) -> None:
    """Make room for `count` parts at the end of a way, which changed but begin where they did."""
    for level in range(len(way) - 1, -1, -1):
        step = way[level]
        number = count if level == len(way) - 1 else 1
        changed = step.row[step.index : step.index + number]
        if level < len(way) - 1 and step.relation is not None:
            _adapt(step, way[level + 1].row, before.rows[level + 1])
        was, now = before.parts[level], extent(changed)
        pushed = was[0] - now[0]
        move(changed, pushed, 0.0)
        move(step.row[step.index + number :], now[2] + pushed - was[2], 0.0)
        _stretch_brackets(step, number, before.spans[level])


def _adapt(step: Step, row: list[Part], was: Box) -> None:
    """Fit the symbol at `step` and its other rows to one of its rows, which changed."""
    part, relation = step.row[step.index], step.relation
    now = extent(row)
    if part.token == ROOT and relation is Relation.INSIDE:
        _stretch_root(part, was, now)
    elif relation is Relation.INDEX:
        move(row, was[2] - now[2], min(0.0, was[3] - now[3]))
    elif relation in (Relation.ABOVE, Relation.BELOW) and part.token == r"\frac":
        _stretch_bar(part, row, was)
    elif relation in _OVER | _UNDER:
        _keep_clear(part, row, was, relation)


def _keep_clear(part: Part, row: list[Part], was: Box, relation: Relation) -> None:
    """Scripts and limits stay off their base; limits stay centred."""
    now, base = extent(row), part.box()
    across = 0.0
    overlap = min(was[2], base[2]) - max(was[0], base[0])
    if overlap > 0.5 * min(was[2] - was[0], base[2] - base[0]):  # over or under, not beside
        across = (was[0] + was[2] - now[0] - now[2]) / 2
    if relation in _OVER:
        move(row, across, min(0.0, was[3] - now[3]))
    else:
        move(row, across, max(0.0, was[1] - now[1]))


def _stretch_bar(part: Part, row: list[Part], was: Box) -> None:
    """A fraction whose numerator or denominator changed."""
    bar = part.box()
    others = [other for _, other in part.rows[:2] if other is not row]
    other = extent(others[0]) if others else was
    now = extent(row)
    widest = max(was[2] - was[0], other[2] - other[0])
    wanted = max(now[2] - now[0], other[2] - other[0])
    spare = max(bar[2] - bar[0] - widest, 2 * _OVERHANG)
    width = max(wanted + spare, 2 * _OVERHANG)
    part.fit((bar[0], bar[1], bar[0] + width, bar[3]))
    middle = bar[0] + width / 2
    move(row, middle - (now[0] + now[2]) / 2, 0.0)
    if others:
        move(others[0], middle - (bar[0] + bar[2]) / 2, 0.0)
    if was[3] <= (bar[1] + bar[3]) / 2 or was[1] < bar[1]:  # over the bar
        room = min(_CLEAR, max(bar[1] - was[3], 0.0))
        move(row, 0.0, min(0.0, bar[1] - room - now[3]))
    else:
        room = min(_CLEAR, max(was[1] - bar[3], 0.0))
        move(row, 0.0, max(0.0, bar[3] + room - now[1]))


def _stretch_root(part: Part, was: Box, now: Box) -> None:
    """A radical sign follows its radicand: the overline along x, all of it in height."""
    strokes = part.drawn()
    left, top, right, bottom = part.box()
    split = split_radical(strokes)
    begin = split[0] if split is not None else min(max(was[0], left), right - 1e-3)
    run = max(right - begin, 1e-3)
    along = max(run + now[2] - was[2], 0.3) / run
    roof, foot = top + min(0.0, now[1] - was[1]), bottom + max(now[3] - was[3], -0.3)
    if now[1] > was[1]:
        roof = min(top + (now[1] - was[1]), foot - 0.5)
    tall = (foot - roof) / max(bottom - top, 1e-3)

    def stretched(points: Points) -> Points:
        x, y = points[:, 0], points[:, 1]
        x = np.where(x > begin, begin + (x - begin) * along, x)
        return np.asarray(np.stack([x, roof + (y - top) * tall], axis=1), np.float32)

    part.draw(tuple(map(stretched, strokes)))


def _enclosing(step: Step, count: int) -> list[tuple[int, int]]:
    """The pairs of brackets of the row around the parts at a step, innermost first."""
    found, open_, depth = [], [], 0
    names = [part.token for part in step.row]
    for at in range(step.index - 1, -1, -1):
        if names[at] in BRACKETS.values():
            depth += 1
        elif names[at] in BRACKETS:
            if depth:
                depth -= 1
            else:
                open_.append(at)
    depth = 0
    for at in range(step.index + count, len(names)):
        if names[at] in BRACKETS:
            depth += 1
        elif names[at] in BRACKETS.values():
            if depth:
                depth -= 1
            elif open_ and names[at] == BRACKETS[names[open_[0]]]:
                found.append((open_.pop(0), at))
            else:
                break
    return found


def _bracketed(step: Step, count: int) -> Box:
    """What stands between the innermost brackets around the parts at a step, nothing if none."""
    pairs = _enclosing(step, count)
    return extent(step.row[pairs[0][0] + 1 : pairs[0][1]]) if pairs else NOWHERE


def _stretch_brackets(step: Step, count: int, was: Box) -> None:
    """Brackets follow the height of what stands between them."""
    for first, last in _enclosing(step, count):
        now = extent(step.row[first + 1 : last])
        up, down = now[1] - was[1], now[3] - was[3]
        if not max(abs(up), abs(down)) > _GROWN:
            return
        for bracket in (step.row[first], step.row[last]):
            left, top, right, bottom = bracket.box()
            if bottom + down - top - up > 0.5:
                bracket.fit((left, top + up, right, bottom + down))
