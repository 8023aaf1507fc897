"""Habits of placement (gaps, sizes, offsets), measured on ink with known symbols, and fitted.

What `hmer.synthesis.hands.style_distribution` holds was fitted so to CROHME's training ink.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from hmer.ink.strokes import Ink
from hmer.latex.tree import Node, Relation, Row
from hmer.synthesis.glyphs.cutting import AlignedRow, Extents, Placed, align
from hmer.synthesis.hands.placement_style import MIDDLE, RISE, SINK
from hmer.synthesis.hands.style_distribution import LEVELS, Habit
from hmer.synthesis.layout.box import bracket_pairs, pair
from hmer.synthesis.layout.radical import split_radical

ENOUGH = 60
"""Measurements below which a habit is not estimated."""

_OWN = 2  # measurements of one hand before its variation counts
_TALL = 1.9
_STACKED = (r"\sum", r"\lim", r"\int")


@dataclass(frozen=True, slots=True)
class Rectangle:
    """A rectangle around ink, ink coordinates."""

    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True, slots=True)
class Measurement:
    """One thing that a hand did once.

    Attributes:
        name: which habit it belongs to, see `Habits`.
        value: in symbol units, or a ratio.
    """

    name: str
    value: float


def measure_ink(ink: Ink, tokens: Sequence[str], extents: Extents) -> Iterator[Measurement]:
    """All that can be measured in one expression; nothing where its symbols have no places."""
    rows = align(ink, tokens, extents)
    if rows:
        yield from _Expression(rows).measurements()


class _Expression:
    """The rows of one expression and the ink of all its symbols."""

    def __init__(self, rows: Sequence[AlignedRow]) -> None:
        self.rows = rows
        self.of_row = {id(row.spots): row for row in rows}
        self.ink = {placed.spot.place: placed for row in rows for placed in row.symbols.values()}

    def box(self, row: Row) -> Rectangle | None:
        """Around a row and everything that hangs on it."""
        boxes = [box for spot in row if (box := self.spot_box(spot)) is not None]
        return _union(boxes)

    def spot_box(self, spot: Node) -> Rectangle | None:
        """Around a symbol and everything that hangs on it."""
        boxes = [box for _, child in spot.children if (box := self.box(child)) is not None]
        own = self.core(spot)
        return _union(boxes if own is None else [own, *boxes])

    def core(self, spot: Node) -> Rectangle | None:
        """Around the symbol's own ink."""
        placed = self.ink.get(spot.place)
        return None if placed is None else _rectangle(placed)

    def measurements(self) -> Iterator[Measurement]:
        """All of them."""
        top = self.rows[0]
        if top.sized >= 4:
            yield Measurement("drift", top.slope)
        for row in self.rows:
            if row.scale is None:
                continue
            yield from self._gaps(row, row.scale)
            yield from self._brackets(row, row.scale)
            for spot in row.spots:
                if spot.token == r"\frac":
                    yield from self._bar(spot, row.scale)
                for relation, child in spot.children:
                    yield from self._child(row, row.scale, spot, relation, child)

    def _gaps(self, row: AlignedRow, scale: float) -> Iterator[Measurement]:
        before: str | None = None
        for left, right in pairwise(row.spots):
            one, other = self.spot_box(left), self.spot_box(right)
            if one is not None and other is not None:
                name = "gap " + " ".join(pair(before, left.token, right.token))
                yield Measurement(name, (other.left - one.right) / scale)
            before = left.token

    def _bar(self, spot: Node, scale: float) -> Iterator[Measurement]:
        """How far a fraction's bar reaches beyond the wider of its parts, on each side."""
        bar = self.core(spot)
        widths = [
            box.right - box.left
            for _, child in spot.children
            if (box := self.box(child)) is not None
        ]
        if bar is not None and len(widths) == 2:
            yield Measurement("bar overshoot", (bar.right - bar.left - max(widths)) / 2 / scale)

    def _brackets(self, row: AlignedRow, scale: float) -> Iterator[Measurement]:
        """How far brackets reach beyond content that is taller than one line."""
        for first, last in bracket_pairs([spot.token for spot in row.spots]):
            content = self.box(row.spots[first + 1 : last])
            if content is None or content.bottom - content.top < _TALL * scale:
                continue
            for spot in (row.spots[first], row.spots[last]):
                bracket = self.core(spot)
                if bracket is not None:
                    yield Measurement("bracket top", (content.top - bracket.top) / scale)
                    yield Measurement("bracket bottom", (bracket.bottom - content.bottom) / scale)

    def _child(
        self, row: AlignedRow, scale: float, spot: Node, relation: Relation, child: Row
    ) -> Iterator[Measurement]:
        core, box = self.core(spot), self.box(child)
        inner = self.of_row[id(child)]
        if core is None or box is None:
            return
        if spot.token == r"\frac":
            yield from _fraction(core, box, relation, scale)
        elif spot.token == r"\sqrt" and relation is Relation.INSIDE:
            yield from _radical(self.ink[spot.place], box, scale)
        elif spot.token in _STACKED:
            yield from _limit(core, box, spot.token, relation, scale)
        elif relation in (Relation.SUP, Relation.SUB) and inner.scale is not None:
            yield from _script(row, inner, core, box, relation)
        if inner.scale is not None:
            yield Measurement(_scale_name(spot.token, relation), inner.scale / scale)


def _scale_name(token: str, relation: Relation) -> str:
    if token == r"\frac":
        return "fraction scale"
    if token == r"\sqrt":
        return "index scale" if relation is Relation.INDEX else "radicand scale"
    if token in _STACKED:
        return "limit scale"
    return f"{relation} scale"


def _fraction(
    bar: Rectangle, box: Rectangle, relation: Relation, scale: float
) -> Iterator[Measurement]:
    above = relation is Relation.ABOVE
    blank = bar.top - box.bottom if above else box.top - bar.bottom
    yield Measurement("numerator gap" if above else "denominator gap", blank / scale)
    shift = (box.left + box.right) / 2 - (bar.left + bar.right) / 2
    yield Measurement("part shift", shift / scale)


def _radical(sign: Placed, box: Rectangle, scale: float) -> Iterator[Measurement]:
    split = split_radical(tuple(stroke.astype(float) / scale for stroke in sign.strokes))
    if split is None:
        return
    apex, roof, foot = split
    yield Measurement("radical roof", box.top / scale - roof)
    yield Measurement("radical foot", foot - box.bottom / scale)
    yield Measurement("radical pad", box.left / scale - apex)
    yield Measurement("radical end", (sign.right - box.right) / scale)


def _limit(
    sign: Rectangle, box: Rectangle, token: str, relation: Relation, scale: float
) -> Iterator[Measurement]:
    above = relation in (Relation.SUP, Relation.ABOVE)
    beside = (box.left + box.right) / 2 > sign.right
    scripts = "scripts" if relation in (Relation.SUP, Relation.SUB) else "limits"
    yield Measurement(f"{token} {scripts} beside", float(beside))
    side = "upper" if above else "lower"
    if beside:
        end = sign.top - box.top if above else box.bottom - sign.bottom
        yield Measurement(f"{token} {side} beside gap", (box.left - sign.right) / scale)
        yield Measurement(f"{token} {side} beside end", end / scale)
    else:
        blank = sign.top - box.bottom if above else box.top - sign.bottom
        shift = (box.left + box.right) / 2 - (sign.left + sign.right) / 2
        yield Measurement(f"{token} {side} gap", blank / scale)
        yield Measurement(f"{token} limit shift", shift / scale)


def _script(
    row: AlignedRow, inner: AlignedRow, base: Rectangle, box: Rectangle, relation: Relation
) -> Iterator[Measurement]:
    scale, size = row.scale or 1.0, inner.scale or 1.0
    x = (box.left + box.right) / 2
    middle = inner.level((box.left + box.right) / 2) - MIDDLE * size
    level = row.level(x)
    yield Measurement(f"{relation} gap", (box.left - base.right) / scale)
    if relation is Relation.SUP:
        yield Measurement("sup raise", (level - middle - RISE * (level - base.top)) / scale)
    else:
        yield Measurement("sub drop", (middle - level - SINK * (base.bottom - level)) / scale)


def _rectangle(placed: Placed) -> Rectangle:
    return Rectangle(placed.left, placed.top, placed.right, placed.bottom)


def _union(boxes: Sequence[Rectangle]) -> Rectangle | None:
    if not boxes:
        return None
    return Rectangle(
        min(box.left for box in boxes),
        min(box.top for box in boxes),
        max(box.right for box in boxes),
        max(box.bottom for box in boxes),
    )


Values = dict[str, list[float]]


@dataclass(frozen=True, slots=True)
class HabitDistance:
    """One habit in real and composed ink.

    Attributes:
        name: of the habit.
        real: median of the real values.
        composed: median of the composed ones.
        ks: Kolmogorov and Smirnov's distance of the two distributions, 0 to 1.
        count: real and composed values.
    """

    name: str
    real: float
    composed: float
    ks: float
    count: tuple[int, int]


def gather(expressions: Iterable[tuple[Ink, Sequence[str]]], extents: Extents) -> Values:
    """All measurements of these expressions by habit."""
    found: Values = {}
    for ink, tokens in expressions:
        for measurement in measure_ink(ink, tokens, extents):
            found.setdefault(measurement.name, []).append(measurement.value)
    return found


def compare(
    real: Mapping[str, Sequence[float]], composed: Mapping[str, Sequence[float]]
) -> list[HabitDistance]:
    """Every habit with enough values on both sides, the most different first."""
    distances = [
        HabitDistance(
            name,
            float(np.median(real[name])),
            float(np.median(composed[name])),
            smirnov(real[name], composed[name]),
            (len(real[name]), len(composed[name])),
        )
        for name in sorted(real.keys() & composed.keys())
        if min(len(real[name]), len(composed[name])) >= ENOUGH
    ]
    return sorted(distances, key=lambda found: -found.ks)


def smirnov(one: Sequence[float], other: Sequence[float]) -> float:
    """The largest difference between two empirical distribution functions."""
    first, second = np.sort(np.array(one)), np.sort(np.array(other))
    every = np.concatenate([first, second])
    low = np.searchsorted(first, every, side="right") / len(first)
    high = np.searchsorted(second, every, side="right") / len(second)
    return float(np.abs(low - high).max())


def fit_habit(values: Iterable[tuple[str, float]]) -> Habit | None:
    """The habit behind measurements, each with the name of its hand; None if they are too few.

    The share between hands is one minus the ratio of the mean variance within hands to the whole
    variance, extremes cut off.
    """
    pairs = list(values)
    if len(pairs) < ENOUGH:
        return None
    numbers = np.array([value for _, value in pairs])
    quantiles: NDArray[np.float64] = np.quantile(numbers, np.array(LEVELS))
    cut = np.clip(numbers, quantiles[0], quantiles[-1])
    by_hand: dict[str, list[float]] = {}
    for (hand, _), value in zip(pairs, cut.tolist(), strict=True):
        by_hand.setdefault(hand, []).append(value)
    within = [float(np.var(own, ddof=1)) for own in by_hand.values() if len(own) >= _OWN]
    total = float(cut.var())
    between = 1.0 - float(np.mean(within)) / total if within and total > 0 else 0.0
    return Habit(
        round(float(np.clip(between, 0.0, 0.9)), 2),
        tuple(round(float(quantile), 3) for quantile in quantiles),
    )


def fit_habits(measured: Mapping[str, Sequence[tuple[str, float]]]) -> dict[str, Habit]:
    """Habits by name, from (hand, value) pairs by name; rare ones are left out."""
    fitted = {name: fit_habit(values) for name, values in sorted(measured.items())}
    return {name: habit for name, habit in fitted.items() if habit is not None}
