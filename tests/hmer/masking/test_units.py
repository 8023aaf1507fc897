"""Choosing pieces of ink."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hmer.masking.units import choose, hidden_share


def slowly(mass: list[float], share: float, keys: list[float]) -> list[bool]:
    """The rule, piece by piece."""
    inked = [u for u in range(len(mass)) if mass[u] > 0]
    hidden = [False] * len(mass)
    gone = 0.0
    for unit in sorted(inked, key=lambda u: keys[u])[:-1]:
        if gone >= share * sum(mass) * (1 - 1e-6):
            break
        hidden[unit] = True
        gone += mass[unit]
    return hidden


@settings(deadline=None, max_examples=50)
@given(seed=st.integers(0, 10_000), percent=st.integers(0, 100), units=st.integers(1, 9))
def test_is_the_rule(seed: int, percent: int, units: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    mass = torch.rand(4, units, generator=generator)
    mass[torch.rand(4, units, generator=generator) < 0.3] = 0.0
    keys = torch.rand(4, units, generator=generator) * 1e9
    share = percent / 100
    found = choose(mass, share, keys)
    for b in range(4):
        assert found[b].tolist() == slowly(mass[b].tolist(), share, keys[b].tolist())


def test_by_hand() -> None:
    mass = torch.tensor([[4.0, 0.0, 2.0, 2.0]]).expand(4, -1)
    keys = torch.tensor([[3.0, 0.0, 1.0, 2.0]]).expand(4, -1)
    shares = (0.0, 0.25, 0.26, 1.0)
    found = [choose(mass[:1], share, keys[:1])[0].tolist() for share in shares]
    assert found == [
        [False] * 4,
        [False, False, True, False],
        [False, False, True, True],
        [False, False, True, True],  # the last piece stays
    ]


def test_hidden_share_by_hand() -> None:
    images = torch.zeros(3, 1, 2, 2)
    images[0, 0] = torch.tensor([[1.0, 0.5], [0.0, 0.5]])
    images[1, 0, 0, 0] = 1.0
    hidden = torch.zeros(3, 1, 2, 2, dtype=torch.bool)
    hidden[:, :, 0] = True
    assert hidden_share(images, hidden).tolist() == pytest.approx([0.75, 1.0, 0.0])


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_refuses(share: float) -> None:
    with pytest.raises(ValueError, match="share"):
        choose(torch.ones(1, 2), share, torch.ones(1, 2))
