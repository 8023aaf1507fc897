"""Losses of both phases, against slow references and by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from hmer.selfsup.losses import (
    ENOUGH,
    alignment,
    cells_at,
    embedding_metrics,
    evenness,
    evenness_penalty,
    ink_mean,
    local_info_nce,
    nt_xent,
    projector,
    spread,
    uniformity,
)


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


def cpc(first: Tensor, second: Tensor, valid: Tensor, temperature: float) -> float:
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
def test_local_is_the_published_formula(temperature: float) -> None:
    torch.manual_seed(0)
    first, second = torch.randn(2, 3, 4, 5)
    valid = torch.tensor([[True, True, False, True], [False] * 4, [True, False, True, False]])
    loss = local_info_nce(first, second, valid, temperature)
    assert float(loss) == pytest.approx(cpc(first, second, valid, temperature), rel=1e-5)
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


def test_by_hand() -> None:
    nowhere = 0.0
    maps = torch.tensor(
        [
            [0.25, 0.25, 0.25, 0.25],
            [0.5, 0.5, nowhere, nowhere],
            [1.0 - 3e-20, 1e-20, 1e-20, 1e-20],
            [0.5, 0.25, 0.25, nowhere],
            [1.0, nowhere, nowhere, nowhere],
        ]
    )
    three = (0.5 * math.log(2) + 0.5 * math.log(4)) / math.log(3)
    assert evenness(maps.log()).tolist() == pytest.approx([1, 1, 0, three, 1], abs=1e-5)


def test_gradient_is_finite_beside_forbidden_cells() -> None:
    scores = torch.randn(2, 5, requires_grad=True)
    allowed = torch.tensor([[True, True, True, False, False], [True, False, False, False, False]])
    log_map = scores.masked_fill(~allowed, -torch.inf).log_softmax(dim=1)
    evenness(log_map).sum().backward()  # type: ignore[no-untyped-call]
    assert scores.grad is not None
    assert torch.isfinite(scores.grad).all()
    assert (scores.grad[0, :3] != 0).all()
    assert not scores.grad[~allowed].any()


def test_penalty_is_zero_inside_the_band() -> None:
    inside = torch.tensor([0.5, 0.7, 0.9])
    assert float(evenness_penalty(inside, 0.5, 0.9)) == 0
    # (0.2 below)^2, (0.1 above)^2 and one inside, averaged.
    outside = torch.tensor([0.3, 1.0, 0.6])
    assert float(evenness_penalty(outside, 0.5, 0.9)) == pytest.approx((0.04 + 0.01) / 3)


def test_mean_over_the_chosen_cells_only() -> None:
    features = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]], [[10.0, 0.0], [0.0, 30.0]]]] * 2)
    features[1, :, 0, 1] = 1e30
    cells = torch.tensor([[[True, True], [True, True]], [[True, False], [False, True]]])
    torch.testing.assert_close(ink_mean(features, cells), torch.tensor([[2.5, 10], [2.5, 20]]))


def test_rows_do_not_depend_on_each_other() -> None:
    torch.manual_seed(0)
    head = projector(6, 12, 4)
    rows = torch.randn(5, 3, 6)
    assert head(rows).shape == (5, 3, 4)
    torch.testing.assert_close(head(rows)[2, 1], head(rows[2, 1]))
    assert not torch.allclose(head(2 * rows) - head(rows), head(rows) - head(0 * rows), atol=1e-4)


def test_spread_by_hand() -> None:
    assert spread(torch.ones(5, 3) * torch.arange(1, 6)[:, None]).item() < 1e-6
    # Both channels hold 1, -1, 0, 0, of variance 2/3; times the square root of two channels.
    cross = torch.tensor([[1.0, 0], [-1, 0], [0, 5], [0, -5]])
    assert spread(cross).item() == pytest.approx(math.sqrt(2 / 3) * math.sqrt(2))
    torch.manual_seed(0)
    assert spread(torch.randn(4000, 16)).item() == pytest.approx(1, abs=0.02)


def unit(rows: Tensor) -> list[list[float]]:
    return [[float(x) / float(row.norm()) for x in row] for row in rows.double()]


def test_alignment_and_uniformity_are_the_published_formulas() -> None:
    torch.manual_seed(1)
    first, second = torch.randn(2, 7, 5)
    x, y = unit(first), unit(second)
    near = sum(math.dist(a, b) ** 2 for a, b in zip(x, y, strict=True)) / 7
    assert float(alignment(first, second)) == pytest.approx(near, rel=1e-5)
    pairs = [math.exp(-2 * math.dist(x[i], x[j]) ** 2) for i in range(7) for j in range(i)]
    assert float(uniformity(first)) == pytest.approx(math.log(sum(pairs) / 21), rel=1e-5)


def test_the_extremes() -> None:
    one = torch.ones(4, 3)
    assert float(alignment(one, 5 * one)) == pytest.approx(0, abs=1e-6)
    assert float(alignment(one, -one)) == pytest.approx(4)
    assert float(uniformity(one)) == pytest.approx(0, abs=1e-5)
    # Points on a sphere of many dimensions are all at right angles: squared distance 2.
    torch.manual_seed(0)
    assert float(uniformity(torch.randn(200, 2048))) == pytest.approx(-4, abs=0.05)


def test_health() -> None:
    first, second = torch.randn(2, ENOUGH + 5, 4, requires_grad=True)
    found = embedding_metrics(first, second, "_local")
    assert set(found) == {"spread_local", "alignment_local", "uniformity_local"}
    assert not any(value.requires_grad for value in found.values())
    part = embedding_metrics(first[:ENOUGH], second[:ENOUGH], "_local")
    assert all(torch.equal(found[name], part[name]) for name in found)
    assert embedding_metrics(first[:1], second[:1]) == {}
