"""Evenness of attention maps."""

from __future__ import annotations

import math

import pytest
import torch

from hmer.selfsup.map_regulariser import evenness, evenness_penalty


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
