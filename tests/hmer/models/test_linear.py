"""The fast linear layer is the plain one, and goes back to it where it must."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from hmer.models.linear import FastGRUCell, FastLinear, use_fast_linear


def layers() -> tuple[nn.Linear, nn.Sequential]:
    """A plain layer, and a model that has it twice over."""
    torch.manual_seed(0)
    plain = nn.Linear(24, 17)
    inner = nn.Sequential(nn.Linear(17, 5, bias=False))
    model = nn.Sequential(plain, nn.ReLU(), inner)
    use_fast_linear(model)
    return plain, model


@pytest.mark.parametrize("shape", [(24,), (1, 24), (3, 4, 24), (2, 3, 5, 24), (0, 24)])
def test_it_is_the_plain_layer(shape: tuple[int, ...]) -> None:
    plain, model = layers()
    x = torch.randn(shape)
    with torch.inference_mode():
        torch.testing.assert_close(model[0](x), plain(x), rtol=1e-5, atol=1e-6)
    with torch.no_grad():
        torch.testing.assert_close(model[0](x), plain(x), rtol=1e-5, atol=1e-6)


def test_rows_that_are_not_contiguous() -> None:
    plain, model = layers()
    x = torch.randn(5, 6, 48)[:, ::2, ::2].transpose(0, 1)
    with torch.inference_mode():
        torch.testing.assert_close(model[0](x), plain(x), rtol=1e-5, atol=1e-6)


def test_weights_are_shared_and_may_change() -> None:
    plain, model = layers()
    assert [type(m) for m in model.modules() if isinstance(m, nn.Linear)] == [FastLinear] * 2
    assert model[0].weight is plain.weight
    assert set(model.state_dict()) == {"0.weight", "0.bias", "2.0.weight"}
    with torch.no_grad():
        plain.weight.mul_(2.0)
        x = torch.randn(3, 24)
        torch.testing.assert_close(model[0](x), plain(x), rtol=1e-5, atol=1e-6)


def test_gradients_and_other_precisions() -> None:
    plain, model = layers()
    x = torch.randn(3, 24, requires_grad=True)
    assert torch.equal(model[0](x), plain(x))
    model[0](x).sum().backward()
    assert x.grad is not None
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        assert model[0](x).dtype == torch.bfloat16
    with torch.inference_mode():
        assert model.double()(x.double()).dtype == torch.float64


def test_a_recurrent_cell() -> None:
    torch.manual_seed(1)
    plain = nn.GRUCell(9, 6)
    model = nn.Sequential(plain)
    use_fast_linear(model)
    fast = model[0]
    assert type(fast) is FastGRUCell and fast.weight_ih is plain.weight_ih
    x, state = torch.randn(5, 9), torch.randn(5, 6)
    with torch.inference_mode():
        torch.testing.assert_close(fast(x, state), plain(x, state), rtol=1e-5, atol=1e-6)
        assert torch.equal(fast(x), plain(x))
    assert torch.equal(fast(x, state), plain(x, state))
    fast(x, state).sum().backward()
    assert plain.weight_hh.grad is not None
