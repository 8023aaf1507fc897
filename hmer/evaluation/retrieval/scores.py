"""The questions that frozen features are asked, and the answers of one source of vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from hmer.data.dataset import Expressions
from hmer.evaluation.annotated import Annotated, annotate, spread_over
from hmer.evaluation.images import BoolArray, Image
from hmer.evaluation.retrieval.expressions import (
    Pair,
    caption_groups,
    pairs,
    same_caption,
    same_caption_chance,
)
from hmer.evaluation.retrieval.features import Features, Vectors, encode_whole, whole_thumbnail
from hmer.evaluation.retrieval.neighbours import (
    Accuracy,
    Numbers,
    accuracy,
    majority,
    nearest,
    ranks,
    recognisable,
    unit,
)
from hmer.evaluation.retrieval.probe import probe
from hmer.ink.augment import AugmentConfig
from hmer.ink.render import RenderConfig
from hmer.models.base import Encoder


class RetrievalConfig(BaseModel):
    """How much is retrieved, and how views of one expression differ."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    limit: int = Field(40, ge=0, description="expressions per set, evenly spread; 0: none")
    augment: AugmentConfig = AugmentConfig()
    folds: int = Field(5, ge=2, le=100, description="of the probe's cross-validation")
    penalty: float = Field(
        1e-3, gt=0, le=100, description="of the probe: weight of half its squared weights"
    )
    pictures: int = Field(10, ge=0, le=60, description="queries in the picture")
    resamples: int = Field(2000, ge=100, description="of the bootstrap")


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """What is retrieved: drawn once, then turned into vectors by every source."""

    shown: Sequence[Annotated]
    views: Sequence[Pair]
    twins: Sequence[Annotated]
    """Expressions whose caption another expression has as well, beyond those in `shown`."""
    captions: Numbers
    """int: of `shown` and then `twins`, equal for equal captions."""


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """What one source of vectors achieves, in percent; None where there was nothing to ask."""

    expression: Numbers | None
    """int (n,): rank of the other view of each expression."""
    caption: BoolArray | None
    """bool: for every expression with a twin, whether a twin is nearest."""
    symbol: Accuracy | None
    hits: BoolArray | None
    """bool: for every symbol asked about, whether its nearest neighbour is of its kind."""
    probe: Accuracy | None


def gather(
    expressions: Expressions, render: RenderConfig, config: RetrievalConfig, seed: int
) -> Material:
    """Draw what is to be retrieved, from the recogniser's scale `render`."""
    rows = spread_over(len(expressions), config.limit)
    twins = [n for n in caption_groups(expressions.tokens, config.limit) if n not in set(rows)]
    shown, others = annotate(expressions, rows, render), annotate(expressions, twins, render)
    texts = [" ".join(one.tokens) for one in (*shown, *others)]
    captions = np.unique(np.array(texts, np.str_), return_inverse=True)[1]
    return Material(shown, pairs(expressions, rows, render, config.augment, seed), others, captions)


def answer(
    features: Features, encoder: Encoder | None, made: Material, config: RetrievalConfig, seed: int
) -> Scores:
    """Scores of an encoder; of thumbnails without one."""

    def whole(images: Sequence[Image]) -> Vectors:
        if encoder is not None:
            return encode_whole(encoder, images)
        return np.stack([whole_thumbnail(image) for image in images])

    rank = twin = None
    if len(made.views) > 1:
        first, second = (whole([pair[side] for pair in made.views]) for side in (0, 1))
        rank = ranks(unit(first), unit(second))
    if len(np.unique(made.captions)) < len(made.captions):
        vectors = features.whole
        if made.twins:
            vectors = np.concatenate([vectors, whole([one.image for one in made.twins])])
        twin = same_caption(vectors, made.captions)
    asked = recognisable(features.tokens, features.expression)
    if not asked.any():
        return Scores(rank, twin, None, None, None)
    truth = features.tokens[asked]
    near = features.tokens[symbol_neighbours(features, np.flatnonzero(asked), 1)[:, 0]]
    read = probe(
        features.symbols, features.tokens, features.expression, config.folds, config.penalty, seed
    )[asked]
    return Scores(rank, twin, accuracy(truth, near), truth == near, accuracy(truth, read))


def symbol_neighbours(features: Features, queries: Numbers, count: int) -> Numbers:
    """The nearest symbols of other expressions, for the symbols `queries`: (queries, count)."""
    vectors, of = unit(features.symbols), features.expression
    return nearest(vectors[queries], vectors, lambda part: of[queries[part], None] == of, count)


def chances_of(features: Features, made: Material) -> dict[str, float | None]:
    """Percent right by chance, by question; None where there is nothing to ask."""
    asked = recognisable(features.tokens, features.expression)
    common = majority(features.tokens[asked]) if asked.any() else None
    return {
        "same expression": 100.0 / len(made.views) if len(made.views) > 1 else None,
        "same caption": same_caption_chance(made.captions),
        "same symbol": None if common is None else common.overall,
        "same symbol, mean per kind": None if common is None else common.per_class,
        "probe": None if common is None else common.overall,
        "probe, mean per kind": None if common is None else common.per_class,
    }


def percentages(scores: Scores) -> dict[str, float | None]:
    """Percent right, by question."""
    symbol, read = scores.symbol, scores.probe
    return {
        "same expression": _percent(None if scores.expression is None else scores.expression == 0),
        "same caption": _percent(scores.caption),
        "same symbol": None if symbol is None else symbol.overall,
        "same symbol, mean per kind": None if symbol is None else symbol.per_class,
        "probe": None if read is None else read.overall,
        "probe, mean per kind": None if read is None else read.per_class,
    }


def _percent(hits: BoolArray | None) -> float | None:
    return None if hits is None else 100.0 * float(hits.mean())
