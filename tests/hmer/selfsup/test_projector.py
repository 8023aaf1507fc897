"""Heads in front of the losses."""

from __future__ import annotations

import torch

from hmer.selfsup.projector import projector


def test_rows_do_not_depend_on_each_other() -> None:
    torch.manual_seed(0)
    head = projector(6, 12, 4)
    rows = torch.randn(5, 3, 6)
    assert head(rows).shape == (5, 3, 4)
    torch.testing.assert_close(head(rows)[2, 1], head(rows[2, 1]))
    assert not torch.allclose(head(2 * rows) - head(rows), head(rows) - head(0 * rows), atol=1e-4)
