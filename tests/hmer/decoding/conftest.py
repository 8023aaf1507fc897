"""A toy language model that remembers two tokens and knows its position."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence

import pytest
import torch
from torch import Tensor

from hmer.models.step import MemoryStep

PAD, START, STOP = 0, 1, 2


class Toy:
    """Random logits by input, position and the last two tokens; its cache is what was written."""

    def __init__(self, seed: int, inputs: int = 2, tokens: int = 3, length: int = 4) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.classes = 3 + tokens
        shape = (inputs, length + 1, self.classes, self.classes, self.classes)
        self.table = 1.5 * torch.randn(shape, generator=generator)
        self.calls = 0

    @property
    def step(self) -> MemoryStep:
        """For a search."""
        return MemoryStep(self._step, torch.arange(len(self.table)))

    def _step(
        self, tokens: Tensor, memory: Tensor, past: tuple[Tensor, ...]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Logits for the next token."""
        self.calls += 1
        (history,) = past or (tokens.new_zeros(*tokens.shape, 0),)
        history = torch.cat([history, tokens.unsqueeze(-1)], dim=-1)
        older = history[..., -2] if history.shape[-1] > 1 else torch.zeros_like(tokens)
        return self.table[memory[:, None], history.shape[-1] - 1, older, tokens], (history,)

    def only(self, row: int) -> Toy:
        """The model of one input."""
        alone = Toy(0, 1)
        alone.classes, alone.table = self.classes, self.table[row : row + 1]
        return alone

    def next(self, row: int, written: Sequence[int], start: int = START) -> list[float]:
        """Log-probabilities after `written`, computed number by number."""
        older, last = [PAD, start, *written][-2:]
        logits = self.table[row, len(written), older, last].tolist()
        total = math.log(sum(math.exp(x) for x in logits))
        return [x - total for x in logits]

    def log_probability(
        self, row: int, tokens: Sequence[int], start: int = START, stop: int = STOP
    ) -> float:
        """Of a whole sequence and its stop."""
        whole = [*tokens, stop]
        return sum(self.next(row, whole[:i], start)[token] for i, token in enumerate(whole))

    def sequences(self, length: int) -> Iterator[tuple[int, ...]]:
        """All sequences of at most `length` tokens."""
        for count in range(length + 1):
            yield from itertools.product(range(3, self.classes), repeat=count)


@pytest.fixture
def toy() -> Callable[..., Toy]:
    """Makes toy models: `toy(seed, inputs=2, tokens=3, length=4)`."""
    return Toy
