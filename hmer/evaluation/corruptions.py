"""Corruptions for the robustness curves: hidden ink, missing strokes, missing symbols.

Missing ink never reached the tablet: what is left keeps its place and size, and unlike with hidden
ink no shape is cut.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, field_validator

from hmer.data.dataset import Expressions
from hmer.decoding.bidirectional import DecodingConfig
from hmer.evaluation.annotated import spread_over
from hmer.evaluation.prediction import OCCLUSION
from hmer.evaluation.report import Image
from hmer.ink.images import ink_mask
from hmer.ink.render import RenderConfig, render
from hmer.ink.strokes import Ink

STROKES, SYMBOLS = "strokes", "symbols"


class OcclusionConfig(BaseModel):
    """Levels of hidden ink, of missing strokes and of missing symbols."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    limit: int = Field(60, ge=0, description="expressions per set, spread evenly; 0: none")
    levels: tuple[Annotated[float, Field(gt=0, le=1)], ...] = Field(
        (0.1, 0.2, 0.3, 0.4, 0.5), description="shares of the ink to hide, in whole percent"
    )
    block: float = Field(0.6, gt=0, le=8, description="side of a block in symbol units")
    missing_limit: int = Field(
        25, ge=0, description="expressions per set with strokes or symbols missing; at most `limit`"
    )
    strokes: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = Field(
        (0.1, 0.2, 0.3, 0.4, 0.5), description="shares of the strokes to leave out; none: skipped"
    )
    symbols: tuple[Annotated[int, Field(ge=1, le=20)], ...] = Field(
        (1, 2, 3), description="numbers of symbols to leave out; none: skipped"
    )
    decoding: DecodingConfig = DecodingConfig(beam=1, both_directions=False, max_length=100)

    @field_validator("levels", "strokes", "symbols")
    @classmethod
    def _grow(cls, levels: Sequence[float]) -> Sequence[float]:
        whole = [round(100 * level) for level in levels]
        if any(low >= high for low, high in pairwise(whole)):
            raise ValueError("must grow, by a percent at least")
        return levels


class Corrupted(NamedTuple):
    """A picture, and the share of its ink or strokes that it has lost, in [0, 1]."""

    image: Image
    share: float


Corrupt = Callable[[int, float], Corrupted]
"""The picture of expression `index` at `level`; level 0: nothing is lost."""


@dataclass(frozen=True, slots=True)
class Series:
    """One kind of corruption over some expressions.

    Attributes:
        levels: above 0 and growing.
        members: indices of the expressions that take part, at every level.
        corrupt: the same index and level give the same picture.
        left_out: why expressions do not take part, and how many.
    """

    name: str
    levels: Sequence[float]
    members: Sequence[int]
    corrupt: Corrupt
    left_out: Mapping[str, int]


def all_series(
    expressions: Expressions, config: OcclusionConfig, style: RenderConfig, seed: int
) -> list[Series]:
    """The series that `config` asks for, drawn in `style`; a series may have no members."""
    found = []
    if config.levels:
        block = max(1, round(config.block * style.unit))

        def hide(index: int, level: float) -> Corrupted:
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
        inks, left_out = _fit(
            expressions, members, lambda ink: sum(bool(symbol.strokes) for symbol in ink.symbols),
            needed, "known symbols",
        )  # fmt: skip
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
    take: Callable[[Ink, float, np.random.Generator], tuple[Ink, float]],
    style: RenderConfig,
    seed: Sequence[int],
) -> Corrupt:
    """Draw what is left of the ink, at the size it had."""

    def corrupt(index: int, level: float) -> Corrupted:
        left, share = take(inks[index], level, np.random.default_rng([*seed, index]))
        return Corrupted(render(left, style.unit, style.pen, style.margin).image, share)

    return corrupt


def hide_blocks(image: Image, share: float, block: int, rng: np.random.Generator) -> Corrupted:
    """Blank blocks of `block` pixels, centred on ink, until at least `share` of the ink is hidden.

    Blocks are centred on ink still visible, so at most the last one goes beyond the share. With
    the same generator state, the blocks of a small share are the first of those of a larger one.
    On purpose not `hmer.masking.hide_ink`: a recogniser is not tested with the very masks that it
    may have been trained with.

    Raises:
        ValueError: share outside [0, 1] or block below 1.
    """
    if not 0.0 <= share <= 1.0 or block < 1:
        raise ValueError(f"expected share in [0, 1] and block >= 1, not {share} and {block}")
    ink = ink_mask(image)
    places = rng.permutation(np.argwhere(ink))
    image = image.copy()
    total = left = len(places)
    for row, column in places:
        if total - left >= share * total:
            break
        if not ink[row, column]:
            continue
        top, start = max(0, row - block // 2), max(0, column - block // 2)
        window = np.s_[top : row - block // 2 + block, start : column - block // 2 + block]
        left -= int(ink[window].sum())
        ink[window] = False
        image[window] = 0
    return Corrupted(image, (total - left) / total if total else 0.0)


def without_strokes(ink: Ink, share: float, rng: np.random.Generator) -> tuple[Ink, float]:
    """The ink without a random `share` of its strokes, and the share that it lost; one stays.

    How many go is rounded at random such that on average the share is exact. With the same
    generator state, what a small share takes a larger one takes too.

    Raises:
        ValueError: share outside [0, 1], or ink without strokes.
    """
    total = len(ink.strokes)
    if not 0.0 <= share <= 1.0 or not total:
        raise ValueError(f"expected share in [0, 1] of some strokes, not {share} of {total}")
    order = rng.permutation(total)
    count = min(int(share * total + rng.random()), total - 1)
    return _without(ink, set(order[:count].tolist()))


def without_symbols(ink: Ink, count: int, rng: np.random.Generator) -> tuple[Ink, float]:
    """The ink without the strokes of `count` random symbols, and the share of strokes that it lost.

    Nested as in `without_strokes`.

    Raises:
        ValueError: count is negative, or not below the number of symbols that have strokes.
    """
    symbols = [symbol for symbol in ink.symbols if symbol.strokes]
    if not 0 <= count < len(symbols):
        raise ValueError(f"cannot take {count} of {len(symbols)} symbols")
    chosen = rng.permutation(len(symbols))[:count]
    return _without(ink, {stroke for index in chosen for stroke in symbols[index].strokes})


def _without(ink: Ink, gone: set[int]) -> tuple[Ink, float]:
    left = tuple(stroke for index, stroke in enumerate(ink.strokes) if index not in gone)
    return Ink(left), len(gone) / len(ink.strokes)
