"""NT-Xent."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from hmer.selfsup.global_loss import nt_xent


def published(first: Tensor, second: Tensor, temperature: float) -> float:
    """Equation 1 of SimCLR and the sum below it, term by term."""
    z = [row.double() for row in (*first, *second)]
    n = len(first)

    def similarity(i: int, j: int) -> float:
        return float(z[i] @ z[j] / (z[i].norm() * z[j].norm()))

    def loss(i: int, j: int) -> float:
        others = [math.exp(similarity(i, k) / temperature) for k in range(2 * n) if k != i]
        return -math.log(math.exp(similarity(i, j) / temperature) / sum(others))

    return sum(loss(k, k + n) + loss(k + n, k) for k in range(n)) / (2 * n)


@pytest.mark.parametrize(("count", "temperature"), [(2, 1.0), (5, 0.2), (9, 0.07)])
def test_is_the_published_formula(count: int, temperature: float) -> None:
    torch.manual_seed(count)
    first, second = torch.randn(2, count, 6)
    assert float(nt_xent(first, second, temperature)) == pytest.approx(
        published(first, second, temperature), rel=1e-5
    )


def test_negatives_from_memory_are_terms_of_every_anchor() -> None:
    torch.manual_seed(3)
    first, second, memory = torch.randn(4, 6), torch.randn(4, 6), torch.randn(5, 6)
    others = torch.rand(4, 5) < 0.6
    z = [row.double() / row.double().norm() for row in (*first, *second)]
    m = [row.double() / row.double().norm() for row in memory]
    total = 0.0
    for i in range(8):
        terms = [math.exp(float(z[i] @ z[k]) / 0.2) for k in range(8) if k != i]
        terms += [math.exp(float(z[i] @ m[q]) / 0.2) for q in range(5) if others[i % 4, q]]
        total -= math.log(math.exp(float(z[i] @ z[(i + 4) % 8]) / 0.2) / sum(terms))
    found = nt_xent(first, second, 0.2, 9 * memory, others)
    assert float(found) == pytest.approx(total / 8, rel=1e-5)
    nothing = torch.zeros(4, 5, dtype=torch.bool)
    torch.testing.assert_close(
        nt_xent(first, second, 0.2, memory, nothing), nt_xent(first, second, 0.2)
    )
    alone = nt_xent(first[:1], second[:1], 0.2, memory)
    assert float(alone) > 0


def test_symmetries() -> None:
    torch.manual_seed(0)
    first, second = torch.randn(2, 5, 6)
    loss = nt_xent(first, second, 0.3)
    order = torch.randperm(5)
    torch.testing.assert_close(nt_xent(second, first, 0.3), loss)
    torch.testing.assert_close(nt_xent(first[order], second[order], 0.3), loss)
    torch.testing.assert_close(nt_xent(7 * first, 0.1 * second, 0.3), loss)
    assert nt_xent(first, second[order], 0.3) != loss


def test_two_by_hand() -> None:
    # Partners agree and the others are at a right angle: e^1 against e^1 + 2 e^0.
    views = torch.eye(2)
    assert float(nt_xent(views, views, 1.0)) == pytest.approx(math.log((math.e + 2) / math.e))


def test_refuses() -> None:
    with pytest.raises(ValueError, match="at least two"):
        nt_xent(torch.randn(1, 4), torch.randn(1, 4), 0.2)
    with pytest.raises(ValueError, match="different shapes"):
        nt_xent(torch.randn(3, 4), torch.randn(2, 4), 0.2)
