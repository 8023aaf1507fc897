"""InfoNCE over matched cells."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from hmer.selfsup.local_loss import cells_at, local_info_nce


def published(first: Tensor, second: Tensor, valid: Tensor, temperature: float) -> float:
    """Equation 4 of the CPC paper in both directions, term by term."""
    places = [(b, k) for b in range(len(valid)) for k in range(valid.shape[1]) if valid[b, k]]
    total = 0.0
    for mine, others in ((first, second), (second, first)):
        for place in places:
            a = mine[place].double()
            score = {}
            for other in places:
                b = others[other].double()
                score[other] = math.exp(float(a @ b / (a.norm() * b.norm())) / temperature)
            total -= math.log(score[place] / sum(score.values()))
    return total / (2 * len(places))


@pytest.mark.parametrize("temperature", [1.0, 0.1])
def test_is_the_published_formula(temperature: float) -> None:
    torch.manual_seed(0)
    first, second = torch.randn(2, 3, 4, 5)
    valid = torch.tensor([[True, True, False, True], [False] * 4, [True, False, True, False]])
    loss = local_info_nce(first, second, valid, temperature)
    assert float(loss) == pytest.approx(published(first, second, valid, temperature), rel=1e-5)
    torch.testing.assert_close(local_info_nce(second, first, valid, temperature), loss)


def test_places_without_a_match_have_no_influence() -> None:
    torch.manual_seed(0)
    first, second = torch.randn(2, 2, 3, 4)
    valid = torch.tensor([[True, False, True], [False, True, True]])
    loss = local_info_nce(first, second, valid, 0.2)
    first[~valid], second[~valid] = torch.nan, 1e6
    first.requires_grad_()
    again = local_info_nce(first, second, valid, 0.2)
    torch.testing.assert_close(again, loss)
    again.backward()  # type: ignore[no-untyped-call]
    assert first.grad is not None
    assert not first.grad[~valid].any()
    assert (first.grad[valid] != 0).any(dim=-1).all()


@pytest.mark.parametrize("matched", [0, 1])
def test_nothing_to_contrast_is_zero(matched: int) -> None:
    first = torch.randn(2, 3, 4, requires_grad=True)
    valid = torch.zeros(2, 3, dtype=torch.bool)
    valid[1, :matched] = True
    loss = local_info_nce(first, torch.randn(2, 3, 4), valid, 0.2)
    assert loss.item() == 0
    loss.backward()  # type: ignore[no-untyped-call]
    assert first.grad is not None
    assert not first.grad.any()


def test_cells_are_those_of_the_points() -> None:
    torch.manual_seed(0)
    features = torch.randn(2, 5, 3, 4)
    points = torch.rand(2, 30, 2) * torch.tensor([4 * 8.0, 3 * 8.0])
    points[0, 0] = torch.tensor([-2.0, 11.0])
    points[1, 0] = torch.tensor([999.0, 24.0])
    points[1, 1] = torch.tensor([8.0, 7.99])
    found = cells_at(features, points, 8)
    assert found.shape == (2, 30, 5)
    for b in range(2):
        for k in range(30):
            x, y = points[b, k].tolist()
            column, row = min(max(int(x // 8), 0), 3), min(max(int(y // 8), 0), 2)
            assert torch.equal(found[b, k], features[b, :, row, column])
