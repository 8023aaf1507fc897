"""Blocks drawn with the attention map."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from hmer.masking.guided import FLOOR, hide_guided
from hmer.masking.units import hidden_share


def dots(count: int) -> Tensor:
    """`count` equal dots, one in the middle of each cell of 8 pixels."""
    images = torch.zeros(1, 1, 8, 8 * count)
    images[..., 4, 4::8] = 1.0
    return images


def frequencies(attention: Tensor, share: float, draws: int = 1500) -> Tensor:
    """How often each dot is hidden; one pixel wide blocks, so that no two dots share one."""
    count = attention.shape[-1]
    images = dots(count).expand(draws, -1, -1, -1)
    torch.manual_seed(0)
    masked, hidden = hide_guided(images, attention.expand(draws, -1, -1), share, 1)
    assert torch.equal(masked, images.masked_fill(hidden, 0.0))
    return 1 - masked[:, 0, 4, 4::8].mean(dim=0)


def test_one_block_is_drawn_in_proportion_to_the_map() -> None:
    attention = torch.tensor([[[0.1, 0.2, 0.3, 0.4]]])
    found = frequencies(attention, 0.2)
    torch.testing.assert_close(found, attention[0, 0], atol=0.04, rtol=0)


def test_two_blocks_are_drawn_without_replacement() -> None:
    p = [0.1, 0.2, 0.3, 0.4]
    wanted = [p[k] + sum(p[j] * p[k] / (1 - p[j]) for j in range(4) if j != k) for k in range(4)]
    found = frequencies(torch.tensor([[p]]), 0.5)
    torch.testing.assert_close(found, torch.tensor(wanted), atol=0.04, rtol=0)


def test_what_nobody_looks_at_has_its_turn_too() -> None:
    found = frequencies(torch.tensor([[[0.0, 1.0]]]), 0.4, draws=4000)
    # The mean weight of the two blocks is a half.
    least = FLOOR * 0.5
    assert float(found[0]) == pytest.approx(least / (1 + least), abs=0.01)


def test_a_map_of_nothing_leaves_blocks_alike() -> None:
    found = frequencies(torch.zeros(1, 1, 4), 0.2)
    torch.testing.assert_close(found, torch.full((4,), 0.25), atol=0.04, rtol=0)


def test_the_share_is_met_and_the_last_block_stays() -> None:
    torch.manual_seed(1)
    images = (torch.rand(6, 1, 24, 48) < 0.1).float()
    attention = torch.rand(6, 3, 6)
    for share in (0.0, 0.3, 0.8):
        _, hidden = hide_guided(images, attention, share, 5)
        found = hidden_share(images, hidden)
        assert (found >= share - 1e-5).all()
        assert (found <= share + 0.15).all()
    masked, _ = hide_guided(images, attention, 1.0, 5)
    assert (masked.flatten(1).sum(dim=1) > 0).all()
    blank, hidden = hide_guided(torch.zeros(1, 1, 24, 48), attention[:1], 0.5, 5)
    assert not hidden.any()
    assert not blank.any()


def test_refuses() -> None:
    with pytest.raises(ValueError, match="3 x 5 cells"):
        hide_guided(dots(4), torch.ones(1, 3, 5), 0.5, 2)
    with pytest.raises(ValueError, match="share"):
        hide_guided(dots(4), torch.ones(1, 1, 4), 1.5, 2)
