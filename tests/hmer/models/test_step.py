"""Rows of memories and caches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor

from hmer.decoding.beam import Direction, search_directions
from hmer.models.step import MemoryStep, reorder, select


class Pair(NamedTuple):
    first: Tensor
    second: tuple[Tensor, ...]


@dataclass(frozen=True, slots=True)
class Box:
    pair: Pair
    grid: tuple[int, int]
    nothing: Tensor | None


def test_rows_of_a_tree() -> None:
    numbers = torch.arange(12).view(3, 4)
    box = Box(Pair(numbers, (numbers + 1,)), (3, 4), None)
    found = select(box, torch.tensor([2, 0]))
    assert isinstance(found, Box) and isinstance(found.pair, Pair)
    expected = numbers[[2, 0]]
    assert torch.equal(found.pair.first, expected)
    assert torch.equal(found.pair.second[0], expected + 1)
    assert (found.grid, found.nothing) == ((3, 4), None)
    assert torch.equal(box.pair.first, numbers)


@pytest.mark.parametrize("contiguous", [True, False])
def test_caches_follow_their_hypotheses(contiguous: bool) -> None:
    cache = torch.randn(3, 2, 5, 4)
    if not contiguous:
        cache = torch.randn(3, 2, 4, 5).transpose(2, 3)
    inputs, origin = torch.tensor([0, 2]), torch.tensor([[1, 1, 0], [0, 1, 1]])
    (found,) = reorder((cache,), inputs, origin)
    for i, row in enumerate((0, 2)):
        for k in range(3):
            assert torch.equal(found[i, k], cache[row, origin[i, k]])
    step = MemoryStep(lambda *_: (cache, ()), None)
    assert step.reorder((cache,), np.arange(3), np.array([[0, 1]] * 3))[0] is cache
    moved = step.reorder((cache,), inputs.numpy(), origin.numpy())
    assert torch.equal(moved[0], found)


def test_inputs_leave_the_batch_when_they_are_done() -> None:
    """Input i stops after i tokens; one direction of the last input a token later."""
    sizes: list[tuple[int, int]] = []

    def step(tokens: Tensor, memory: Tensor, past: Any) -> tuple[Tensor, tuple[Tensor, ...]]:
        (history,) = past or (tokens.new_zeros(*tokens.shape, 0),)
        history = torch.cat([history, tokens.unsqueeze(-1)], dim=-1)
        sizes.append((len(tokens), tokens.shape[1]))
        length = history.shape[-1] - 1
        logits = torch.zeros(*tokens.shape, 5)
        logits[..., 3] = 20.0
        late = (history[..., 0] == 2) & (memory == 2)[:, None]
        over = length >= memory[:, None] + late.long()
        logits[..., 1:3] = torch.where(over, 40.0, -40.0).unsqueeze(-1)
        return logits, (history,)

    found = search_directions(
        MemoryStep(step, torch.arange(3)), 3,
        [Direction(1, 2, (0, 1)), Direction(2, 1, (0, 2))],
        beam=1, max_length=9,
    )  # fmt: skip
    lengths = [[len(one[0].tokens) for one in row] for row in found]
    assert lengths == [[0, 0], [1, 1], [2, 3]]
    assert sizes == [(3, 2), (2, 2), (1, 2), (1, 1)]
