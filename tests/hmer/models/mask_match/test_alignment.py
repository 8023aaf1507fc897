"""Guided attention, against a slow double loop and a hand-worked case."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from hmer.data.collate import UNKNOWN, both_directions
from hmer.models.mask_match.decoder import alignment_loss


def slow(attention: Tensor, places: Tensor, captions: list[list[int]]) -> float:
    """Caption by caption, direction by direction, token by token."""
    terms = []
    for row, caption in enumerate(captions):
        for backwards in (False, True):
            for step in range(len(caption)):
                place = len(caption) - 1 - step if backwards else step
                cells = [m for m, at in enumerate(places[row].tolist()) if at == place]
                if cells:
                    looked = attention[row + backwards * len(captions), step, cells]
                    terms.append(-math.log(float(looked.sum())))
    return float(np.mean(terms))


def test_like_the_double_loop() -> None:
    generator = torch.Generator().manual_seed(5)
    captions = [[7, 8, 9], [5], [4, 4, 6, 7, 8, 9, 5, 3, 4]]
    places = torch.randint(-1, 9, (3, 20), generator=generator)
    places[places < 0] = UNKNOWN
    _, targets = both_directions(captions)
    logits = torch.randn(6, targets.shape[1], 20, generator=generator)
    attention = logits.softmax(dim=-1)
    found = alignment_loss(attention, places, targets)
    assert float(found) == pytest.approx(slow(attention, places, captions), rel=1e-5)


def test_by_hand() -> None:
    # Two tokens, three cells: the first token in cell 2, the second unknown.
    _, targets = both_directions([[7, 8]])
    places = torch.tensor([[UNKNOWN, UNKNOWN, 0]])
    attention = torch.zeros(2, targets.shape[1], 3)
    attention[0, 0] = torch.tensor([0.25, 0.25, 0.5])  # forwards, it is written first
    attention[1, 1] = torch.tensor([0.0, 0.75, 0.25])  # backwards, last
    wanted = -(math.log(0.5) + math.log(0.25)) / 2
    assert float(alignment_loss(attention, places, targets)) == pytest.approx(wanted)


def test_nothing_known_costs_nothing_and_has_a_gradient() -> None:
    _, targets = both_directions([[7, 8]])
    attention = torch.full((2, targets.shape[1], 3), 1 / 3, requires_grad=True)
    loss = alignment_loss(attention, torch.full((1, 3), UNKNOWN), targets)
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.item() == 0.0
    assert attention.grad is not None and not attention.grad.any()


def test_a_share_of_zero_stays_finite() -> None:
    _, targets = both_directions([[7]])
    attention = torch.zeros(2, targets.shape[1], 2)
    attention[..., 0] = 1.0
    loss = alignment_loss(attention, torch.tensor([[UNKNOWN, 0]]), targets)
    assert math.isfinite(float(loss)) and float(loss) > 10
