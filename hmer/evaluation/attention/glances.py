"""Is the right symbol looked at when its token is written?

Judged per written symbol, with the truth told token by token, so that recognisers of any accuracy
are compared on the same questions. `{ } ^ _` have no ink and are not asked about.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hmer.evaluation.annotated import NOBODY, Annotated, WrittenSymbol
from hmer.evaluation.attention.pointing import cells_in_boxes, cover_of_boxes, peaks
from hmer.evaluation.attention.symbols import CLASSES, membership
from hmer.evaluation.bootstrap import Interval
from hmer.evaluation.images import FloatArray
from hmer.evaluation.ratio import RESAMPLES, ratio_interval

GROW = 0.5
"""Cells by which a box is grown on every side: a cell that the symbol fills in part counts."""

SEEN = ("the symbol", "the one before", "the one after", "another", "no symbol")
"""What is written in the cell of the maximum: before and after are meant in the caption."""


@dataclass(frozen=True, slots=True, eq=False)
class Glances:
    """One row per written symbol whose token is known."""

    expression: np.ndarray
    """int (n,): number of the expression."""
    classes: FloatArray
    """(n, classes): 0 or 1, columns as in `CLASSES`."""
    hit: FloatArray
    """(n,): 1 where the maximum lies in the symbol's grown box."""
    chance: FloatArray
    """(n,): the share of cells with ink that lie in it."""
    mass: FloatArray
    """(n,): attention in the grown box."""
    area: FloatArray
    """(n,): its share of the picture's cells."""
    seen: np.ndarray
    """int (n,): index into `SEEN`."""

    def __len__(self) -> int:
        return len(self.hit)


def glances(shown: Sequence[Annotated], maps: Sequence[FloatArray | None], stride: int) -> Glances:
    """All written symbols of the expressions whose maps (T, h, w) are known."""
    parts = [
        _glances(number, one, cross, stride)
        for number, (one, cross) in enumerate(zip(shown, maps, strict=True))
        if cross is not None
    ]
    parts = [part for part in parts if len(part)] or [_nothing()]
    columns = zip(*((p.expression, p.classes, p.hit, p.chance, p.mass, p.area, p.seen)
                    for p in parts), strict=True)  # fmt: skip
    return Glances(*(np.concatenate(column) for column in columns))


def _nothing() -> Glances:
    none, index = np.zeros(0), np.zeros(0, np.int64)
    return Glances(index, np.zeros((0, len(CLASSES))), none, none, none, none, index)


def _glances(number: int, shown: Annotated, cross: FloatArray, stride: int) -> Glances:
    """The symbols of one expression, maps (T, h, w) over its cells."""
    asked = _placed(shown)
    if not asked:
        return _nothing()
    symbols = [shown.symbols[index] for index, _ in asked]
    looked = cross[[place for _, place in asked]]
    grid = (looked.shape[1], looked.shape[2])
    boxes = [symbol.box for symbol in symbols]
    inside = cells_in_boxes(boxes, grid, stride, GROW)
    cover = cover_of_boxes(boxes, grid, stride, GROW)
    owners = shown.cells(stride)
    inked = owners != NOBODY
    row, column = peaks(looked).T
    each = np.arange(len(asked))
    total = looked.sum(axis=(1, 2)).clip(min=1e-12)
    return Glances(
        expression=np.full(len(asked), number),
        classes=membership(symbols),
        hit=inside[each, row, column].astype(np.float64),
        chance=inside[:, inked].mean(axis=1),
        mass=(looked * cover).sum(axis=(1, 2)) / total,
        area=cover.mean(axis=(1, 2)),
        seen=_seen(asked, owners[row, column]),
    )


def _placed(shown: Annotated) -> list[tuple[int, int]]:
    """Number and place of each symbol whose token is known, in the order of the caption."""
    found = [
        (index, symbol.place)
        for index, symbol in enumerate(shown.symbols)
        if symbol.place is not None and _writes(symbol, shown.tokens)
    ]
    return sorted(found, key=lambda pair: pair[1])


def _writes(symbol: WrittenSymbol, tokens: Sequence[str]) -> bool:
    """Whether the place agrees with the caption; else one of the two is of another expression."""
    place = symbol.place
    return place is not None and place < len(tokens) and tokens[place] == symbol.token


def _seen(asked: Sequence[tuple[int, int]], owners: np.ndarray) -> np.ndarray:
    """Index into `SEEN` for each symbol asked about, given whose cell the maximum is."""
    order = {index: rank for rank, (index, _) in enumerate(asked)}
    away = [
        None if owner == NOBODY else order.get(int(owner), len(asked) + 1) - rank
        for rank, owner in enumerate(owners)
    ]
    kind = {0: 0, -1: 1, 1: 2, None: 4}
    return np.array([kind.get(step, 3) for step in away], np.int64)


@dataclass(frozen=True, slots=True)
class Looked:
    """How a class of symbols is looked at: shares in [0, 1]; `hit` with its interval."""

    kind: str
    symbols: int
    hit: Interval
    chance: float
    strict: float
    """Share of maxima in a cell with more ink of the symbol than of any other."""
    mass: float
    area: float


def looked_by_class(found: Glances, seed: int, resamples: int = RESAMPLES) -> list[Looked]:
    """All symbols together (`kind` "all"), then the classes that occur, as in `CLASSES`."""
    rows = []
    for kind in ("all", *CLASSES):
        mask = np.ones(len(found)) if kind == "all" else found.classes[:, CLASSES.index(kind)]
        if not mask.any():
            continue
        size = int(found.expression.max()) + 1
        hits: FloatArray = np.bincount(found.expression, found.hit * mask, size).astype(float)
        asked: FloatArray = np.bincount(found.expression, mask, size).astype(float)
        present = asked > 0.0
        chosen = mask > 0.0
        rows.append(
            Looked(
                kind,
                int(mask.sum()),
                ratio_interval(hits[present], asked[present], seed, resamples),
                float(found.chance[chosen].mean()),
                float((found.seen[chosen] == 0).mean()),
                float(found.mass[chosen].mean()),
                float(found.area[chosen].mean()),
            )
        )
    return rows
