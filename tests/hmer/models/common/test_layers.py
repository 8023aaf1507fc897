"""Dropout by bytes: rate, expectation, layout, and the seed."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from hmer.models.common.layers import Dropout, image_code, sinusoid


@pytest.mark.parametrize("rate", [0.1, 0.2, 0.3, 0.5, 0.9])
def test_rate_and_expectation(rate: float) -> None:
    torch.manual_seed(0)
    found = Dropout(rate)(torch.ones(100_003))
    dropped = round(256 * rate) / 256
    assert float((found == 0).float().mean()) == pytest.approx(dropped, abs=0.006)
    assert float(found.mean()) == pytest.approx(1.0, abs=0.02 / (1 - rate))
    assert found.unique().tolist() == [0.0, pytest.approx(1 / (1 - dropped), rel=1e-6)]


def test_decisions_are_independent() -> None:
    torch.manual_seed(1)
    kept = Dropout(0.5)(torch.ones(1 << 16)) != 0
    for shift in (1, 2, 4, 7, 8, 64):
        assert float((kept[shift:] == kept[:-shift]).float().mean()) == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("layout", ["plain", "channels-last", "gaps", "scalar", "empty"])
def test_layouts(layout: str, dtype: torch.dtype) -> None:
    x = torch.ones(2, 5, 6, 7, dtype=dtype)
    if layout == "channels-last":
        x = x.contiguous(memory_format=torch.channels_last)
    x = {"gaps": x[:, ::2, :, 1:], "scalar": x[0, 0, 0, 0], "empty": x[:0]}.get(layout, x)
    found = Dropout(0.5)(x)
    assert (found.shape, found.dtype) == (x.shape, dtype)
    if layout != "gaps":
        assert found.stride() == x.stride()


def test_gradients_are_thinned_alike() -> None:
    x = torch.randn(1000, requires_grad=True)
    found: Tensor = Dropout(0.3)(x)
    found.sum().backward()  # type: ignore[no-untyped-call]
    assert x.grad is not None
    torch.testing.assert_close(x.grad * x, found)


def test_only_in_training_and_by_the_seed() -> None:
    x = torch.randn(100)
    layer = Dropout(0.5)
    torch.manual_seed(3)
    one = layer(x)
    torch.manual_seed(3)
    assert torch.equal(layer(x), one)
    assert not torch.equal(layer(x), one)
    assert layer.eval()(x) is x
    assert Dropout(0.0)(x) is x
    assert not Dropout(1.0)(x).any()
    assert Dropout(0.001)(torch.ones(10_000)).mean() == pytest.approx(1.0, abs=0.01)


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
