"""Attention localisation: does attention fall on ink, on structure, on the symbol being written?

Two measurements against the annotated symbols of ink (`hmer.evaluation.annotated`):

- `localise`: the one map of Mask & Match. Lift (share of attention on ink over share of area), by
  class of symbol as well, and the pointing game for symbols that carry structure.
- `judge_cross_attention`: the decoder's attention while the truth is decoded by teacher forcing, so
  that recognisers of any accuracy answer the same questions. Pointing game: does the maximum lie
  in the box of the symbol whose token is being written? `{ } ^ _` have no ink and are left out.

Pointing game after Zhang et al., Top-down Neural Attention by Excitation Backprop (IJCV 2018).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from hmer.data.collate import stack
from hmer.data.dataset import Expressions
from hmer.evaluation.annotated import (
    NOBODY,
    Annotated,
    WrittenSymbol,
    annotate,
    cell_grid,
    spread_over,
)
from hmer.evaluation.attention_maps import (
    overlay,
    peaks,
    spatial_maps,
    teacher_forced_maps,
    upsample,
)
from hmer.evaluation.bootstrap import BoolArray, FloatArray, Interval, rate_interval, ratio_interval
from hmer.evaluation.report import Figure, Gallery, Mark, Picture, Section, Table
from hmer.ink.images import ink_mask
from hmer.models.common.ink_cells import ink_cells
from hmer.plots import BLUE, RIGHT, WRONG, interval_bars
from hmer.recognizer import Recognizer

GROW = 0.5
"""Cells by which a box is grown on every side: a cell that the symbol fills in part counts."""
PICTURED, MOST_SYMBOLS = 6, 14  # expressions, and symbols of one of them
_RESAMPLES = 2000

_KINDS = {
    "operator": r"+ - \times \div \pm \cdot / ! \prime '",
    "relation": r"= < > \lt \gt \leq \geq \neq \approx \in \rightarrow \forall \exists",
    "large operator": r"\sum \int \prod \lim",
    "fraction bar": r"\frac",
    "radical": r"\sqrt",
    "bracket": r"( ) [ ] \{ \} |",
    "dots": r". , \ldots \cdots",
}
_KIND_OF = {token: kind for kind, tokens in _KINDS.items() for token in tokens.split()}

SCRIPT = "script"
CLASSES = (
    *("operator", "relation", "large operator", "fraction bar", "radical"),
    *(SCRIPT, "digit", "letter", "bracket", "dots", "other"),
)
"""All classes. Each symbol has one kind; a symbol in a script belongs to `SCRIPT` as well."""

INFORMATIVE = frozenset(CLASSES[: CLASSES.index(SCRIPT) + 1])
"""What carries the structure of an expression."""


class LocalisationConfig(BaseModel):
    """How much is judged, of the attention map and of the decoder's cross-attention."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    limit: int = Field(60, ge=0, description="expressions per set, evenly spread; 0: none")


def symbol_classes(symbol: WrittenSymbol) -> tuple[str, ...]:
    """Its kind (what it does, or digit, letter, other), and `SCRIPT` if it stands in one."""
    token = symbol.token
    letter = "letter" if len(token) == 1 and token.isalpha() else "other"
    kind = _KIND_OF.get(token, "digit" if token.isdigit() else letter)
    return (kind, SCRIPT) if symbol.script else (kind,)


def membership(symbols: Sequence[WrittenSymbol]) -> FloatArray:
    """Which symbol is of which class: 0 or 1, shape (symbols, classes)."""
    table = [[name in symbol_classes(symbol) for name in CLASSES] for symbol in symbols]
    return np.array(table, np.float64).reshape(-1, len(CLASSES))


# The map of Mask & Match.


def localise(
    recognizer: Recognizer, expressions: Expressions, config: LocalisationConfig, seed: int
) -> Section:
    """Judge the attention map of Mask & Match; a recogniser may have none.

    Numbers: `lift` and `gain` (over the map that is even over the cells with ink) with the ends of
    their intervals, `lift_even`; where symbols are known, `pointing` with its ends, percent, its
    `pointing_chance`, and `lift_<class>`.
    """
    name, title = "localisation", "Attention localisation"
    model = recognizer.model
    rows = spread_over(len(expressions), config.limit)
    shown = annotate(expressions, rows, recognizer.render)
    maps = spatial_maps(model, shown)
    if not maps:
        why = "This recogniser has no such map." if shown else "There are no expressions with ink."
        return Section(name, title, f"{why} The decoder's own attention is judged by itself.")
    stride, draw = model.stride, (seed, _RESAMPLES)
    area = np.array([float(ink_mask(one.image).mean()) for one in shown])
    on_ink = _on_ink(shown, maps, stride)
    even = _on_ink(shown, [_even(one, stride) for one in shown], stride)
    lift, gain = ratio_interval(on_ink, area, *draw), ratio_interval(on_ink, even, *draw)
    numbers = {
        "expressions": float(len(shown)),
        **_with_ends("lift", lift),
        "lift_even": float(even.mean() / area.mean()),
        **_with_ends("gain", gain),
    }
    judged = [n for n, one in enumerate(shown) if one.symbols]
    if judged:
        wanted = [_informative(shown[n], stride) for n in judged]
        tops = [tuple(peaks(maps[n][None])[0]) for n in judged]
        hits = np.array([bool(w[top]) for w, top in zip(wanted, tops, strict=True)])
        chance = [w[_inked(shown[n], stride)].mean() for w, n in zip(wanted, judged, strict=True)]
        numbers |= {
            **_with_ends("pointing", rate_interval(hits, *draw)),
            "pointing_chance": 100.0 * float(np.mean(chance)),
        }
    shares = np.stack([class_shares(m, one, stride) for m, one in zip(maps, shown, strict=True)])
    classes = lift_by_class(shares, seed)
    numbers |= {f"lift_{kind.replace(' ', '_')}": found.mean for kind, found in classes.items()}
    pictured = [
        Picture(overlay(shown[n].image, maps[n], stride, BLUE), " ".join(shown[n].tokens))
        for n in spread_over(len(shown), PICTURED)
    ]
    text = (
        f"How {len(shown)} attention maps lie over the ink. Lift is the share of attention on ink "
        "over the share of the area that is ink, gain the same over the map that is even over the "
        "cells with ink, the only cells that the map may fall on. Pointing game: the maximum wins "
        "if its cell belongs to a symbol that carries structure: an operator, a relation, a "
        "fraction bar, a radical, or one in a script; chance is a random cell with ink."
    )
    gallery = Gallery([("", pictured)], "The ring marks the maximum.", 0.9)
    table, figure = _by_class(shown, shares, classes) if classes else (None, None)
    return Section(
        name, title, text, numbers, [table] if table else [], [figure] if figure else [],
        [gallery] if pictured else [],
    )  # fmt: skip


def _with_ends(name: str, interval: Interval) -> dict[str, float]:
    return {name: interval.mean, f"{name}_low": interval.low, f"{name}_high": interval.high}


def _on_ink(shown: Sequence[Annotated], maps: Sequence[FloatArray], stride: int) -> FloatArray:
    """(n,): share of each map's attention that falls on ink."""
    shares = []
    for one, weights in zip(shown, maps, strict=True):
        spread = upsample(weights, (one.image.shape[0], one.image.shape[1]), stride)
        shares.append(float(spread[ink_mask(one.image)].sum()))
    return np.array(shares)


def _inked(shown: Annotated, stride: int) -> BoolArray:
    """Cells with ink as a recogniser sees it, (h, w): where its map may fall."""
    height, width = cell_grid(shown.image, stride)
    image = stack([shown.image], height * stride, width * stride)
    return np.asarray(ink_cells(image, stride)[0])


def _even(shown: Annotated, stride: int) -> FloatArray:
    """The map that is even over the cells with ink: the baseline."""
    cells = _inked(shown, stride)
    return np.asarray(cells / cells.sum())


def _informative(shown: Annotated, stride: int) -> BoolArray:
    """Cells (h, w) in which an informative symbol has more ink than any other symbol."""
    named = [not INFORMATIVE.isdisjoint(symbol_classes(symbol)) for symbol in shown.symbols]
    found: BoolArray = np.array([*named, False])[shown.cells(stride)]  # NOBODY is the last entry
    return found


def class_shares(weights: FloatArray, shown: Annotated, stride: int) -> FloatArray:
    """Shares of one map's attention on ink, and of the ink, per class: shape (2, classes).

    Each pixel of ink counts for the symbol whose stroke it is, so what stands under a radical is
    not the radical's. Where no attention falls on ink, no class has any.
    """
    spread = upsample(weights, (shown.image.shape[0], shown.image.shape[1]), stride)
    ink = ink_mask(shown.image)
    on_ink = spread[ink]
    owners = shown.owners[ink] - NOBODY  # the first bin holds ink that belongs to no symbol
    size = len(shown.symbols) + 1
    attended = np.bincount(owners, on_ink, size)[1:] / max(float(on_ink.sum()), 1e-300)
    written = np.bincount(owners, minlength=size)[1:] / max(len(owners), 1)
    shares: FloatArray = np.stack([attended, written]) @ membership(shown.symbols)
    return shares


def lift_by_class(shares: FloatArray, seed: int) -> dict[str, Interval]:
    """Share of the attention on ink over share of the ink, of each class with any ink.

    `shares` is of `class_shares`, (expressions, 2, classes).
    """
    return {
        kind: ratio_interval(shares[:, 0, number], shares[:, 1, number], seed, _RESAMPLES)
        for number, kind in enumerate(CLASSES)
        if shares[:, 1, number].sum() > 0.0
    }


def _by_class(
    shown: Sequence[Annotated], shares: FloatArray, classes: dict[str, Interval]
) -> tuple[Table, Figure]:
    """The lift by class as a table and a figure."""
    counts = np.sum([membership(one.symbols).sum(axis=0) for one in shown], axis=0)
    attended, written = 100.0 * shares.mean(axis=0)
    rows = [
        (kind, int(counts[n]), float(attended[n]), float(written[n]), *classes[kind])
        for n, kind in enumerate(CLASSES)
        if kind in classes
    ]
    columns = ["class", "symbols", "attention, %", "ink, %", "lift", "low", "high"]
    caption = "Shares of the attention on ink, and of the ink. Scripts count in their kind as well."
    bars = interval_bars(classes, {}, "Attention on ink by class of symbol", "lift", line=1.0)
    return Table(pd.DataFrame(rows, columns=columns), caption), Figure(
        "lift", bars,
        "Lift by class, with bootstrap intervals over expressions; at 1, the share of the ink.",
    )  # fmt: skip


# The decoder's cross-attention.


@dataclass(frozen=True, slots=True, eq=False)
class PointingGame:
    """One row per written symbol whose token is known."""

    expression: np.ndarray
    """int (n,): number of the expression."""
    classes: FloatArray
    """(n, classes): 0 or 1, columns as in `CLASSES`."""
    hit: FloatArray
    """(n,): 1 where the maximum lies in the symbol's grown box."""
    chance: FloatArray
    """(n,): the share of cells with ink that lie in it."""

    def __len__(self) -> int:
        return len(self.hit)


def judge_cross_attention(
    recognizer: Recognizer, expressions: Expressions, config: LocalisationConfig, seed: int
) -> Section:
    """Judge the cross-attention of any recogniser (last layer, mean over heads).

    Numbers: `symbols`, `pointing` with the ends of its interval, `pointing_chance`,
    `pointing_<class>`; all rates in percent. Ink whose symbols do not know their tokens is not
    judged.
    """
    name, title = "cross_attention", "Cross-attention"
    rows = spread_over(len(expressions), config.limit)
    shown = annotate(expressions, rows, recognizer.render)
    stride = recognizer.stride
    maps = teacher_forced_maps(recognizer.model, recognizer.vocabulary, shown)
    game = pointing_game(shown, maps, stride)
    if not len(game):
        return Section(name, title, "No symbol is known to be any token's: nothing can be judged.")
    classes = pointing_by_class(game, seed)
    _, every, chance = classes["all"]
    judged = sorted(set(game.expression.tolist()))
    text = (
        f"While the truth is decoded by teacher forcing, {len(game)} written symbols of "
        f"{len(judged)} expressions: does the maximum of the decoder's attention (last layer, mean "
        "over heads) lie in the symbol's box, grown by half a cell? Chance is a random cell with "
        "ink."
    )
    numbers = {
        "symbols": float(len(game)),
        **_with_ends("pointing", every),
        "pointing_chance": chance,
    }
    for kind, (_, hit, _) in classes.items():
        if kind != "all":
            numbers[f"pointing_{kind.replace(' ', '_')}"] = hit.mean
    frame = pd.DataFrame(
        [(kind, count, *hit, lucky) for kind, (count, hit, lucky) in classes.items()],
        columns=["class", "symbols", "hits, %", "low", "high", "chance, %"],
    )
    bars = interval_bars(
        {f"{kind}  (n = {count})": hit for kind, (count, hit, _) in classes.items()},
        {"a random cell with ink": [lucky for _, _, lucky in classes.values()]},
        "Is the right symbol attended to?",
        "written symbols, %",
    )
    chosen = [judged[n] for n in spread_over(len(judged), PICTURED)]
    strips = [
        (" ".join(shown[n].tokens), _strip(shown[n], cross, stride))
        for n in chosen
        if (cross := maps[n]) is not None
    ]
    caption = (
        "Attention while each symbol is written, with its box: green where the maximum (ringed) "
        f"lies in the grown box, else red. The first {MOST_SYMBOLS} symbols of each expression."
    )
    figure = Figure("hits", bars, "Intervals are over expressions.")
    gallery = Gallery(strips, caption, 0.9)
    return Section(
        name, title, text, numbers, [Table(frame)], [figure], [gallery] if strips else []
    )


def pointing_game(
    shown: Sequence[Annotated], maps: Sequence[FloatArray | None], stride: int
) -> PointingGame:
    """All written symbols of the expressions whose maps (T, h, w) are known."""
    none = np.zeros(0)
    parts = [(np.zeros(0, np.int64), np.zeros((0, len(CLASSES))), none, none)]
    for number, (one, cross) in enumerate(zip(shown, maps, strict=True)):
        asked = _placed(one)
        if cross is None or not asked:
            continue
        weights = cross[[place for _, place in asked]]
        inside = cells_in_boxes([symbol for symbol, _ in asked], weights.shape[1:], stride)
        inked = one.cells(stride) != NOBODY
        row, column = peaks(weights).T
        hit = inside[np.arange(len(asked)), row, column].astype(np.float64)
        kinds, chance = membership([symbol for symbol, _ in asked]), inside[:, inked].mean(axis=1)
        parts.append((np.full(len(asked), number), kinds, hit, chance))
    return PointingGame(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _placed(shown: Annotated) -> list[tuple[WrittenSymbol, int]]:
    """The symbols whose token is known, with its place, in the order of the caption.

    A place must agree with the caption; else one of the two is of another expression.
    """
    found = [
        (symbol, symbol.place)
        for symbol in shown.symbols
        if symbol.place is not None
        and symbol.place < len(shown.tokens)
        and shown.tokens[symbol.place] == symbol.token
    ]
    return sorted(found, key=lambda pair: pair[1])


def cells_in_boxes(symbols: Sequence[WrittenSymbol], grid: Sequence[int], stride: int) -> BoolArray:
    """Which cells have their centre in the grown box of each symbol: (symbols, h, w)."""
    sides = np.array([(s.box.left, s.box.top, s.box.right, s.box.bottom) for s in symbols])
    left, top, right, bottom = (sides + GROW * stride * np.array([-1, -1, 1, 1])).T[..., None]
    rows, columns = ((np.arange(count) + 0.5) * stride for count in grid)
    tall = (top <= rows) & (rows <= bottom)
    wide = (left <= columns) & (columns <= right)
    found: BoolArray = tall[:, :, None] & wide[:, None, :]
    return found


def pointing_by_class(game: PointingGame, seed: int) -> dict[str, tuple[int, Interval, float]]:
    """Symbols, hits and chance in percent: of all together ("all"), then of the classes present."""
    found = {}
    size = int(game.expression.max()) + 1
    for kind in ("all", *CLASSES):
        mask = np.ones(len(game)) if kind == "all" else game.classes[:, CLASSES.index(kind)]
        if not mask.any():
            continue
        hits = np.bincount(game.expression, game.hit * mask, size).astype(np.float64)
        asked = np.bincount(game.expression, mask, size).astype(np.float64)
        present = asked > 0.0
        hit = ratio_interval(hits[present], asked[present], seed, _RESAMPLES)
        found[kind] = (
            int(mask.sum()),
            Interval(*(100.0 * value for value in hit)),
            100.0 * float(game.chance[mask > 0.0].mean()),
        )
    return found


def _strip(shown: Annotated, cross: FloatArray, stride: int) -> list[Picture]:
    """A picture per written symbol: the map with the symbol's box."""
    pictures = []
    for symbol, place in _placed(shown)[:MOST_SYMBOLS]:
        weights, box = cross[place], symbol.box
        top = tuple(peaks(weights[None])[0])
        hit = bool(cells_in_boxes([symbol], weights.shape, stride)[0][top])
        colour = RIGHT if hit else WRONG
        outline = Mark((box.left, box.top, box.right, box.bottom), colour)
        png = overlay(shown.image, weights, stride, colour, outline)
        pictures.append(Picture(png, symbol.token, hit))
    return pictures
