"""Reading from both ends: two beam searches that judge each other's hypotheses."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field

from hmer.decoding.beam import Direction, Hypothesis, search_directions
from hmer.decoding.rescore import score_sequences
from hmer.decoding.step import Step


class DecodingConfig(BaseModel):
    """How token sequences are searched."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    beam: int = Field(10, ge=1, le=100, description="hypotheses per direction; 1 is greedy")
    both_directions: bool = Field(True, description="search from both ends and rescore")
    max_length: int = Field(200, ge=1, le=1000, description="tokens at most")
    alpha: float = Field(
        0.0, ge=0, le=4, description="power of the length that divides scores (BTTR, CoMER: 1)"
    )


@dataclass(frozen=True, slots=True)
class Reading:
    """A sequence in reading order and what both directions think of it."""

    tokens: tuple[int, ...]
    score: float
    """What readings are ranked by: (forward + backward) / (n + 1) ** alpha; CoMER has alpha 1."""
    confidence: float
    """Probability of the whole sequence, the geometric mean of both directions' opinions."""


Opinions = dict[tuple[int, ...], list[float | None]]
"""Sequences in reading order, with what each direction gives them."""


def search(
    step: Step,
    inputs: int,
    config: DecodingConfig,
    *,
    sos: int,
    eos: int,
    pad: int,
    banned: Sequence[int] = (),
    limits: Sequence[int] | None = None,
) -> list[list[Reading]]:
    """The n-best readings of each input: the one of the best score, the others by confidence.

    A left-to-right sequence starts with `sos` and stops with `eos`, a right-to-left one the other
    way round (BTTR). Both are searched in one batch; what one direction has found is then scored
    by the other. `banned` tokens are never written; `limits` are tokens of each input at most, if
    that is less than `config.max_length`.
    """
    ways = [(sos, eos), (eos, sos)][: 1 + config.both_directions]
    found = search_directions(
        step,
        inputs,
        [Direction(start, stop, (pad, start, *banned)) for start, stop in ways],
        beam=config.beam,
        max_length=[min(config.max_length, limit) for limit in limits]
        if limits is not None
        else config.max_length,
        alpha=config.alpha,
    )
    known = [_opinions(*row) for row in found]
    if config.both_directions:
        _complete(known, step, ways)
    readings = [
        [
            _reading(tokens, [score for score in said if score is not None], config.alpha)
            for tokens, said in row.items()
        ]
        for row in known
    ]
    return [_ranked(row) for row in readings]


def _ranked(readings: Sequence[Reading]) -> list[Reading]:
    """The best by its score, which allows for length; the others by the confidence people see."""
    best = max(readings, key=lambda reading: reading.score, default=None)
    others = [reading for reading in readings if reading is not best]
    others.sort(key=lambda reading: -reading.confidence)
    return others if best is None else [best, *others]


def _complete(known: Sequence[Opinions], step: Step, ways: Sequence[tuple[int, int]]) -> None:
    """Fill in what a direction that has not found a sequence gives it."""
    missing = [
        [(tokens, i) for tokens, said in row.items() for i in (0, 1) if said[i] is None]
        for row in known
    ]
    asked = [
        [(ways[i][0], *(tokens[::-1] if i else tokens), ways[i][1]) for tokens, i in row]
        for row in missing
    ]
    for row, wanted, scores in zip(known, missing, score_sequences(step, asked), strict=True):
        for (tokens, i), score in zip(wanted, scores, strict=True):
            row[tokens][i] = score


def _opinions(forward: Sequence[Hypothesis], backward: Sequence[Hypothesis] = ()) -> Opinions:
    """Sequences in reading order with what each direction gives them, where it has found them."""
    known: Opinions = {}
    for h in forward:
        known.setdefault(h.tokens, [None, None])[0] = h.log_probability
    for h in backward:
        known.setdefault(h.tokens[::-1], [None, None])[1] = h.log_probability
    return known


def _reading(tokens: tuple[int, ...], opinions: Sequence[float], alpha: float) -> Reading:
    """Score a sequence by the log-probabilities that the directions give it."""
    total = sum(opinions)
    score = total / (len(tokens) + 1) ** alpha
    return Reading(tokens, score, min(1.0, math.exp(total / len(opinions))))
