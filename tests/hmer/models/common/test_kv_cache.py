"""Shared histories against a cache for every hypothesis."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from hmer.models.common.kv_cache import History
from hmer.models.step import reorder

INPUTS, WIDTH, HEADS = 3, 8, 2


def attention(query: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Of one query (width,) over keys and values (t, width)."""
    parts = []
    for part in torch.arange(WIDTH).chunk(HEADS):
        weights = (keys[:, part] @ query[part] / len(part) ** 0.5).softmax(0)
        parts.append(weights @ values[:, part])
    return torch.cat(parts)


class Own:
    """A list of keys and values for each hypothesis of each input."""

    def __init__(self) -> None:
        self.rows: list[list[list[tuple[Tensor, Tensor]]]] = []

    def write(self, key: Tensor, value: Tensor) -> None:
        batch, rows, _, _ = key.shape
        self.rows = self.rows or [[[] for _ in range(rows)] for _ in range(batch)]
        for i in range(batch):
            for k in range(rows):
                self.rows[i][k] = [*self.rows[i][k], (key[i, k, 0], value[i, k, 0])]

    def attend(self, query: Tensor) -> Tensor:
        batch, rows, _, _ = query.shape
        out = torch.empty_like(query)
        for i in range(batch):
            for k in range(rows):
                keys, values = (torch.stack([pair[n] for pair in self.rows[i][k]]) for n in (0, 1))
                out[i, k, 0] = attention(query[i, k, 0], keys, values)
        return out

    def reorder(self, inputs: Tensor, origin: Tensor) -> None:
        self.rows = [
            [self.rows[i][k] for k in line]
            for i, line in zip(inputs.tolist(), origin.tolist(), strict=True)
        ]


@pytest.mark.parametrize("seed", range(3))
@torch.inference_mode()
def test_like_a_cache_for_each(seed: int) -> None:
    """A search of 40 steps: hypotheses come and go, inputs leave."""
    draw = torch.Generator().manual_seed(seed)
    own, past = Own(), None
    batch, rows = INPUTS, 1
    for step in range(40):
        query, key, value = torch.randn(3, batch, rows, 1, WIDTH, generator=draw)
        past = History.grown(past, 2, key)
        for layer in (0, 1):
            past.write(layer, torch.cat([key, (1 - layer) * value], dim=-1))
        own.write(key, value)
        said = past.attend(0, query, HEADS)
        torch.testing.assert_close(said, own.attend(query), rtol=1e-4, atol=1e-5)
        assert not past.attend(1, query, HEADS).any()
        assert past.shape == (batch, rows, 2, len(own.rows[0][0]), WIDTH)
        inputs = torch.arange(batch)
        if step in (12, 25):
            inputs = inputs[torch.arange(batch) != step % batch]
        width = (1, 4, 4, 2, 5)[step % 5]
        origin = torch.randint(rows, (len(inputs), width), generator=draw)
        (past,) = reorder((past,), inputs, origin)
        own.reorder(inputs, origin)
        batch, rows = len(inputs), width


def written(past: History | None, rows: int) -> History:
    """A step of one input and one layer."""
    pairs = torch.randn(1, rows, 1, 2 * WIDTH)
    found = History.grown(past, 1, pairs[..., :WIDTH])
    found.write(0, pairs)
    return found


@torch.inference_mode()
def test_what_nobody_sees_is_dropped() -> None:
    past: History | None = None
    for _ in range(300):
        past = written(past, rows=10)
        past = past.reorder(torch.tensor([0]), torch.zeros(1, 10, dtype=torch.int64))
    assert past is not None and past.length == 300
    assert past.room.stores[0].shape[2] < 900  # of 3000 that were written


@torch.inference_mode()
def test_two_futures_of_one_past() -> None:
    start = written(None, rows=2)
    query = torch.randn(1, 2, 1, WIDTH)
    futures, said = [], []
    for _ in range(2):
        futures.append(written(start, rows=2))
        said.append(futures[-1].attend(0, query, HEADS))
    assert not torch.equal(*said)
    for future, before in zip(futures, said, strict=True):
        assert torch.equal(future.attend(0, query, HEADS), before)
