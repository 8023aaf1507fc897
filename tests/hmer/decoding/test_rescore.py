"""Scores of given sequences, and that each common beginning is asked for once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from hmer.decoding.rescore import score_sequences
from hmer.models.step import MemoryStep

SOS, EOS, A, B = 1, 2, 3, 4
Make = Callable[..., Any]
GIVEN: list[list[tuple[int, ...]]] = [
    [(SOS, A, B, EOS), (SOS, EOS), (EOS, B, B, 5, A, SOS), (SOS, A, 5, EOS)],
    [],
    [(SOS, 5, EOS)],
]


def expected(model: Any, row: int) -> list[float]:
    return [model.log_probability(row, s[1:-1], s[0], s[-1]) for s in GIVEN[row]]


def test_given_sequences_are_scored(toy: Make) -> None:
    model = toy(1, inputs=3)
    found = score_sequences(model.step, GIVEN)
    assert [len(row) for row in found] == [4, 0, 1]
    for row, scores in enumerate(found):
        assert scores == pytest.approx(expected(model, row), abs=1e-5)


def test_inputs_leave_with_their_longest_sequence(toy: Make) -> None:
    model = toy(1, inputs=3)
    asked: list[tuple[int, int]] = []

    def step(
        tokens: Tensor, memory: Tensor, past: tuple[Tensor, ...]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        (history,) = past or (tokens.new_zeros(*tokens.shape, 0),)
        history = torch.cat([history, tokens.unsqueeze(-1)], dim=-1)
        older = history[..., -2] if history.shape[-1] > 1 else torch.zeros_like(tokens)
        asked.append((len(tokens), tokens.shape[1]))
        return model.table[memory[:, None], history.shape[-1] - 1, older, tokens], (history,)

    found = score_sequences(MemoryStep(step, torch.arange(3)), GIVEN)
    for row, scores in enumerate(found):
        assert scores == pytest.approx(expected(model, row), abs=1e-5)
    # Inputs and nodes by depth: two starts; A and B; B, 5 and B; then only EOS B B 5 A SOS.
    assert asked == [(2, 2), (2, 2), (1, 3), (1, 1), (1, 1)]


def test_nothing_to_score(toy: Make) -> None:
    assert score_sequences(toy(0).step, [[], []]) == [[], []]
    assert score_sequences(toy(0, inputs=0).step, []) == []
