"""The decoder's own attention: is the right symbol looked at when its token is written?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hmer.data.dataset import Expressions
from hmer.evaluation.annotated import Annotated, annotate, spread_over
from hmer.evaluation.attention.findings import LocalisationConfig
from hmer.evaluation.attention.glances import SEEN, Looked, glances, looked_by_class
from hmer.evaluation.attention.networks import follow
from hmer.evaluation.figures.localisation import glance_sheet, hit_bars
from hmer.evaluation.images import FloatArray
from hmer.evaluation.section import Figure, Section, Table
from hmer.recognizer import Recognizer

NAME, TITLE = "cross_attention", "Where the decoder looks"


def judge_cross_attention(
    recognizer: Recognizer, expressions: Expressions, config: LocalisationConfig, seed: int
) -> Section:
    """Judge the cross-attention of any recogniser, the truth being told token by token.

    Args:
        recognizer: trained.
        expressions: with ink whose symbols know their tokens; others are not judged.
        config: how much.
        seed: of the bootstrap.
    """
    rows = spread_over(len(expressions), config.limit)
    shown = annotate(expressions, rows, recognizer.render)
    stride = recognizer.model.stride
    maps = follow(recognizer.model, recognizer.vocabulary, shown)
    found = glances(shown, maps, stride)
    if not len(found):
        return Section(NAME, TITLE, "No symbol is known to be any token's: nothing can be judged.")
    classes = looked_by_class(found, seed, config.resamples)
    misses = np.bincount(found.seen, minlength=len(SEEN)) / len(found)
    judged = sorted(set(found.expression.tolist()))
    pictured = [(shown[n], cross) for n in judged if (cross := maps[n]) is not None]
    text = (
        f"While the truth is told token by token, {len(found)} written symbols of {len(judged)} "
        "expressions: does the maximum of the decoder's attention (last layer, mean over heads) "
        "lie in the symbol's box, grown by half a cell? Chance is a random cell with ink; "
        "attention in the box is to be compared with the area of the box."
    )
    tables = [_class_table(classes), _miss_table(misses)]
    figures = _figures(classes, pictured, config, stride)
    return Section(NAME, TITLE, text, _numbers(classes), tables, figures)


def _numbers(classes: Sequence[Looked]) -> dict[str, float]:
    every, *others = classes
    return {
        "symbols": float(every.symbols),
        "pointing": 100.0 * every.hit.mean,
        "pointing_low": 100.0 * every.hit.low,
        "pointing_high": 100.0 * every.hit.high,
        "pointing_chance": 100.0 * every.chance,
        "pointing_strict": 100.0 * every.strict,
        "mass": 100.0 * every.mass,
        "area": 100.0 * every.area,
        "lift": every.mass / every.area,
        **{f"pointing_{one.kind.replace(' ', '_')}": 100.0 * one.hit.mean for one in others},
    }


def _class_table(classes: Sequence[Looked]) -> Table:
    rows = [
        (
            one.kind, one.symbols, 100.0 * one.hit.mean,
            f"{100.0 * one.hit.low:.0f} to {100.0 * one.hit.high:.0f}", 100.0 * one.chance,
            100.0 * one.strict, 100.0 * one.mass, 100.0 * one.area, one.mass / one.area,
        )
        for one in classes
    ]  # fmt: skip
    header = (
        *("class", "symbols", "looked at, %", "95 %", "chance, %", "strictly, %"),
        *("attention in box, %", "area of box, %", "lift"),
    )
    caption = (
        "Looked at: the maximum lies in the symbol's grown box. Strictly: in a cell with more ink "
        "of the symbol than of any other, which tells a radical from what stands under it."
    )
    return Table(header, rows, caption)


def _miss_table(shares: FloatArray) -> Table:
    rows = [(name, 100.0 * share) for name, share in zip(SEEN, shares.tolist(), strict=True)]
    return Table(("most ink in the cell of the maximum", "share, %"), rows, "What is looked at.")


def _figures(
    classes: Sequence[Looked],
    pictured: Sequence[tuple[Annotated, FloatArray]],
    config: LocalisationConfig,
    stride: int,
) -> list[Figure]:
    caption = (
        "Share of written symbols at which the decoder looks when it writes them, by class; "
        "the bars' ends are bootstrap intervals over expressions."
    )
    figures = [Figure("hits", lambda: hit_bars(classes, "Is the right symbol looked at?"), caption)]
    if config.pictures:
        chosen = [pictured[n] for n in spread_over(len(pictured), config.pictures)]
        caption = (
            "Attention while each symbol is written, with its box: green where the maximum "
            "(ringed) lies in the grown box, else red."
        )
        figures.append(Figure("strips", lambda: glance_sheet(chosen, stride), caption))
    return figures
