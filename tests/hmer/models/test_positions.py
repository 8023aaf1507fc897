"""The position code against the formula, number by number."""

from __future__ import annotations

import math

import pytest
import torch

from hmer.models.positions import image_code, sinusoid


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


def areas() -> torch.Tensor:
    valid = torch.zeros(2, 3, 5, dtype=torch.bool)
    valid[0] = True
    valid[1, :2, :4] = True
    return valid


@pytest.mark.parametrize("paired", [True, False])
def test_image_code(paired: bool) -> None:
    """CoMER: (sine, cosine) of 10000^(-2i/h) times the position; BTTR: one frequency each."""
    width, half = 16, 8
    code = image_code(areas(), width, paired=paired)
    assert code.shape == (2, 3, 5, width)
    for b, (rows, columns) in enumerate([(3, 5), (2, 4)]):
        for row in range(rows):
            for column in range(columns):
                wanted = []
                for place in (
                    (column + 1) / (columns + 1e-6) * 2 * math.pi,
                    (row + 1) / (rows + 1e-6) * 2 * math.pi,
                ):
                    for i in range(half):
                        power = 2 * (i // 2) / half if paired else i / half
                        angle = place * 10_000**-power
                        wanted.append(math.cos(angle) if i % 2 else math.sin(angle))
                assert code[b, row, column].tolist() == pytest.approx(wanted, abs=1e-5)


def test_image_code_does_not_see_the_padding() -> None:
    alone = image_code(areas()[1:, :2, :4], 8)
    torch.testing.assert_close(image_code(areas(), 8)[1:, :2, :4], alone)
    assert torch.isfinite(image_code(areas(), 8)).all()


def test_image_code_needs_a_multiple_of_four() -> None:
    with pytest.raises(ValueError, match="multiple of 4 channels, not 6"):
        image_code(areas(), 6)
