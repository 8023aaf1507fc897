"""InfoNCE against keys."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from hmer.selfsup.key_loss import key_info_nce


def published(
    queries: Tensor, keys: Tensor, temperature: float, memory: Tensor, others: Tensor
) -> float:
    """Equation 1 of MoCo, term by term; negatives of the batch and of the memory."""

    def similarity(a: Tensor, b: Tensor) -> float:
        a, b = a.double(), b.double()
        return float(a @ b / (a.norm() * b.norm()))

    total = 0.0
    for i, query in enumerate(queries):
        scores = [math.exp(similarity(query, key) / temperature) for key in keys]
        scores += [
            math.exp(similarity(query, key) / temperature)
            for q, key in enumerate(memory)
            if others[i, q]
        ]
        total -= math.log(scores[i] / sum(scores))
    return total / len(queries)


@pytest.mark.parametrize(("count", "held"), [(4, 0), (4, 6), (1, 3)])
def test_is_the_published_formula(count: int, held: int) -> None:
    torch.manual_seed(count)
    queries, keys = torch.randn(2, count, 5)
    memory, others = torch.randn(held, 5), torch.rand(count, held) < 0.7
    others[:, :1] = True
    found = key_info_nce(queries, keys, 0.3, memory, others)
    wanted = published(queries, keys, 0.3, memory, others)
    assert float(found) == pytest.approx(wanted, rel=1e-5)


def test_no_gradient_reaches_keys() -> None:
    torch.manual_seed(0)
    tensors = [torch.randn(3, 4, requires_grad=True) for _ in range(3)]
    loss = key_info_nce(tensors[0], tensors[1], 0.2, tensors[2])
    loss.backward()  # type: ignore[no-untyped-call]
    assert tensors[0].grad is not None
    assert tensors[1].grad is None
    assert tensors[2].grad is None


def test_refuses() -> None:
    with pytest.raises(ValueError, match="at least two"):
        key_info_nce(torch.randn(1, 4), torch.randn(1, 4), 0.2)
    with pytest.raises(ValueError, match="different shapes"):
        key_info_nce(torch.randn(3, 4), torch.randn(2, 4), 0.2)
