"""Expressions with something taken away: which ones take part, at which levels, and how."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hmer.data.dataset import Expressions
from hmer.evaluation.annotated import spread_over
from hmer.evaluation.robustness.config import OcclusionConfig
from hmer.evaluation.robustness.missing import (
    Left,
    symbols_with_strokes,
    without_strokes,
    without_symbols,
)
from hmer.evaluation.robustness.occlusion import Hidden, hide_blocks
from hmer.ink.render import RenderConfig, render
from hmer.ink.strokes import Ink

OCCLUSION, STROKES, SYMBOLS = "occlusion", "strokes", "symbols"

Degrade = Callable[[int, float], Hidden]
"""The picture of expression `index` at `level`, and the share it has lost; level 0: nothing."""


@dataclass(frozen=True, slots=True)
class Series:
    """One way of taking something away from expressions.

    Attributes:
        name: of the series and of its section in the report.
        levels: above 0 and growing.
        members: indices of the expressions that take part, at every level.
        degrade: takes it away; the same index and level give the same picture.
        left_out: why expressions do not take part, and how many.
    """

    name: str
    levels: Sequence[float]
    members: Sequence[int]
    degrade: Degrade
    left_out: Mapping[str, int]


def all_series(
    expressions: Expressions, config: OcclusionConfig, style: RenderConfig, seed: int
) -> list[Series]:
    """The series that `config` asks for, drawn in `style`; a series may have no members."""
    found = []
    if config.levels:
        block = max(1, round(config.block * style.unit))

        def hide(index: int, level: float) -> Hidden:
            rng = np.random.default_rng([seed, index])
            return hide_blocks(expressions.image(index), level, block, rng)

        members = spread_over(len(expressions), config.limit)
        found.append(Series(OCCLUSION, config.levels, members, hide, {}))
    members = spread_over(len(expressions), min(config.missing_limit, config.limit))
    if config.strokes:
        inks, left_out = _fit(expressions, members, lambda ink: len(ink.strokes), 2, "strokes")
        take = _redrawn(inks, without_strokes, style, [seed, 1])
        found.append(Series(STROKES, config.strokes, list(inks), take, left_out))
    if config.symbols:
        # The same expressions at every level: those where something is left at the last one.
        needed = max(config.symbols) + 1
        inks, left_out = _fit(expressions, members, symbols_with_strokes, needed, "known symbols")
        take = _redrawn(
            inks, lambda ink, n, rng: without_symbols(ink, int(n), rng), style, [seed, 2]
        )
        found.append(Series(SYMBOLS, config.symbols, list(inks), take, left_out))
    return found


def _fit(
    expressions: Expressions,
    members: Sequence[int],
    count: Callable[[Ink], int],
    needed: int,
    what: str,
) -> tuple[dict[int, Ink], dict[str, int]]:
    """The ink of those that have enough, and why the others have not."""
    inks: dict[int, Ink] = {}
    reasons: Counter[str] = Counter()
    for index in members:
        ink = expressions.ink(index)
        if ink is None:
            reasons["images without strokes"] += 1
        elif count(ink) < needed:
            reasons[f"with fewer than {needed} {what}"] += 1
        else:
            inks[index] = ink
    return inks, dict(reasons)


def _redrawn(
    inks: Mapping[int, Ink],
    take: Callable[[Ink, float, np.random.Generator], Left],
    style: RenderConfig,
    seed: Sequence[int],
) -> Degrade:
    """Draw what is left of the ink, at the size it had."""

    def degrade(index: int, level: float) -> Hidden:
        left = take(inks[index], level, np.random.default_rng([*seed, index]))
        return Hidden(render(left.ink, style.unit, style.pen, style.margin).image, left.share)

    return degrade
