"""Dropout by bytes: rate, expectation, layout, and the seed."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from hmer.models.dropout import Dropout


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
