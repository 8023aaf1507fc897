"""The rectangle of an expression on its canvas."""

from __future__ import annotations

import torch

from hmer.models.area import written_area


def test_to_the_last_row_and_column_with_ink() -> None:
    images = torch.zeros(3, 1, 24, 40)
    images[0, 0, 17, 2] = 1.0  # row 2, column 0
    images[0, 0, 3, 31] = 1.0  # row 0, column 3
    images[1, 0, 8, 8] = 1.0
    area = written_area(images, 8)
    expected = torch.zeros(3, 3, 5, dtype=torch.bool)
    expected[0, :3, :4] = True
    expected[1, :2, :2] = True
    expected[2] = True  # blank
    assert torch.equal(area, expected)
