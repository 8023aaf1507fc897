"""Where hands put superscripts, subscripts and the limits of large operators."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from hmer.latex.tree import Relation
from hmer.synthesis.layout.box import Box

if TYPE_CHECKING:
    from hmer.synthesis.hands.writer import Writer

_X_HEIGHT = -0.8
_TALL = frozenset(("", ")", "]", "|", r"\}", r"\frac", r"\sqrt", r"\int", r"\sum"))


def attach_scripts(
    base: Box,
    token: str,
    scripts: Mapping[Relation, Box | None],
    size: float,
    writer: Writer,
    rng: np.random.Generator,
) -> Box:
    """`base` with its SUP and SUB rows at its right, at `size` times their own, in the given order.

    `token` is the symbol in the base: the foot of a lone letter counts from its baseline, whatever
    its descender; that of a tall sign from its ink.
    """
    placed: list[Box] = []
    upper_bottom = lower_top = None
    right = base.right
    foot = base.bottom if token in _TALL else min(base.bottom, 0.12)
    for relation, box in scripts.items():
        if box is None:
            continue
        scale = size * float(np.exp(rng.normal(0.0, 0.05)))
        box.stretch(scale, scale)
        shift = float(rng.normal(0.0, 0.04))
        start = right + float(rng.uniform(0.02, 0.1)) * writer.spacing
        if relation is Relation.SUP:
            # The script's baseline stands over the middle of the base, its foot never below it.
            level = min(_X_HEIGHT * 0.68, base.top + 0.45) - writer.script_raise + shift
            box.move(start - box.left, level)
            if box.bottom > level + 0.12:
                box.move(0.0, level + 0.12 - box.bottom)
            upper_bottom = box.bottom
        else:
            if token == r"\int":
                start -= 0.3 * base.width
            level = max(0.14, foot - 0.12) + writer.script_raise * 0.5 + shift
            box.move(start - box.left, level + 0.3 * scale)
            roof = min(-0.34, foot - 0.36)
            if box.top < roof:
                box.move(0.0, roof - box.top)
            lower_top = box.top
        placed.append(box)
    if upper_bottom is not None and lower_top is not None and lower_top - upper_bottom < 0.08:
        part_scripts(placed, list(scripts), (0.08 - (lower_top - upper_bottom)) / 2)
    for box in placed:
        base.add(box)
    return base


def part_scripts(placed: list[Box], relations: list[Relation], distance: float) -> None:
    """Move superscripts up and subscripts down by `distance`."""
    for relation, box in zip(relations, placed, strict=True):
        box.move(0.0, -distance if relation is Relation.SUP else distance)


def attach_limits(
    base: Box, limits: Mapping[Relation, Box | None], size: float, rng: np.random.Generator
) -> Box:
    """`base` with its ABOVE and BELOW rows, at `size` times their own, over and under it."""
    centre = (base.left + base.right) / 2
    for relation, box in limits.items():
        if box is None:
            continue
        scale = size * float(np.exp(rng.normal(0.0, 0.05)))
        box.stretch(scale, scale)
        blank = float(rng.uniform(0.08, 0.2))
        above = relation is Relation.ABOVE
        dy = base.top - blank - box.bottom if above else base.bottom + blank - box.top
        box.move(centre - (box.left + box.right) / 2 + float(rng.normal(0.0, 0.06)), dy)
        base.add(box)
    return base
