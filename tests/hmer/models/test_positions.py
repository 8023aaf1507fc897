"""The position code against the formula, number by number."""

from __future__ import annotations

import math

import pytest
import torch

from hmer.models.positions import sinusoid


@pytest.mark.parametrize(("width", "base"), [(2, 10_000.0), (8, 10_000.0), (6, 1_000.0)])
def test_formula(width: int, base: float) -> None:
    positions = [[0, 1, 2], [17, 99, 250]]
    code = sinusoid(torch.tensor(positions), width, base)
    assert code.shape == (2, 3, width)
    for row, line in enumerate(positions):
        for column, position in enumerate(line):
            for pair in range(width // 2):
                angle = position * base ** (-2 * pair / width)
                found = code[row, column, 2 * pair : 2 * pair + 2].tolist()
                assert found == pytest.approx([math.sin(angle), math.cos(angle)], abs=2e-5)


def test_positions_may_be_fractions() -> None:
    found = sinusoid(torch.tensor([0.5]), 2)[0].tolist()
    assert found == pytest.approx([math.sin(0.5), math.cos(0.5)])


def test_an_odd_width_is_refused() -> None:
    with pytest.raises(ValueError, match="even width, not 5"):
        sinusoid(torch.tensor([1]), 5)
