"""Placement styles: distances and sizes for layout, made up or as measured on real hands.

Lengths are in symbol units of the row, angles in radians; `level` is how deep in scripts a row
stands. A style draws from the generator that it is given.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import erf, sqrt

import numpy as np

from hmer.latex.tree import Relation
from hmer.synthesis.hands.style_distribution import MEASURED
from hmer.synthesis.hands.writer import Writer
from hmer.synthesis.layout.box import Box, gap, pair

Scripts = Mapping[Relation, Box]

RISE, SINK = 0.55, 0.35
"""How much of its base's height above, or depth below, the baseline a script follows (slopes of
linear regressions on 4746 superscripts and 3506 subscripts)."""
MIDDLE = 0.42
"""Height of the middle of a line above its baseline, in units of its scale."""

_MIN_GAP = 0.05
_X_HEIGHT = -0.8
_TALL = frozenset(("", ")", "]", "|", r"\}", r"\frac", r"\sqrt", r"\int", r"\sum"))


@dataclass(frozen=True, slots=True)
class FractionManner:
    """One fraction: sizes relative to its row, distances in the row's symbol units."""

    scale: float
    overshoot: float
    tilt: float


@dataclass(frozen=True, slots=True)
class RadicalManner:
    """One radical: how far the sign stays from its content on each side, and its content's size."""

    roof: float
    foot: float
    pad: float
    end: float
    scale: float = 1.0


class PlainManner:
    """A careful hand: the writer's habits and a little chance."""

    def __init__(self, writer: Writer) -> None:
        self.writer = writer

    def drift(self, rng: np.random.Generator) -> float:
        """The writer's."""
        return self.writer.drift + float(rng.normal(0.0, 0.012))

    def blank(self, before: str | None, token: str, after: str, rng: np.random.Generator) -> float:
        """By the kinds of the signs, in the writer's tightness."""
        noise = rng.normal(0.0, self.writer.spacing_spread * 0.1)
        return max(_MIN_GAP, gap(before, token, after) * self.writer.spacing + float(noise))

    def wobble(self, rng: np.random.Generator) -> float:
        """The writer's."""
        return float(rng.normal(0.0, self.writer.baseline_spread))

    def limits_beside(self, token: str, rng: np.random.Generator) -> bool:
        r"""Integrals always, `\sum` by some writers, `\lim` never."""
        return token != r"\lim" and (token != r"\sum" or self.writer.limits_beside)

    def scripts(
        self, base: Box, token: str, rows: Scripts, level: int, rng: np.random.Generator
    ) -> Box:
        """Scripts at the right, in the given order; the base's foot tells where subscripts are.

        `token` is the symbol in the base: the foot of a lone letter counts from its baseline,
        whatever its descender; that of a tall sign from its ink.
        """
        placed: dict[Relation, Box] = {}
        right = base.right
        foot = base.bottom if token in _TALL else min(base.bottom, 0.12)
        for relation, box in rows.items():
            scale = self._scale(level, rng)
            box.stretch(scale, scale)
            shift = float(rng.normal(0.0, 0.04))
            start = right + float(rng.uniform(0.02, 0.1)) * self.writer.spacing
            if relation is Relation.SUP:
                # The script's baseline stands over the middle of the base, its foot never below it.
                middle = min(_X_HEIGHT * 0.68, base.top + 0.45)
                raised = middle - self.writer.script_raise + shift
                box.move(start - box.left, raised)
                if box.bottom > raised + 0.12:
                    box.move(0.0, raised + 0.12 - box.bottom)
            else:
                if token == r"\int":
                    start -= 0.3 * base.width
                dropped = max(0.14, foot - 0.12) + self.writer.script_raise * 0.5 + shift
                box.move(start - box.left, dropped + 0.3 * scale)
                roof = min(-0.34, foot - 0.36)
                if box.top < roof:
                    box.move(0.0, roof - box.top)
            placed[relation] = box
        return _joined(base, placed, 0.08)

    def limits(
        self, base: Box, token: str, rows: Scripts, level: int, rng: np.random.Generator
    ) -> Box:
        """ABOVE and BELOW rows over and under the base."""

        def place(above: bool) -> tuple[float, float]:
            return float(rng.uniform(0.08, 0.2)), float(rng.normal(0.0, 0.06))

        return _stacked(base, rows, lambda: self._scale(level, rng), place)

    def _scale(self, level: int, rng: np.random.Generator) -> float:
        """Scripts of scripts shrink less than scripts: hands stop at what they can still write."""
        size = self.writer.script_scale
        return (size if level == 0 else sqrt(size)) * float(np.exp(rng.normal(0.0, 0.05)))

    def fraction(self, rng: np.random.Generator) -> FractionManner:
        """The writer's."""
        overshoot = self.writer.bar_overshoot * float(rng.uniform(0.6, 1.4))
        return FractionManner(self.writer.fraction_scale, overshoot, float(rng.normal(0.0, 0.012)))

    def part(self, above: bool, slack: float, rng: np.random.Generator) -> tuple[float, float]:
        """Near the bar, about in the middle."""
        blank = float(rng.uniform(0.1, 0.26))
        return blank, slack * float(rng.normal(0.0, 0.15))

    def radical(self, rng: np.random.Generator) -> RadicalManner:
        """Close around its content."""
        roof, foot = float(rng.uniform(0.12, 0.24)), float(rng.uniform(-0.04, 0.08))
        return RadicalManner(
            roof, foot, float(rng.uniform(0.06, 0.16)), float(rng.uniform(0.02, 0.22))
        )

    def index_scale(self, rng: np.random.Generator) -> float:
        """A little smaller than a script."""
        return self.writer.script_scale * 0.85

    def cover(self, rng: np.random.Generator) -> tuple[float, float]:
        """A little, on both sides."""
        margin = float(rng.uniform(0.04, 0.14))
        return margin, margin


_LEAST_GAP = -0.1  # symbol units that neighbours may reach into each other
_APART = 0.05  # at least between a superscript and the subscript below it
_WOBBLE = 0.015  # glyphs stand off their baseline as they were written; this is on top
_BESIDE = {r"\int": 0.8, r"\sum": 0.03}
"""Share of operators with their scripts beside them; how much of it is the hand's, `_HAND`."""
_HAND = 0.4
_SCRIPT_SCALE = (0.3, 0.9)
_RAISED, _DROPPED = 0.4, -0.1  # least height, and depth, of a script of half the size
_LOWEST_SUP, _HIGHEST_SUB = -0.25, -0.4  # beyond which a tall script is moved off the line
_TRUE = 0.75
"""Share of a script's measured (log) spread of size that is the row's: the rest is the spread of
its one or two symbols, which glyphs bring with them."""
_LIMITED = (r"\sum", r"\lim", r"\int")


class FittedManner:
    """One hand's manner; draw one per expression."""

    def __init__(self, rng: np.random.Generator) -> None:
        """A hand: one standard normal variable per habit, one for all spacing."""
        own = rng.standard_normal(len(MEASURED) + 2).tolist()
        self._own = dict(zip(MEASURED, own, strict=False))
        self._spacing, self._beside = own[-2:]

    def _draw(self, name: str, rng: np.random.Generator) -> float:
        return MEASURED[name].value(self._own[name], rng.standard_normal())

    def drift(self, rng: np.random.Generator) -> float:
        """The slope of the baseline."""
        return self._draw("drift", rng)

    def blank(self, before: str | None, token: str, after: str, rng: np.random.Generator) -> float:
        """By the kinds of the signs; a hand is wide or narrow throughout."""
        left, right = pair(before, token, after)
        for name in (f"gap {left} {right}", f"gap ordinary {right}", f"gap {left} ordinary"):
            habit = MEASURED.get(name)
            if habit is not None:
                break
        else:
            habit = MEASURED["gap ordinary ordinary"]
        return max(_LEAST_GAP, habit.value(self._spacing, rng.standard_normal()))

    def wobble(self, rng: np.random.Generator) -> float:
        """Next to nothing: see `_WOBBLE`."""
        return _WOBBLE * float(rng.standard_normal())

    def limits_beside(self, token: str, rng: np.random.Generator) -> bool:
        """As often as measured, the same hand mostly the same way."""
        mixed = sqrt(_HAND) * self._beside + sqrt(1 - _HAND) * float(rng.standard_normal())
        return 0.5 * (1 + erf(mixed / sqrt(2))) < _BESIDE.get(token, 0.0)

    def scripts(
        self, base: Box, token: str, rows: Scripts, level: int, rng: np.random.Generator
    ) -> Box:
        """Scripts follow, in part, how high and how low their base reaches."""
        if token in _LIMITED:
            return self._beside_operator(base, rows, level, rng)
        placed: dict[Relation, Box] = {}
        top, bottom, right = base.top, base.bottom, base.right
        for relation, box in rows.items():
            scale = self._script_scale(f"{relation} scale", level, rng)
            box.stretch(scale, scale)
            start = right + max(_LEAST_GAP, self._draw(f"{relation} gap", rng))
            if relation is Relation.SUP:
                least = _RAISED + 0.6 * (scale - 0.5)  # a large script is told by its height alone
                middle = RISE * top - max(least, self._draw("sup raise", rng))
                box.move(start - box.left, middle + MIDDLE * scale)
                box.move(0.0, min(0.0, _LOWEST_SUP - box.bottom))
            else:
                least = _DROPPED + 0.6 * (scale - 0.5)
                middle = SINK * bottom + max(least, self._draw("sub drop", rng))
                box.move(start - box.left, middle + MIDDLE * scale)
                box.move(0.0, max(0.0, _HIGHEST_SUB - box.top))
            placed[relation] = box
        return _joined(base, placed, _APART)

    def _script_scale(self, name: str, level: int, rng: np.random.Generator) -> float:
        """Scripts of scripts shrink less: hands stop at what they can still write."""
        usual = MEASURED[name].median
        scale = usual * (self._draw(name, rng) / usual) ** _TRUE
        scale = min(max(scale, _SCRIPT_SCALE[0]), _SCRIPT_SCALE[1])
        return scale if level == 0 else sqrt(scale)

    def _beside_operator(
        self, base: Box, rows: Scripts, level: int, rng: np.random.Generator
    ) -> Box:
        top, bottom, right = base.top, base.bottom, base.right
        for relation, box in rows.items():
            scale = self._script_scale("limit scale", level, rng)
            box.stretch(scale, scale)
            side = "upper" if relation is Relation.SUP else "lower"
            start = right + self._draw(rf"\int {side} beside gap", rng)
            end = self._draw(rf"\int {side} beside end", rng)
            dy = top - end - box.top if relation is Relation.SUP else bottom + end - box.bottom
            box.move(start - box.left, dy)
            base.add(box)
        return base

    def limits(
        self, base: Box, token: str, rows: Scripts, level: int, rng: np.random.Generator
    ) -> Box:
        """Over and under, roughly in the middle."""
        name = token if token in _LIMITED else r"\sum"

        def place(above: bool) -> tuple[float, float]:
            side = "upper" if above and name != r"\lim" else "lower"
            blank = max(_LEAST_GAP, self._draw(f"{name} {side} gap", rng))
            return blank, self._draw(f"{name} limit shift", rng)

        return _stacked(base, rows, lambda: self._script_scale("limit scale", level, rng), place)

    def fraction(self, rng: np.random.Generator) -> FractionManner:
        """Size of its parts, overshoot and tilt of its bar."""
        scale = min(max(self._draw("fraction scale", rng), 0.45), 1.15)
        tilt = 0.5 * self._draw("drift", rng)  # bars climb as lines do
        return FractionManner(scale, max(-0.2, self._draw("bar overshoot", rng)), tilt)

    def part(self, above: bool, slack: float, rng: np.random.Generator) -> tuple[float, float]:
        """Shifts grow with the room there is."""
        blank = self._draw("numerator gap" if above else "denominator gap", rng)
        shift = self._draw("part shift", rng)
        reach = 0.15 + max(0.0, slack)
        return max(-0.05, blank), min(max(shift, -reach), reach)

    def radical(self, rng: np.random.Generator) -> RadicalManner:
        """Around its content, sometimes too short."""
        return RadicalManner(
            max(-0.1, self._draw("radical roof", rng)),
            self._draw("radical foot", rng),
            max(0.0, self._draw("radical pad", rng)),
            max(-0.4, self._draw("radical end", rng)),
            min(max(self._draw("radicand scale", rng), 0.5), 1.3),
        )

    def index_scale(self, rng: np.random.Generator) -> float:
        """As a script's."""
        return self._script_scale("sup scale", 0, rng)

    def cover(self, rng: np.random.Generator) -> tuple[float, float]:
        """Brackets often stay shorter than what they enclose."""
        return self._draw("bracket top", rng), self._draw("bracket bottom", rng)


Manner = PlainManner | FittedManner


def _stacked(
    base: Box,
    rows: Scripts,
    scale: Callable[[], float],
    place: Callable[[bool], tuple[float, float]],
) -> Box:
    """Rows over (ABOVE) and under the base; `place` draws their distance, and how far they are off
    the middle."""
    top, bottom, centre = base.top, base.bottom, (base.left + base.right) / 2
    for relation, box in rows.items():
        size, above = scale(), relation is Relation.ABOVE
        box.stretch(size, size)
        blank, shift = place(above)
        dy = top - blank - box.bottom if above else bottom + blank - box.top
        box.move(centre - (box.left + box.right) / 2 + shift, dy)
        base.add(box)
    return base


def _joined(base: Box, scripts: Mapping[Relation, Box], apart: float) -> Box:
    """`base` with its scripts; a superscript stays `apart` from the subscript below it."""
    upper, lower = scripts.get(Relation.SUP), scripts.get(Relation.SUB)
    if upper is not None and lower is not None and lower.top - upper.bottom < apart:
        distance = (apart - (lower.top - upper.bottom)) / 2
        for relation, box in scripts.items():
            box.move(0.0, -distance if relation is Relation.SUP else distance)
    for box in scripts.values():
        base.add(box)
    return base
