"""What frozen features know: retrieval of expressions and symbols, and a linear probe."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hmer.data.dataset import Expressions
from hmer.evaluation.annotated import Annotated, spread_over
from hmer.evaluation.figures.retrieval import Neighbours, neighbour_sheet, score_bars
from hmer.evaluation.ratio import ratio_interval
from hmer.evaluation.retrieval.features import Features, encode, pixels
from hmer.evaluation.retrieval.neighbours import recognisable
from hmer.evaluation.retrieval.scores import (
    Material,
    RetrievalConfig,
    Scores,
    answer,
    chances_of,
    gather,
    percentages,
    symbol_neighbours,
)
from hmer.evaluation.section import Figure, Section, Table
from hmer.evaluation.untrained import ENOUGH, untrained
from hmer.ink.render import RenderConfig
from hmer.models.base import Encoder
from hmer.recognizer import Recognizer

NAME, TITLE = "retrieval", "What the features know"
SHOWN = 5  # neighbours in the picture


def retrieve(
    recognizer: Recognizer, expressions: Expressions, config: RetrievalConfig, seed: int
) -> Section:
    """Judge the encoder of a recogniser by its features alone; see `retrieve_by`."""
    encoder = getattr(recognizer.model, "encoder", None)
    if not isinstance(encoder, Encoder):
        return Section(NAME, TITLE, "An exported recogniser keeps its features to itself.")
    return retrieve_by(encoder, recognizer.render, expressions, config, seed)


def retrieve_by(
    encoder: Encoder, render: RenderConfig, expressions: Expressions, config: RetrievalConfig,
    seed: int,
) -> Section:  # fmt: skip
    """Judge an encoder, of a recogniser or bare, by what its frozen features tell apart.

    *Same expression*: two drawings of one ink, augmented differently; is the other one the nearest
    of all expressions' other drawings? *Same caption*: is the nearest other expression one that
    says the same? *Same symbol*: is the symbol nearest to this one, in another expression, of its
    kind? *Probe*: accuracy of a linear classifier of symbols, trained on other expressions.
    Symbols whose kind no other expression has are not asked about.

    Args:
        encoder: in evaluation mode.
        render: the scale at which it was trained.
        expressions: with ink for views, with its symbols for what concerns symbols.
        config: how much.
        seed: of views, folds, fresh weights and bootstrap.
    """
    made = gather(expressions, render, config, seed)
    if len(made.shown) < 2:
        return Section(NAME, TITLE, "There were fewer than two expressions: nothing to find.")
    features = encode(encoder, made.shown)
    few = [made.shown[n] for n in spread_over(len(made.shown), ENOUGH)]
    fresh = untrained(encoder, seed, lambda network: encode(network, few))
    scores = {
        "encoder": answer(features, encoder, made, config, seed),
        "untrained": answer(encode(fresh, made.shown), fresh, made, config, seed),
        "pixels": answer(pixels(made.shown), None, made, config, seed),
    }
    return _section(scores, features, made, config, seed)


def _section(
    scores: dict[str, Scores],
    features: Features,
    made: Material,
    config: RetrievalConfig,
    seed: int,
) -> Section:
    chances = chances_of(features, made)
    rows = _rows(scores, chances)
    text = (
        f"Frozen features of the encoder, of {len(made.shown)} expressions with "
        f"{len(features.tokens)} symbols. Is the nearest neighbour (cosine) the same expression "
        "augmented otherwise, an expression that says the same, a symbol of the same kind in "
        "another expression? And what can a linear probe read off a symbol's features, trained "
        "on other expressions? Beside it the same encoder with fresh weights, and thumbnails of "
        "the pixels."
    )
    header = ("question", "encoder", "untrained", "pixels", "chance")
    about = (
        "Percent right. Chance: a random answer; where kinds of symbols are asked about, always "
        "the commonest one."
    )
    figures = [
        Figure("scores", lambda: score_bars(rows, header[1:], "What the features know"), about)
    ]
    if config.pictures and len(features.tokens) > SHOWN and chances["same symbol"] is not None:
        figures.append(
            Figure(
                "neighbours",
                lambda: neighbour_sheet(_neighbours(features, made.shown, config.pictures)),
                "Symbols, and the nearest ones in other expressions by the encoder's features; "
                "green where the kind is the same.",
            )
        )
    printed = [(name, *("" if v is None else v for v in values)) for name, values in rows]
    numbers = _numbers(scores, chances, features, made, config, seed)
    return Section(NAME, TITLE, text, numbers, [Table(header, printed, about)], figures)


def _rows(
    scores: dict[str, Scores], chances: dict[str, float | None]
) -> list[tuple[str, list[float | None]]]:
    """Question, and the answers of all sources and of chance; what could not be asked is left."""
    columns = [*(percentages(one) for one in scores.values()), chances]
    return [
        (name, [column[name] for column in columns])
        for name in chances
        if chances[name] is not None
    ]


def _numbers(
    scores: dict[str, Scores],
    chances: dict[str, float | None],
    features: Features,
    made: Material,
    config: RetrievalConfig,
    seed: int,
) -> dict[str, float]:
    found: dict[str, float | None] = {
        "expressions": float(len(made.shown)),
        "symbols": float(len(features.tokens)),
    }
    for name, suffix in (("encoder", ""), ("untrained", "_untrained"), ("pixels", "_pixels")):
        found |= {f"{_metric(q)}{suffix}": v for q, v in percentages(scores[name]).items()}
    found |= {f"{_metric(question)}_chance": value for question, value in chances.items()}
    ours = scores["encoder"]
    if ours.expression is not None:
        found["same_expression_reciprocal_rank"] = float((1.0 / (1.0 + ours.expression)).mean())
    if ours.hits is not None:
        asked = recognisable(features.tokens, features.expression)
        of, size = features.expression[asked], len(made.shown)
        right, count = np.bincount(of, ours.hits, size), np.bincount(of, minlength=size)
        interval = ratio_interval(
            right.astype(np.float64), count.astype(np.float64), seed, config.resamples
        )
        found |= {
            "same_symbol_low": 100.0 * interval.low,
            "same_symbol_high": 100.0 * interval.high,
        }
    return {name: value for name, value in found.items() if value is not None}


def _metric(question: str) -> str:
    return question.replace(", mean per kind", " per class").replace(" ", "_")


def _neighbours(features: Features, shown: Sequence[Annotated], count: int) -> list[Neighbours]:
    """Queries evenly spread over the kinds of symbols, with their nearest neighbours."""
    asked = np.flatnonzero(recognisable(features.tokens, features.expression))
    kinds, first = np.unique(features.tokens[asked], return_index=True)
    queries = asked[first][spread_over(len(kinds), count)]
    near = symbol_neighbours(features, queries, SHOWN)
    return [
        Neighbours(
            (shown[features.expression[query]], int(features.symbol[query])),
            [(shown[features.expression[i]], int(features.symbol[i])) for i in row],
        )
        for query, row in zip(queries.tolist(), near, strict=True)
    ]
