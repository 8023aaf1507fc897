"""Pooling over ink."""

from __future__ import annotations

import torch

from hmer.selfsup.pooling import ink_mean


def test_mean_over_the_chosen_cells_only() -> None:
    features = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]], [[10.0, 0.0], [0.0, 30.0]]]] * 2)
    features[1, :, 0, 1] = 1e30
    cells = torch.tensor([[[True, True], [True, True]], [[True, False], [False, True]]])
    torch.testing.assert_close(ink_mean(features, cells), torch.tensor([[2.5, 10], [2.5, 20]]))
