r"""Two-dimensional layout of an expression in a writer's hand.

Rows stand on a baseline; scripts, fractions, radicals, limits and brackets place and stretch
their content as hands do, with the writer's habits and a little chance. The structure tokens
(`^`, `_`, braces, `\limits`) leave no ink.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from hmer.errors import LatexError
from hmer.ink.strokes import Ink
from hmer.latex.tree import (
    ALPHABETS,
    MATRIX,
    Node,
    Relation,
    Row,
    cells,
    parse,
    serialise,
    split_children,
)
from hmer.synthesis.hands.placement_style import Manner, PlainManner
from hmer.synthesis.hands.writer import Writer
from hmer.synthesis.layout.box import Box, Mark, bracket_pairs, clearance, to_ink

Line = tuple[tuple[float, float], ...]


class Accent(NamedTuple):
    """A mark, in each of the ways that hands draw it: lines in the unit square, y downwards.

    `height`, in symbol units, and `width`, as a share of what it belongs to (but that of a long
    expression), lie anywhere between two numbers. `long`: as wide as what it belongs to; `under`:
    it stands under that.
    """

    styles: tuple[tuple[Line, ...], ...]
    height: tuple[float, float] = (0.16, 0.4)
    width: tuple[float, float] = (0.5, 1.1)
    long: bool = False
    under: bool = False


_BAR: Line = ((0.0, 0.0), (1.0, 0.0))
_HAT: Line = ((0.0, 1.0), (0.5, 0.0), (1.0, 1.0))
_CHECK: Line = ((0.0, 0.0), (0.5, 1.0), (1.0, 0.0))
_WAVE: Line = ((0.0, 0.9), (0.2, 0.1), (0.4, 0.1), (0.6, 0.9), (0.8, 0.9), (1.0, 0.1))
_BOWL: Line = ((0.0, 0.0), (0.15, 0.7), (0.5, 1.0), (0.85, 0.7), (1.0, 0.0))
_BRACE: Line = (
    *((0.0, 1.0), (0.04, 0.6), (0.2, 0.5), (0.44, 0.5), (0.5, 0.0)),
    *((0.56, 0.5), (0.8, 0.5), (0.96, 0.6), (1.0, 1.0)),
)
_UNDER: Line = tuple((x, 1.0 - y) for x, y in _BRACE)
_SHAFT: Line = ((0.0, 0.5), (1.0, 0.5))
_ARROWS: tuple[tuple[Line, ...], ...] = (
    (_SHAFT, ((0.8, 0.0), (1.0, 0.5), (0.8, 1.0))),
    (_SHAFT, ((0.6, 0.0), (1.0, 0.5), (0.65, 1.0))),
    (_SHAFT, ((0.65, 0.0), (1.0, 0.5))),  # half a head, as many hands write it
    (((0.0, 0.5), (1.0, 0.5), (0.7, 0.0)),),
    (((0.0, 0.5), (1.0, 0.5), (0.7, 0.0), (1.0, 0.5), (0.7, 1.0)),),
)


def _dot(x: float) -> Line:
    return ((x, 0.0), (x + 0.06, 0.3))


_FLAT = (0.016, 0.025)
ACCENTS: dict[str, Accent] = {
    r"\bar": Accent(((_BAR,),), _FLAT, (0.4, 0.8)),
    r"\overline": Accent(((_BAR,),), _FLAT, long=True),
    r"\underline": Accent(((_BAR,),), _FLAT, long=True, under=True),
    r"\hat": Accent(((_HAT,),)),
    r"\widehat": Accent(((_HAT,),), long=True),
    r"\check": Accent(((_CHECK,),)),
    r"\tilde": Accent(((_WAVE,),), (0.12, 0.3)),
    r"\widetilde": Accent(((_WAVE,),), (0.15, 0.35), long=True),
    r"\breve": Accent(((_BOWL,),), (0.15, 0.35)),
    r"\acute": Accent(((((0.2, 1.0), (0.7, 0.0)),),), width=(0.4, 0.8)),
    r"\grave": Accent(((((0.3, 0.0), (0.8, 1.0)),),), width=(0.4, 0.8)),
    r"\vec": Accent(_ARROWS, (0.16, 0.5), (0.6, 1.3)),
    r"\overrightarrow": Accent(_ARROWS, (0.2, 0.5), long=True),
    r"\overleftarrow": Accent(
        tuple(tuple(tuple((1.0 - x, y) for x, y in line) for line in way) for way in _ARROWS),
        (0.2, 0.5), long=True,
    ),
    r"\dot": Accent(((_dot(0.5),),), (0.12, 0.2), (0.4, 0.8)),
    r"\ddot": Accent(((_dot(0.2), _dot(0.8)),), (0.12, 0.2), (0.4, 0.8)),
    r"\overbrace": Accent(((_BRACE,),), (0.24, 0.4), long=True),
    r"\underbrace": Accent(((_UNDER,),), (0.24, 0.4), long=True, under=True),
}  # fmt: skip


AXIS = -0.42
"""Height of fraction bars and operators above the baseline (y downwards)."""

_STACKED = (r"\overset", r"\underset")
DRAWN = frozenset((r"\frac", r"\sqrt", r"\binom", *ACCENTS, *_STACKED))
"""Commands whose ink depends on their content, and needs no glyph."""

_STACKING = frozenset(
    r"""
    \sum \lim \int \prod \coprod \bigcap \bigcup \bigoplus \bigotimes \bigodot \bigvee \bigwedge
    \biguplus \bigsqcup \max \min \sup \inf
    """.split()
)
_TOUCHING = 0.1  # blank, in symbol units, from which on neighbours cannot touch
_CLEAR = 0.05  # symbol units between the ink of neighbours: they may touch, but do not cross
_LEAST_BRACKET = (1.05, 0.85)  # height of a bracket: symbol units, and share of what it encloses
_MIN_RUN, _MIN_RADICAL = 0.4, 0.6  # of a radical sign's overline, and of its height


def write(row: Row, writer: Writer, rng: np.random.Generator, manner: Manner | None = None) -> Ink:
    """The expression as one hand writes it once; the signs are placed by `manner`, or plainly.

    Returns:
        Ink in symbol units with left-top at (0, 0); `symbols` names the strokes of every symbol,
        in the order of the caption except that a fraction's bar follows its numerator.

    Raises:
        LatexError: a symbol for which there is no glyph, or nothing to write.
    """
    manner = manner or PlainManner(writer)
    box = _Layout(writer, manner, rng).row(parse(serialise(row)))
    if box is None:
        raise LatexError("an expression without symbols cannot be written; add a symbol")
    return to_ink(box.marks, manner.drift(rng))


class _Layout:
    """Recursive layout; every method returns a fresh box, or None for an empty row."""

    def __init__(self, writer: Writer, manner: Manner, rng: np.random.Generator) -> None:
        self.writer = writer
        self.manner = manner
        self.rng = rng
        self.level = 0  # of scripts, the row being laid out
        self.parts: dict[str, Callable[[Node], Box | None]] = {
            "": lambda node: self.row(node.child(Relation.INSIDE) or ()),
            r"\frac": self.fraction,
            r"\sqrt": self.radical,
            r"\binom": self.binomial,
            **dict.fromkeys(ACCENTS, self.accent),
            **dict.fromkeys(_STACKED, self.stacked),
            **dict.fromkeys(ALPHABETS, self.letter),
            MATRIX: self.matrix,
        }

    def row(self, row: Row) -> Box | None:
        boxes = [self.core(node) for node in row]
        self._grow_brackets(row, boxes)
        whole: Box | None = None
        before: str | None = None
        last: str | None = None
        for node, box in zip(row, boxes, strict=True):
            full = self._with_scripts(node, box)
            if full is None:
                continue
            if whole is None:
                whole = full.move(-full.left, 0.0)
            else:
                blank = self.manner.blank(before, last or "", node.token, self.rng)
                full.move(whole.right + blank - full.left, self.manner.wobble(self.rng))
                if blank < _TOUCHING:
                    full.move(max(0.0, _CLEAR - clearance(whole, full)), 0.0)
                whole.add(full)
            before, last = last, node.token
        return whole

    def core(self, node: Node) -> Box | None:
        """The symbol with the parts its command takes, without scripts."""
        build = self.parts.get(node.token)
        if build is not None:
            return build(node)
        try:
            return Box.of(node.token, self.writer.sign(node.token, self.rng), node.place)
        except KeyError:
            raise LatexError(
                f"there is no glyph for {node.token!r}; leave it out, or draw it in "
                "hmer/synthesis/glyphs/font.py"
            ) from None

    def _with_scripts(self, node: Node, box: Box | None) -> Box | None:
        self.level += 1
        rows: dict[Relation, Box | None] = {
            relation: self.row(row)
            for relation, row in node.children
            if relation in (Relation.SUP, Relation.SUB)
        }
        over_under: dict[Relation, Box | None] = {
            relation: self.row(row)
            for relation, row in split_children(node)[1]
            if relation in (Relation.ABOVE, Relation.BELOW)
        }
        self.level -= 1
        stacked = node.token in _STACKING and not self.manner.limits_beside(node.token, self.rng)
        if stacked and box is not None:
            over_under |= {
                Relation.ABOVE if relation is Relation.SUP else Relation.BELOW: script
                for relation, script in rows.items()
            }
            rows = {}
        if box is not None:
            box = self.manner.limits(box, node.token, _known(over_under), self.level, self.rng)
        if rows:
            base = box if box is not None else _phantom()
            box = self.manner.scripts(base, node.token, _known(rows), self.level, self.rng)
        return box if box is not None and box.marks else None  # empty scripts on an empty base

    def fraction(self, node: Node) -> Box | None:
        """Numerator, bar, denominator; the bar lies on the axis and overshoots both."""
        rng = self.rng
        upper = self.row(node.child(Relation.ABOVE) or ())
        lower = self.row(node.child(Relation.BELOW) or ())
        manner = self.manner.fraction(rng)
        scale = manner.scale
        widths = [box.width * scale for box in (upper, lower) if box is not None]
        width = max(0.5, max([0.5, *widths]) + 2 * manner.overshoot)
        bar = self.writer.bar(width, AXIS, manner.tilt * width, rng)
        line = Box.of(r"\frac", bar, node.place)
        whole: Box | None = None
        for box, above in ((upper, True), (lower, False)):
            if box is not None:
                box.stretch(scale, scale)
                slack = (width - box.width) / 2
                blank, shift = self.manner.part(above, slack, rng)
                dy = line.top - blank - box.bottom if above else line.bottom + blank - box.top
                box.move(slack + shift - box.left, dy)
                whole = box if whole is None else whole.add(box)
            if above:
                whole = line if whole is None else whole.add(line)
        return whole

    def radical(self, node: Node) -> Box | None:
        """The radical sign around its radicand, and the root index over the hook."""
        rng = self.rng
        inside = self.row(node.child(Relation.INSIDE) or ()) or _phantom()
        manner = self.manner.radical(rng)
        inside.stretch(manner.scale, manner.scale)
        top = min(inside.top, -0.7) - manner.roof
        bottom = max(inside.bottom, -0.05) + manner.foot
        run = max(_MIN_RUN, manner.pad + inside.width + manner.end)
        sign = self.writer.radical(run, top, max(bottom, top + _MIN_RADICAL), rng)
        inside.move(sign.begin + manner.pad - inside.left, 0.0)
        whole = Box.of(r"\sqrt", sign.glyph, node.place)
        index = self.row(node.child(Relation.INDEX) or ())
        if index is not None:
            scale = self.manner.index_scale(rng)
            index.stretch(scale, scale)
            index.move(sign.foot + 0.02 - index.right, sign.shoulder - 0.08 - index.bottom)
            whole.add(index)
        return whole.add(inside)

    def accent(self, node: Node) -> Box | None:
        """A mark over or under what it belongs to; long ones are as wide as that."""
        inside = self.row(node.child(Relation.INSIDE) or ()) or _phantom()
        rng = self.rng
        accent = ACCENTS[node.token]
        if accent.long:
            width = max(inside.width, 0.35) * float(rng.uniform(0.85, 1.15))
        else:
            width = min(max(inside.width, 0.4), 1.0) * float(rng.uniform(*accent.width))
        high = float(rng.uniform(*accent.height))
        style = accent.styles[int(rng.integers(len(accent.styles)))]
        lines = [[(x * width, y * high) for x, y in line] for line in style]
        mark = Box.of(node.token, tuple(self.writer.line(line, rng) for line in lines), node.place)
        blank = float(rng.uniform(0.06, 0.2))
        middle = (inside.left + inside.right) / 2 + float(rng.normal(0.0, 0.04))
        dy = inside.bottom + blank - mark.top if accent.under else inside.top - blank - mark.bottom
        return inside.add(mark.move(middle - (mark.left + mark.right) / 2, dy))

    def stacked(self, node: Node) -> Box | None:
        """What stands over or under a symbol, small."""
        inside = self.row(node.child(Relation.INSIDE) or ())
        both = (Relation.ABOVE, Relation.BELOW)
        over = _known({relation: self.row(node.child(relation) or ()) for relation in both})
        if inside is None:
            return None
        return self.manner.limits(inside, node.token, over, self.level + 1, self.rng)

    def binomial(self, node: Node) -> Box | None:
        """Two rows, one over the other, in parentheses that belong to the command."""
        upper, lower = (
            self.row(node.child(relation) or ()) or _phantom()
            for relation in (Relation.ABOVE, Relation.BELOW)
        )
        blank = float(self.rng.uniform(0.15, 0.4))
        for box, above in ((upper, True), (lower, False)):
            box.stretch(0.8, 0.8)
            dy = AXIS - blank / 2 - box.bottom if above else AXIS + blank / 2 - box.top
            box.move(-(box.left + box.right) / 2, dy)
        stack = upper.add(lower)
        opening, closing = (Box.of("", self.writer.sign(sign, self.rng)) for sign in "()")
        for bracket in (opening, closing):
            self._cover(bracket, [stack])
        opening.move(stack.left - 0.12 - opening.right, 0.0)
        closing.move(stack.right + 0.12 - closing.left, 0.0)
        (left,), (right,) = opening.marks, closing.marks
        points, lengths = np.concatenate([left.points, right.points]), left.lengths + right.lengths
        signs = opening.add(closing)
        signs.marks = [Mark(node.token, points, lengths, node.place)]
        return signs.add(stack)

    def matrix(self, node: Node) -> Box | None:
        """Lines of cells, each in the middle of its column (of one column: at its left)."""
        rng = self.rng
        lines = [
            [self.row(cell) for cell in line] for line in cells(node.child(Relation.INSIDE) or ())
        ]
        columns = max(map(len, lines))
        widths = [
            max((box.width for line in lines for box in line[at : at + 1] if box), default=0.4)
            for at in range(columns)
        ]
        gap, blank = float(rng.uniform(0.4, 2.0)), float(rng.uniform(0.2, 1.2))
        whole: Box | None = None
        level = 0.0
        for line in lines:
            written = [box for box in line if box is not None]
            top = min([-0.8, *(box.top for box in written)])
            x = 0.0
            for at, box in enumerate(line):
                if box is not None:
                    slack = (widths[at] - box.width) * (0.5 if columns > 1 else 0.0)
                    box.move(x + slack - box.left, level - top + float(rng.normal(0.0, 0.04)))
                x += widths[at] + gap
            level = max([level - top, *(box.bottom for box in written)]) + blank
            for box in written:
                whole = box if whole is None else whole.add(box)
        if whole is None:
            return None
        return whole.move(0.0, AXIS - (whole.top + whole.bottom) / 2)

    def letter(self, node: Node) -> Box | None:
        """A letter of another alphabet, a class of its own in the bank (`\\mathbb{R}`)."""
        inside = node.child(Relation.INSIDE) or ()
        if len(inside) != 1 or inside[0].children:
            raise LatexError(f"{node.token} is written around a single letter only")
        name = f"{node.token}{{{inside[0].token}}}"
        try:
            return Box.of(name, self.writer.sign(name, self.rng), node.place)
        except KeyError:
            raise LatexError(f"there is no glyph for {name!r}; add one to the bank") from None

    def _grow_brackets(self, row: Row, boxes: list[Box | None]) -> None:
        """Stretch each matched pair of brackets over what stands between them, inner pairs first.

        Content counts with its scripts' reach only through the core boxes: hands do not enlarge
        brackets for a lone exponent either.
        """
        for start, end in bracket_pairs([node.token for node in row]):
            between = [box for box in boxes[start + 1 : end] if box is not None]
            for bracket in (boxes[start], boxes[end]):
                if between and bracket is not None:
                    self._cover(bracket, between)
        for at, (node, after) in enumerate(pairwise(row)):  # the brace of cases has no partner
            alone, lines = boxes[at : at + 2]
            if (node.token, after.token) == (r"\{", MATRIX) and alone and lines:
                self._cover(alone, [lines])

    def _cover(self, bracket: Box, content: list[Box]) -> None:
        above, below = self.manner.cover(self.rng)
        top = min(box.top for box in content) - above
        bottom = max(box.bottom for box in content) + below
        reach = max(box.bottom for box in content) - min(box.top for box in content)
        least = max(_LEAST_BRACKET[0], _LEAST_BRACKET[1] * reach)
        if bracket.height < least:  # cut from around a small letter
            middle = (bracket.top + bracket.bottom) / 2
            bracket.fit_height(middle - least / 2, middle + least / 2)
        usual = bracket.height
        if bottom - top > usual:
            bracket.stretch(min(1.6, ((bottom - top) / usual) ** 0.4), 1.0)
            bracket.fit_height(top, bottom)
        elif bracket.top > top or bracket.bottom < bottom:
            bracket.move(0.0, (top + bottom) / 2 - (bracket.top + bracket.bottom) / 2)


def _known(rows: dict[Relation, Box | None]) -> dict[Relation, Box]:
    return {relation: box for relation, box in rows.items() if box is not None}


def _phantom() -> Box:
    """A place without ink, for scripts that have no base and radicals without content."""
    return Box([], 0.0, -0.8, 0.3, 0.0)
