"""What is found out about attention maps, and about the maps that they are compared with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from hmer.evaluation.annotated import Annotated
from hmer.evaluation.attention.focus import Chance, Focus, chance, even_map, focus
from hmer.evaluation.attention.symbols import (
    SymbolAttention,
    attention_by_class,
    lifts,
    membership,
)
from hmer.evaluation.bootstrap import Interval, rate_interval
from hmer.evaluation.images import BoolArray, FloatArray
from hmer.evaluation.ratio import ratio_interval


class LocalisationConfig(BaseModel):
    """How much is looked at; for the attention map and for the decoder's cross-attention."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    limit: int = Field(60, ge=0, description="expressions per set, evenly spread; 0: none")
    pictures: int = Field(6, ge=0, le=40, description="expressions on a sheet")
    untrained: int = Field(2, ge=1, le=50, description="draws of fresh weights to compare with")
    resamples: int = Field(2000, ge=100, description="of the bootstrap")


@dataclass(frozen=True, slots=True, eq=False)
class Findings:
    """A trained map over n expressions, beside maps of fresh weights and the even map."""

    shown: Sequence[Annotated]
    maps: Sequence[FloatArray]
    fresh: Sequence[FloatArray]
    """Maps of the first draw of fresh weights."""
    trained: Focus
    untrained: Sequence[Focus]
    """One for each draw."""
    even: Focus
    """The map that is even over the cells with ink."""
    chance: Chance
    lift: Interval
    """Share of attention on ink over share of area."""
    gain: Interval
    """Share of attention on ink over that of the even map, expression by expression."""
    pointing: Interval | None
    """Percent of maxima on informative symbols; None where no symbols are known."""
    pointing_untrained: float
    classes: Sequence[SymbolAttention]
    """Empty where no symbols are known."""
    class_baselines: dict[str, Sequence[float]]
    """Lifts of the other maps for the same classes, by the name of the map."""


def find(
    shown: Sequence[Annotated],
    maps: Sequence[FloatArray],
    fresh: Sequence[Sequence[FloatArray]],
    stride: int,
    seed: int,
    resamples: int,
) -> Findings:
    """Measure trained maps (h, w), one per expression, and those of every draw of fresh weights.

    Expressions whose symbols are unknown take no part in what concerns symbols.
    """
    judged = np.array([bool(one.symbols) for one in shown])
    trained = focus(shown, maps, stride)
    untrained = [focus(shown, draw, stride) for draw in fresh]
    even = focus(shown, [even_map(one, stride) for one in shown], stride)
    counts = np.sum([membership(one.symbols).sum(axis=0) for one in shown], axis=0)
    classes = attention_by_class(trained.classes, counts, seed, resamples)
    hits = [_pointing(one.at_informative, judged) for one in untrained]
    return Findings(
        shown, maps, fresh[0], trained, untrained, even, chance(shown, stride),
        lift=ratio_interval(trained.on_ink, trained.area, seed, resamples),
        gain=ratio_interval(trained.on_ink, even.on_ink, seed, resamples),
        pointing=rate_interval(trained.at_informative[judged], seed, resamples)
        if judged.any()
        else None,
        pointing_untrained=float(np.mean(hits)),
        classes=classes,
        class_baselines={
            "untrained": _lifts([one.classes for one in untrained], classes),
            "even over the ink": _lifts([even.classes], classes),
        },
    )  # fmt: skip


def _pointing(hits: BoolArray, judged: BoolArray) -> float:
    return 100.0 * float(hits[judged].mean()) if judged.any() else 0.0


def _lifts(shares: Sequence[FloatArray], classes: Sequence[SymbolAttention]) -> Sequence[float]:
    """Lifts of other maps (n, 2, classes each) for the same classes, the mean over the maps."""
    found = [lifts(one) for one in shares]
    return [float(np.mean([lift[one.kind] for lift in found])) for one in classes]
