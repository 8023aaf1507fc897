r"""Two-dimensional layout of an expression in a writer's hand.

Rows stand on a baseline; scripts, fractions, radicals, limits and brackets place and stretch
their content as hands do, with the writer's habits and a little chance. The structure tokens
(`^`, `_`, braces, `\limits`) leave no ink.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hmer.errors import LatexError
from hmer.ink.strokes import Ink
from hmer.latex.tree import Relation, Row
from hmer.synthesis.box import Box, to_ink
from hmer.synthesis.scripts import attach_limits, attach_scripts
from hmer.synthesis.spacing import gap
from hmer.synthesis.spots import Spot, Spots, spots
from hmer.synthesis.writer import Writer

AXIS = -0.42
"""Height of fraction bars and operators above the baseline (y downwards)."""

_CLOSING = {")": "(", "]": "[", r"\}": r"\{", "|": "|"}
_MIN_GAP = 0.05


def write(row: Row, writer: Writer, rng: np.random.Generator) -> Ink:
    """The expression as one hand writes it once.

    Returns:
        Ink in symbol units with left-top at (0, 0); `symbols` names the strokes of every symbol,
        in the order of the caption except that a fraction's bar follows its numerator.

    Raises:
        LatexError: a symbol for which there is no glyph, or nothing to write.
    """
    box = _Layout(writer, rng).row(spots(row))
    if box is None:
        raise LatexError("an expression without symbols cannot be written; add a symbol")
    return to_ink(box.marks, writer.drift + float(rng.normal(0.0, 0.012)))


class _Layout:
    """Recursive layout; every method returns a fresh box, or None for an empty row."""

    def __init__(self, writer: Writer, rng: np.random.Generator) -> None:
        self.writer = writer
        self.rng = rng
        self.level = 0  # of scripts, the row being laid out
        self.parts: dict[str, Callable[[Spot], Box | None]] = {
            "": lambda node: self.row(node.child(Relation.INSIDE) or ()),
            r"\frac": self.fraction,
            r"\sqrt": self.radical,
        }

    def row(self, row: Spots) -> Box | None:
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
                blank = self._blank(gap(before, last or "", node.token))
                full.move(whole.right + blank - full.left, self._wobble())
                whole.add(full)
            before, last = last, node.token
        return whole

    def _blank(self, average: float) -> float:
        writer = self.writer
        noise = self.rng.normal(0.0, writer.spacing_spread * 0.1)
        return max(_MIN_GAP, average * writer.spacing + noise)

    def _wobble(self) -> float:
        return float(self.rng.normal(0.0, self.writer.baseline_spread))

    def core(self, node: Spot) -> Box | None:
        """The symbol with the parts its command takes, without scripts."""
        build = self.parts.get(node.token)
        if build is not None:
            return build(node)
        try:
            return Box.of(node.token, self.writer.sign(node.token, self.rng), node.place)
        except KeyError:
            raise LatexError(
                f"there is no glyph for {node.token!r}; leave it out, or draw it in "
                "hmer/synthesis/drawn.py"
            ) from None

    def _with_scripts(self, node: Spot, box: Box | None) -> Box | None:
        self.level += 1
        rows: dict[Relation, Box | None] = {
            relation: self.row(child)
            for relation, child in node.children
            if relation in (Relation.SUP, Relation.SUB)
        }
        over_under: dict[Relation, Box | None] = {
            relation: self.row(child)
            for relation, child in node.children
            if relation in (Relation.ABOVE, Relation.BELOW) and node.token != r"\frac"
        }
        self.level -= 1
        stacked = node.token == r"\lim" or (node.token == r"\sum" and not self.writer.limits_beside)
        if stacked and box is not None:
            over_under |= {
                Relation.ABOVE if relation is Relation.SUP else Relation.BELOW: script
                for relation, script in rows.items()
            }
            rows = {}
        if over_under and box is not None:
            box = attach_limits(box, over_under, self._script_scale(), self.rng)
        if rows:
            base = box if box is not None else _phantom()
            scale = self._script_scale()
            box = attach_scripts(base, node.token, rows, scale, self.writer, self.rng)
        return box

    def _script_scale(self) -> float:
        """Scripts of scripts shrink less than scripts: hands stop at what they can still write."""
        size = self.writer.script_scale
        return size if self.level == 0 else float(np.sqrt(size))

    def fraction(self, node: Spot) -> Box | None:
        """Numerator, bar, denominator; the bar lies on the axis and overshoots both."""
        writer, rng = self.writer, self.rng
        scale = writer.fraction_scale
        upper = self.row(node.child(Relation.ABOVE) or ())
        lower = self.row(node.child(Relation.BELOW) or ())
        widths = [box.width * scale for box in (upper, lower) if box is not None]
        width = max([0.5, *widths]) + 2 * writer.bar_overshoot * float(rng.uniform(0.6, 1.4))
        tilt = float(rng.normal(0.0, 0.012)) * width
        bar = Box.of(r"\frac", writer.bar(width, AXIS, tilt, rng), node.place)
        whole: Box | None = None
        for box, above in ((upper, True), (lower, False)):
            if box is not None:
                box.stretch(scale, scale)
                blank = float(rng.uniform(0.1, 0.26))
                dy = bar.top - blank - box.bottom if above else bar.bottom + blank - box.top
                slack = (width - box.width) / 2
                dx = slack * (1 + float(rng.normal(0.0, 0.15))) - box.left
                box.move(dx, dy)
                whole = box if whole is None else whole.add(box)
            if above:
                whole = bar if whole is None else whole.add(bar)
        return whole

    def radical(self, node: Spot) -> Box | None:
        """The radical sign around its radicand, and the root index over the hook."""
        writer, rng = self.writer, self.rng
        inside = self.row(node.child(Relation.INSIDE) or ())
        if inside is None:
            inside = _phantom()
        top = min(inside.top, -0.7) - float(rng.uniform(0.12, 0.24))
        bottom = max(inside.bottom, -0.05) + float(rng.uniform(-0.04, 0.08))
        pad, over = float(rng.uniform(0.06, 0.16)), float(rng.uniform(0.02, 0.22))
        sign = writer.radical(pad + inside.width + over, top, bottom, rng)
        inside.move(sign.begin + pad - inside.left, 0.0)
        whole = Box.of(r"\sqrt", sign.glyph, node.place)
        index = self.row(node.child(Relation.INDEX) or ())
        if index is not None:
            scale = writer.script_scale * 0.85
            index.stretch(scale, scale)
            index.move(sign.foot + 0.02 - index.right, sign.shoulder - 0.08 - index.bottom)
            whole.add(index)
        return whole.add(inside)

    def _grow_brackets(self, row: Spots, boxes: list[Box | None]) -> None:
        """Stretch each matched pair of brackets over what stands between them, inner pairs first.

        Content counts with its scripts' reach only through the core boxes: hands do not enlarge
        brackets for a lone exponent either.
        """
        open_at: list[int] = []
        for place, node in enumerate(row):
            token = node.token
            opening = _CLOSING.get(token)
            if opening is not None and open_at and row[open_at[-1]].token == opening:
                start = open_at.pop()
                between = [box for box in boxes[start + 1 : place] if box is not None]
                for bracket in (boxes[start], boxes[place]):
                    if between and bracket is not None:
                        self._cover(bracket, between)
            elif token in _CLOSING.values():
                open_at.append(place)

    def _cover(self, bracket: Box, content: list[Box]) -> None:
        margin = float(self.rng.uniform(0.04, 0.14))
        top = min(box.top for box in content) - margin
        bottom = max(box.bottom for box in content) + margin
        usual = bracket.height
        if bottom - top > usual:
            bracket.stretch(min(1.6, ((bottom - top) / usual) ** 0.4), 1.0)
            bracket.fit_height(top, bottom)
        elif bracket.top > top or bracket.bottom < bottom:
            bracket.move(0.0, (top + bottom) / 2 - (bracket.top + bracket.bottom) / 2)


def _phantom() -> Box:
    """A place without ink, for scripts that have no base and radicals without content."""
    return Box([], 0.0, -0.8, 0.3, 0.0)
