"""Where the attention network looks: its map against the ink, and against what the ink says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from hmer.data.dataset import Expressions
from hmer.evaluation.annotated import annotate, spread_over
from hmer.evaluation.attention.findings import Findings, LocalisationConfig, find
from hmer.evaluation.attention.networks import AttendedEncoder, look_over
from hmer.evaluation.attention.symbols import SymbolAttention
from hmer.evaluation.bootstrap import Interval
from hmer.evaluation.figures.localisation import lift_bars, map_sheet
from hmer.evaluation.section import Figure, Section, Table
from hmer.evaluation.untrained import ENOUGH, untrained
from hmer.ink.render import RenderConfig
from hmer.models.base import Recogniser
from hmer.recognizer import Recognizer

NAME, TITLE = "localisation", "Where the attention map looks"

Looking = TypeVar("Looking", Recogniser, AttendedEncoder)


def localise(
    recognizer: Recognizer, expressions: Expressions, config: LocalisationConfig, seed: int
) -> Section:
    """Judge the attention map of Mask & Match; where a recogniser has none, the section says so.

    Args:
        recognizer: trained.
        expressions: with ink, to be judged by class; without ink only the share on ink is known.
        config: how much.
        seed: of the fresh weights and of the bootstrap.
    """
    return localise_by(recognizer.model, recognizer.render, expressions, config, seed)


def localise_by(
    model: Looking, style: RenderConfig, expressions: Expressions, config: LocalisationConfig,
    seed: int,
) -> Section:  # fmt: skip
    """Judge a map before there is a recogniser, too: `AttendedEncoder` has it after phase 2.

    Args:
        model: in evaluation mode.
        style: the scale at which it was trained.
        expressions: as for `localise`.
        config: how much.
        seed: of the fresh weights and of the bootstrap.
    """
    rows = spread_over(len(expressions), config.limit)
    shown = annotate(expressions, rows, style)
    maps = look_over(model, shown)
    if not maps:
        why = "There was nothing to look at." if not shown else "This recogniser has no such map."
        return Section(NAME, TITLE, f"{why} The decoder's own attention is judged by itself.")
    few = [shown[n] for n in spread_over(len(shown), ENOUGH)]
    draws = [
        untrained(model, seed + n, lambda network: look_over(network, few))
        for n in range(config.untrained)
    ]
    fresh = [look_over(draw, shown) for draw in draws]
    found = find(shown, maps, fresh, model.stride, seed, config.resamples)
    return Section(
        NAME, TITLE, _text(found), _numbers(found), _tables(found),
        _figures(found, config.pictures, model.stride),
    )  # fmt: skip


def _text(found: Findings) -> str:
    return (
        f"How {len(found.shown)} attention maps lie over the ink. Lift is the share of attention "
        "on ink over the share of the area that is ink. The map may fall on cells with ink only: "
        "compare it with the map that is even over these cells, and with fresh weights. In the "
        "pointing game the map's maximum wins if its cell belongs to a symbol that carries "
        "structure: an operator, a relation, a fraction bar, a radical, or one in a script."
    )


def _numbers(found: Findings) -> dict[str, float]:
    trained, even, fresh = found.trained, found.even, found.untrained
    numbers = {
        "expressions": float(len(found.shown)),
        **_with_ends("lift", found.lift),
        "lift_untrained": float(np.mean([one.lift for one in fresh])),
        "lift_even": even.lift,
        **_with_ends("gain", found.gain),
        "width": float(trained.width.mean()),
        "pointing_ink": _rate(trained.at_ink),
        "pointing_ink_untrained": float(np.mean([_rate(one.at_ink) for one in fresh])),
        "pointing_ink_chance": 100.0 * found.chance.ink,
    }
    if found.pointing is not None:
        numbers |= {
            **_with_ends("pointing", found.pointing),
            "pointing_untrained": found.pointing_untrained,
            "pointing_chance": 100.0 * found.chance.informative,
        }
    return numbers | {f"lift_{one.kind.replace(' ', '_')}": one.lift.mean for one in found.classes}


def _with_ends(name: str, interval: Interval) -> dict[str, float]:
    return {name: interval.mean, f"{name}_low": interval.low, f"{name}_high": interval.high}


def _tables(found: Findings) -> list[Table]:
    tables = [_against(found)]
    if found.classes:
        tables.append(_class_table(found.classes, found.class_baselines))
    return tables


def _against(found: Findings) -> Table:
    """The map beside the maps that know nothing."""
    trained, fresh, lift, hit = found.trained, found.untrained, found.lift, found.pointing
    rows: list[tuple[str | float, ...]] = [
        (
            "trained", lift.mean, f"{lift.low:.2f} to {lift.high:.2f}", _rate(trained.at_ink),
            "" if hit is None else hit.mean,
            "" if hit is None else f"{hit.low:.0f} to {hit.high:.0f}", float(trained.width.mean()),
        ),
        (
            f"untrained, mean of {len(fresh)}", float(np.mean([one.lift for one in fresh])), "",
            float(np.mean([_rate(one.at_ink) for one in fresh])),
            "" if hit is None else found.pointing_untrained, "",
            float(np.mean([one.width.mean() for one in fresh])),
        ),
        (
            "even over the cells with ink", found.even.lift, "", 100.0 * found.chance.ink,
            "" if hit is None else 100.0 * found.chance.informative, "", 1.0,
        ),
    ]  # fmt: skip
    header = (
        *("map", "lift", "lift, 95 %", "points at ink, %"),
        *("points at structure, %", "structure, 95 %", "width"),
    )
    caption = (
        "Lift: share of attention on ink over share of area. Width: cells over which the attention "
        "is spread (exp of its entropy), as a share of the cells with ink. For the even map, the "
        "pointing game is the chance of a cell drawn from those with ink."
    )
    return Table(header, rows, caption)


def _class_table(
    classes: Sequence[SymbolAttention], baselines: dict[str, Sequence[float]]
) -> Table:
    rows: list[tuple[str | float, ...]] = [
        (
            one.kind, one.symbols, 100.0 * one.attention, 100.0 * one.ink, one.lift.mean,
            f"{one.lift.low:.2f} to {one.lift.high:.2f}",
            *(lifts[row] for lifts in baselines.values()),
        )
        for row, one in enumerate(classes)
    ]  # fmt: skip
    header = ("class", "symbols", "attention, %", "ink, %", "lift", "95 %", *baselines)
    caption = "Shares of the attention on ink, and of the ink. Scripts count in their kind as well."
    return Table(header, rows, caption)


def _figures(found: Findings, pictures: int, stride: int) -> list[Figure]:
    figures = []
    if found.classes:
        title = "Attention on ink, by what the ink says"
        caption = (
            "Lift per class of symbols: its share of the attention on ink over its share of the "
            "ink, with bootstrap intervals over expressions. The marks are maps that know no more "
            "than where there is ink."
        )
        draw = lambda: lift_bars(found.classes, found.class_baselines, title)  # noqa: E731
        figures.append(Figure("lift", draw, caption))
    if pictures:
        rows = [
            (found.shown[n], found.maps[n], found.fresh[n])
            for n in spread_over(len(found.shown), pictures)
        ]
        caption = (
            "The map over the ink, trained and with fresh weights; each is scaled to its own "
            "maximum, which the ring marks."
        )
        figures.append(Figure("maps", lambda: map_sheet(rows, stride), caption))
    return figures


def _rate(hits: np.ndarray) -> float:
    return 100.0 * float(hits.mean())
