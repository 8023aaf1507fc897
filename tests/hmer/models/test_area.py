"""The written part of an image."""

from __future__ import annotations

import torch
from torch.nn import functional

from hmer.models.area import written_area


def test_up_to_the_last_ink() -> None:
    images = torch.zeros(3, 1, 16, 32)
    images[0, 0, 9, 2] = 1.0  # row 2, column 0 of 4 x 8 cells
    images[0, 0, 1, 13] = 0.5  # row 0, column 3
    images[1, 0, 0, 0] = 1.0
    images[2, 0, 15, 31] = 0.05  # too faint for ink: blank
    found = written_area(images, 4)
    wanted = torch.zeros(3, 4, 8, dtype=torch.bool)
    wanted[0, :3, :4] = True
    wanted[1, 0, 0] = True
    wanted[2] = True
    assert torch.equal(found, wanted)


def test_padding_does_not_matter() -> None:
    images = (torch.rand(4, 1, 24, 40, generator=torch.Generator().manual_seed(0)) > 0.99).float()
    own = written_area(images, 8)
    padded = written_area(functional.pad(images, (0, 24, 0, 16)), 8)
    assert torch.equal(padded[:, :3, :5], own)
    assert not padded[:, 3:].any() and not padded[:, :, 5:].any()
