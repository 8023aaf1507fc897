"""Beam search against exhaustive search, and against a slow beam search of one input."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from hmer.decoding.beam import Direction, Hypothesis, search_directions
from hmer.models.step import MemoryStep

PAD, START, STOP, A, B = 0, 1, 2, 3, 4
LENGTH = 4
Make = Callable[..., Any]


def search(toy: Any, inputs: int = 2, **changed: Any) -> list[list[Hypothesis]]:
    options: dict[str, Any] = {
        "beam": 3,
        "max_length": LENGTH,
        "alpha": 1.0,
    }
    options |= changed
    forth = Direction(START, STOP, options.pop("banned", (PAD, START)))
    return [row[0] for row in search_directions(toy.step, inputs, [forth], **options)]


def slow_beam(toy: Any, row: int, beam: int, length: int, alpha: float) -> list[Hypothesis]:
    """The documented search with lists, for one input."""
    alive: list[tuple[tuple[int, ...], float]] = [((), 0.0)]
    found: list[Hypothesis] = []
    for size in range(length + 1):
        candidates = [
            (score + more, tokens, token)
            for tokens, score in alive
            for token, more in enumerate(toy.next(row, tokens))
            if token not in (PAD, START)
        ]
        candidates.sort(key=lambda candidate: -candidate[0])
        found += [
            Hypothesis(tokens, score) for score, tokens, token in candidates[:beam] if token == STOP
        ]
        going = [candidate for candidate in candidates[: 2 * beam] if candidate[2] != STOP]
        ranks = sorted((h.rank(alpha) for h in found), reverse=True)
        if len(found) >= beam and ranks[beam - 1] >= going[0][0] / (size + 1) ** alpha:
            break
        if size == length:
            whole = {h.tokens for h in found}
            found += [
                Hypothesis(tokens, score + toy.next(row, tokens)[STOP])
                for tokens, score in alive
                if tokens not in whole
            ]
        alive = [((*tokens, token), score) for score, tokens, token in going[:beam]]
    return sorted(found, key=lambda h: -h.rank(alpha))[:beam]


def same(found: list[Hypothesis], expected: list[Hypothesis]) -> None:
    assert [h.tokens for h in found] == [h.tokens for h in expected]
    scores = [h.log_probability for h in found]
    assert scores == pytest.approx([h.log_probability for h in expected], abs=1e-4)


@pytest.mark.parametrize("alpha", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("seed", range(3))
def test_a_wide_beam_finds_everything_in_order(toy: Make, seed: int, alpha: float) -> None:
    model = toy(seed)
    for row, found in enumerate(search(model, beam=400, alpha=alpha)):
        everything = [
            Hypothesis(tokens, model.log_probability(row, tokens))
            for tokens in model.sequences(LENGTH)
        ]
        assert len(everything) == 121
        best = sorted(everything, key=lambda h: -h.rank(alpha))
        same(found, best)


def test_rank_by_hand() -> None:
    hypothesis = Hypothesis((A, B, A), -6.0)
    assert [hypothesis.rank(alpha) for alpha in (0.0, 1.0, 0.5)] == [-6.0, -1.5, -3.0]


@pytest.mark.parametrize("alpha", [0.0, 0.7, 2.0])
@pytest.mark.parametrize("beam", [1, 2, 3, 5, 12])
def test_slow_beam_search_agrees(toy: Make, beam: int, alpha: float) -> None:
    for seed in range(3):
        model = toy(seed, inputs=3, length=6)
        for row, found in enumerate(search(model, 3, beam=beam, alpha=alpha, max_length=6)):
            same(found, slow_beam(model, row, beam, 6, alpha))


@pytest.mark.parametrize("seed", range(6))
def test_greedy_takes_the_likeliest_token(toy: Make, seed: int) -> None:
    model = toy(seed, length=8)
    for row, found in enumerate(search(model, beam=1, max_length=8)):
        tokens: list[int] = []
        while len(tokens) < 8:
            said = model.next(row, tokens)
            best = max(range(STOP, model.classes), key=said.__getitem__)
            if best == STOP:
                break
            tokens.append(best)
        (hypothesis,) = found
        assert hypothesis.tokens == tuple(tokens)


@pytest.mark.parametrize("beam", [1, 3, 8])
def test_a_batch_is_many_single_searches(toy: Make, beam: int) -> None:
    model = toy(11, inputs=6)
    together = search(model, 6, beam=beam)
    for row, found in enumerate(together):
        (alone,) = search(model.only(row), 1, beam=beam)
        same(found, alone)
    assert len({tuple(h.tokens for h in found) for found in together}) > 1


@pytest.mark.parametrize("beam", [1, 4, 50])
def test_scores_are_sums_of_steps(toy: Make, beam: int) -> None:
    model = toy(5, inputs=4)
    for row, found in enumerate(search(model, 4, beam=beam)):
        assert 1 <= len(found) <= beam
        assert len({h.tokens for h in found}) == len(found)
        ranks = [h.rank(1.0) for h in found]
        assert ranks == sorted(ranks, reverse=True)
        for hypothesis in found:
            expected = model.log_probability(row, hypothesis.tokens)
            assert hypothesis.log_probability == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("beam", [1, 2, 60])
def test_banned_tokens_are_never_written(toy: Make, beam: int) -> None:
    model = toy(3)
    model.table[..., STOP] -= 9.0
    model.table[..., [PAD, START, B]] += 9.0  # what the model would like to write
    for found in search(model, beam=beam, banned=(PAD, START, B)):
        written = {token for h in found for token in h.tokens}
        assert written <= {A, 5} and written


def test_the_stop_is_no_token_even_where_there_are_few(toy: Make) -> None:
    model = toy(2, tokens=1)
    for row, found in enumerate(search(model, beam=10)):
        assert {h.tokens for h in found} == {(A,) * count for count in range(LENGTH + 1)}
        for h in found:
            assert h.log_probability == pytest.approx(
                model.log_probability(row, h.tokens), abs=1e-4
            )


@pytest.mark.parametrize("beam", [1, 2, 5])
def test_the_length_limit_cuts_off(toy: Make, beam: int) -> None:
    model = toy(4)
    model.table[..., STOP] = -30.0
    for row, found in enumerate(search(model, beam=beam, max_length=3)):
        assert len(found) == beam
        for hypothesis in found:
            assert len(hypothesis.tokens) == 3
            expected = model.log_probability(row, hypothesis.tokens)
            assert hypothesis.log_probability == pytest.approx(expected, abs=1e-4)
    assert model.calls == 4


class Script:
    """Given probabilities by what is written; everything else is impossible."""

    def __init__(self, said: dict[tuple[int, ...], dict[int, float]]) -> None:
        self.said = said
        self.calls = 0

    @property
    def step(self) -> MemoryStep:
        return MemoryStep(self._step, None)

    def _step(
        self, tokens: Tensor, _: None, past: tuple[Tensor, ...]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        self.calls += 1
        (history,) = past or (tokens.new_zeros(*tokens.shape, 0),)
        history = torch.cat([history, tokens.unsqueeze(-1)], dim=-1)
        logits = torch.full((*tokens.shape, 5), -math.inf)
        for k, line in enumerate(history[0].tolist()):
            for token, probability in self.said.get(tuple(line[1:]), {}).items():
                logits[0, k, token] = math.log(probability)
        # Dead hypotheses are asked about, too; a real model answers something finite.
        dead = torch.isneginf(logits).all(dim=-1, keepdim=True)
        return logits.masked_fill(dead, 0.0), (history,)


def test_the_search_stops_when_nothing_alive_is_ahead() -> None:
    # After the first step: () with log .6 = -.51; alive A with log .4 / 1 = -.92, behind.
    certain = Script({(): {STOP: 0.6, A: 0.4}, (A,): {STOP: 1.0}})
    ((hypothesis,),) = search(certain, 1, beam=1)
    assert (hypothesis.tokens, certain.calls) == ((), 1)
    # Two wanted: goes on until the second has ended; A's rank log .4 / 2 = -.46 is the better.
    both = Script({(): {STOP: 0.6, A: 0.4}, (A,): {STOP: 1.0}})
    (found,) = search(both, 1, beam=2)
    assert [h.tokens for h in found] == [(A,), ()]
    assert both.calls == 2


def test_more_than_a_beam_may_end_and_the_best_are_kept() -> None:
    # () ends first, A and B together one step later: three for a beam of two.
    script = Script({(): {STOP: 0.4, A: 0.35, B: 0.25}, (A,): {STOP: 1.0}, (B,): {STOP: 1.0}})
    (found,) = search(script, 1, beam=2)
    assert [h.tokens for h in found] == [(A,), (B,)]
    assert [h.log_probability for h in found] == pytest.approx([math.log(0.35), math.log(0.25)])
    assert script.calls == 2


@pytest.mark.parametrize("beam", [1, 3])
def test_where_nothing_is_possible_nothing_is_found(beam: int) -> None:
    assert search(Script({(): {PAD: 1.0}}), 1, beam=beam) == [[]]
    (found,) = search(Script({(): {STOP: 1.0}}), 1, beam=beam)
    assert [(h.tokens, h.log_probability) for h in found] == [((), 0.0)]


def test_an_end_that_is_impossible_is_still_an_answer() -> None:
    (found,) = search(Script({(A,) * n: {A: 1.0} for n in range(LENGTH + 1)}), 1, beam=2)
    assert [(h.tokens, h.log_probability) for h in found] == [((A,) * LENGTH, -math.inf)]


def test_what_the_model_returns_is_not_written_to() -> None:
    logits = torch.randn(2, 1, 6, generator=torch.Generator().manual_seed(0))
    before = logits.clone()

    def step(
        tokens: Tensor, _: Tensor, past: tuple[Tensor, ...]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        return logits, (tokens,)

    forth = Direction(START, STOP, (PAD,))
    search_directions(MemoryStep(step, torch.arange(2)), 2, [forth], beam=1, max_length=2)
    assert torch.equal(logits, before)


@pytest.mark.parametrize("wrong", [{"beam": 0}, {"max_length": 0}])
def test_refuses(toy: Make, wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        search(toy(0), **wrong)


@pytest.mark.parametrize("beam", [1, 3])
def test_each_input_has_its_own_limit(toy: Make, beam: int) -> None:
    limits = [2, 5, 1, 4]
    model = toy(7, inputs=4, length=6)
    for row, found in enumerate(search(model, 4, beam=beam, max_length=limits)):
        same(found, slow_beam(model, row, beam, limits[row], 1.0))
    with pytest.raises(ValueError, match="3 lengths for 4 inputs"):
        search(model, 4, max_length=[1, 2, 3])
