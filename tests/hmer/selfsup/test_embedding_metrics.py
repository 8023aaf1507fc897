"""Metrics of embeddings, by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from hmer.selfsup.embedding_metrics import ENOUGH, alignment, embedding_metrics, spread, uniformity


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
