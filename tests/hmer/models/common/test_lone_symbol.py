"""The classifier of single symbols."""

from __future__ import annotations

import torch

from hmer.models.common.lone_symbol import POOLED, LoneSymbol, pooled


def test_mean_and_maximum_of_the_ink_cells_alone() -> None:
    generator = torch.Generator().manual_seed(0)
    features, attended = (torch.randn(3, 5, 4, generator=generator) for _ in range(2))
    valid = torch.tensor([[True] * 5, [True, True, False, False, False], [True] + [False] * 4])
    attended[~valid] = torch.inf  # padding may hold anything
    found = pooled(features, attended, valid)
    assert found.shape == (3, POOLED * 4)
    for row in range(3):
        expected: list[float] = []
        for kind in (features, attended):
            cells = [kind[row, cell] for cell in range(5) if valid[row, cell]]
            expected += [sum(float(c[i]) for c in cells) / len(cells) for i in range(4)]
            expected += [max(float(c[i]) for c in cells) for i in range(4)]
        torch.testing.assert_close(found[row], torch.tensor(expected))


def test_a_logit_for_each_token_and_each_letter() -> None:
    layer = LoneSymbol(2, 7)
    seen = torch.randn(3, 8)
    found = layer(seen)
    assert found.shape == (3, 2, 7)
    torch.testing.assert_close(found[:, 1], layer.letter(seen))
