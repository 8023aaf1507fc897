"""The attention network against a slow one, and what it may not depend on."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from hmer.errors import HmerError
from hmer.models.common.attention import AttentionConfig, AttentionNetwork
from hmer.models.common.ink_cells import Cells

CHANNELS = 8


def network(seed: int = 0, heads: int = 2) -> AttentionNetwork:
    """A network whose every weight is random: a fresh one adds nothing yet."""
    torch.manual_seed(seed)
    made = AttentionNetwork(CHANNELS, AttentionConfig(heads=heads, hidden=8))
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.normal_(std=0.7)
    return made.eval()


def some_input(seed: int = 0) -> tuple[Tensor, Cells, Tensor]:
    """Features, cells, and which of these attention may fall on (not all)."""
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(2, CHANNELS, 4, 5, generator=generator)
    chosen = torch.rand(2, 4, 5, generator=generator) < torch.tensor([0.8, 0.4])[:, None, None]
    cells = Cells.where(chosen)
    attendable = cells.valid & (torch.rand(cells.valid.shape, generator=generator) < 0.6)
    attendable[:, 0] = True
    return features, cells, attendable


def slow(
    made: AttentionNetwork, features: Tensor, cells: Cells, attendable: Tensor, b: int
) -> tuple[dict[int, float], dict[int, Tensor]]:
    """Map and attended features of image b by cell of the sequence, one number at a time."""
    scores = made.score(features)[b, 0].flatten().tolist()
    index = cells.index[b].tolist()
    keys = attendable[b].nonzero().flatten().tolist()
    total = sum(math.exp(scores[index[m]]) for m in keys)
    heat = {m: math.exp(scores[index[m]]) / total for m in keys}
    flat = features[b].flatten(1).T
    code = cells.code(CHANNELS)[b]
    size = CHANNELS // made.heads
    attended = {}
    for m in cells.valid[b].nonzero().flatten().tolist():
        query = made.queries_keys(made.norm(flat[index[m]]) + code[m])[:CHANNELS]
        context = []
        for head in range(made.heads):
            part = slice(head * size, (head + 1) * size)
            weights, answers = [], []
            for k in keys:
                x = made.norm(flat[index[k]])
                key = made.queries_keys(x + code[k])[CHANNELS:]
                match = float(query[part] @ key[part]) / math.sqrt(size)
                weights.append(heat[k] * math.exp(match))
                answers.append(made.values(x)[part])
            share = [weight / sum(weights) for weight in weights]
            context.append(torch.stack([w * a for w, a in zip(share, answers, strict=True)]).sum(0))
        attended[m] = flat[index[m]] + made.merge(torch.cat(context))
    return heat, attended


@torch.no_grad()
@pytest.mark.parametrize("heads", [1, 2])
def test_slow_attention_agrees(heads: int) -> None:
    made = network(heads=heads)
    features, cells, attendable = some_input()
    found = made(features, cells, attendable)
    for b in range(2):
        heat, attended = slow(made, features, cells, attendable, b)
        assert 2 <= len(heat) < int(cells.valid[b].sum())
        for m, value in heat.items():
            assert float(found.log_map[b, m].exp()) == pytest.approx(value, rel=1e-4)
        for m, cell in attended.items():
            torch.testing.assert_close(found.features[b, m], cell, rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_the_map_is_a_distribution_over_what_may_be_attended() -> None:
    features, cells, attendable = some_input(1)
    heat = network()(features, cells, attendable).log_map.exp()
    assert heat.sum(dim=1).tolist() == pytest.approx([1.0, 1.0])
    assert (heat[attendable] > 0).all()
    assert not heat[~attendable].any()


@torch.no_grad()
def test_what_may_not_be_attended_is_not_looked_at() -> None:
    made = network()
    features = torch.randn(1, CHANNELS, 1, 9, generator=torch.Generator().manual_seed(4))
    cells = Cells.where(torch.ones(1, 1, 9, dtype=torch.bool))
    attendable = cells.valid.clone()
    attendable[0, 6:] = False
    before = made(features, cells, attendable)
    features[..., 8] += 3.0  # two cells from the nearest attendable one: beyond the map's reach
    after = made(features, cells, attendable)
    torch.testing.assert_close(after.features[:, :8], before.features[:, :8])
    assert not torch.allclose(after.features[:, 8], before.features[:, 8])
    torch.testing.assert_close(after.log_map, before.log_map)


@torch.no_grad()
def test_a_fresh_network_leaves_the_cells_as_they_are() -> None:
    features, cells, attendable = some_input()
    fresh = AttentionNetwork(CHANNELS, AttentionConfig(heads=2, hidden=8))
    assert torch.equal(fresh(features, cells, attendable).features, cells.gather(features))


@torch.no_grad()
def test_company_does_not_matter() -> None:
    made = network()
    generator = torch.Generator().manual_seed(2)
    own = torch.randn(1, CHANNELS, 4, 5, generator=generator)
    chosen = torch.rand(1, 4, 5, generator=generator) < 0.5
    together = torch.zeros(2, CHANNELS, 8, 11)
    together[0, :, :4, :5] = own[0]
    together[1] = torch.randn(CHANNELS, 8, 11, generator=generator)
    both = torch.ones(2, 8, 11, dtype=torch.bool)
    both[0] = False
    both[0, :4, :5] = chosen[0]
    alone_cells, both_cells = Cells.where(chosen), Cells.where(both)
    alone = made(own, alone_cells, alone_cells.valid)
    batched = made(together, both_cells, both_cells.valid)
    count = int(chosen.sum())
    assert batched.features.shape[1] > alone.features.shape[1] >= count > 0
    torch.testing.assert_close(batched.features[0, :count], alone.features[0, :count])
    torch.testing.assert_close(batched.log_map[0, :count], alone.log_map[0, :count])
    assert torch.isneginf(batched.log_map[0, count:]).all()


def test_gradients_are_finite_beside_what_is_shut_out() -> None:
    made = network()
    features, cells, attendable = some_input(3)
    found = made(features, cells, attendable)
    (found.features[cells.valid].sum() + found.log_map[attendable].sum()).backward()
    for name, parameter in made.named_parameters():
        assert parameter.grad is not None and torch.isfinite(parameter.grad).all(), name


def test_heads_must_divide_the_channels() -> None:
    with pytest.raises(HmerError, match=r"attention\.heads: .* 8 channels .* 3 heads"):
        AttentionNetwork(CHANNELS, AttentionConfig(heads=3))
