"""Two searches that judge each other."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from hmer.decoding.beam import Direction, Hypothesis, search_directions
from hmer.decoding.bidirectional import DecodingConfig, search
from hmer.models.step import MemoryStep

PAD, SOS, EOS, A, B = 0, 1, 2, 3, 4
LENGTH = 4
Make = Callable[..., Any]


def both(model: Any, row: int, tokens: tuple[int, ...]) -> tuple[float, float]:
    """What either direction gives a sequence in reading order."""
    return (
        model.log_probability(row, tokens, SOS, EOS),
        model.log_probability(row, tokens[::-1], EOS, SOS),
    )


def read(model: Any, inputs: int = 2, **options: Any) -> list[list[Any]]:
    config = DecodingConfig(**{"max_length": LENGTH, "alpha": 1.0, **options})
    return search(model.step, inputs, config, sos=SOS, eos=EOS, pad=PAD)


@pytest.mark.parametrize("alpha", [0.0, 1.0])
@pytest.mark.parametrize("seed", range(3))
def test_wide_beams_rank_everything_by_both(toy: Make, seed: int, alpha: float) -> None:
    model = toy(seed)
    for row, readings in enumerate(read(model, beam=100, alpha=alpha)):
        found = {reading.tokens: reading for reading in readings}
        assert len(found) == len(readings) >= 100
        scores = [reading.score for reading in readings]
        assert scores[0] == max(scores)
        others = [reading.confidence for reading in readings[1:]]
        assert others == sorted(others, reverse=True)
        for tokens, reading in found.items():
            forward, backward = both(model, row, tokens)
            score = (forward + backward) / (len(tokens) + 1) ** alpha
            assert reading.score == pytest.approx(score, abs=1e-4)
            confidence = math.sqrt(math.exp(forward) * math.exp(backward))
            assert reading.confidence == pytest.approx(confidence, rel=1e-3)
    for row, readings in enumerate(read(model, beam=100, alpha=1.0)):
        best = max(model.sequences(LENGTH), key=lambda t: sum(both(model, row, t)) / (len(t) + 1))
        assert readings[0].tokens == best


def one_way(model: Any, start: int, stop: int, beam: int) -> list[list[Hypothesis]]:
    way = Direction(start, stop, (PAD, start))
    return [r[0] for r in search_directions(model.step, 2, [way], beam=beam, max_length=LENGTH)]


def test_readings_are_what_either_direction_found(toy: Make) -> None:
    model = toy(7)
    forward, backward = one_way(model, SOS, EOS, 2), one_way(model, EOS, SOS, 2)
    met = 0
    for one, other, readings in zip(forward, backward, read(model, beam=2), strict=True):
        first, second = {h.tokens for h in one}, {h.tokens[::-1] for h in other}
        assert {reading.tokens for reading in readings} == first | second
        assert len(readings) == len(first | second)
        met += len(second - first)
    assert met > 0


def test_by_hand() -> None:
    # Forward likes AB (.6) better than B (.4); backward gives B .9 and AB .1.
    said: dict[tuple[int, ...], dict[int, float]] = {
        (SOS,): {A: 0.6, B: 0.4},
        (SOS, A): {B: 1.0},
        (SOS, A, B): {EOS: 1.0},
        (SOS, B): {EOS: 1.0},
        (EOS,): {B: 1.0},
        (EOS, B): {SOS: 0.9, A: 0.1},
        (EOS, B, A): {SOS: 1.0},
    }

    def step(
        tokens: Tensor, _: None, past: tuple[Tensor, ...]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        (history,) = past or (tokens.new_zeros(*tokens.shape, 0),)
        history = torch.cat([history, tokens.unsqueeze(-1)], dim=-1)
        logits = torch.full((*tokens.shape, 5), -20.0)
        for k, line in enumerate(history[0].tolist()):
            for token, probability in said.get(tuple(line), {}).items():
                logits[0, k, token] = math.log(probability)
        return logits, (history,)

    for alpha, expected in (
        (0.0, [((B,), math.log(0.36)), ((A, B), math.log(0.06))]),
        (1.0, [((B,), math.log(0.36) / 2), ((A, B), math.log(0.06) / 3)]),
        (3.0, [((A, B), math.log(0.06) / 27), ((B,), math.log(0.36) / 8)]),
    ):
        config = DecodingConfig(beam=1, max_length=LENGTH, alpha=alpha)
        (readings,) = search(MemoryStep(step, None), 1, config, sos=SOS, eos=EOS, pad=PAD)
        assert [reading.tokens for reading in readings] == [tokens for tokens, _ in expected]
        assert [reading.score for reading in readings] == pytest.approx(
            [score for _, score in expected], abs=1e-6
        )
        confident = {reading.tokens: reading.confidence for reading in readings}
        assert confident == pytest.approx({(B,): 0.6, (A, B): math.sqrt(0.06)}, abs=1e-6)


@pytest.mark.parametrize("beam", [1, 3])
def test_one_direction_only(toy: Make, beam: int) -> None:
    model = toy(9)
    found = one_way(model, SOS, EOS, beam)
    answers = read(model, beam=beam, both_directions=False)
    for row, (hypotheses, readings) in enumerate(zip(found, answers, strict=True)):
        assert readings[0].tokens == hypotheses[0].tokens
        assert {r.tokens for r in readings} == {h.tokens for h in hypotheses}
        for reading in readings:
            forward = model.log_probability(row, reading.tokens)
            assert reading.score == pytest.approx(forward / (len(reading.tokens) + 1), abs=1e-4)
            assert reading.confidence == pytest.approx(math.exp(forward), rel=1e-3)


def test_confidence_is_a_probability(toy: Make) -> None:
    model = toy(0)
    model.table *= 100.0  # as sure as it gets: rounding must not make it more than sure
    for readings in read(model, beam=3):
        assert readings[0].confidence > 0.0
        assert all(0.0 <= reading.confidence <= 1.0 for reading in readings)
